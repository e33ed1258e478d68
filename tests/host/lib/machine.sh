# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by run: the virtual machine itself. Reads the options that run has parsed, works in $work.
# shellcheck disable=SC2154

# machine_kernel IMAGE: finds the release, the modules and an uncompressed kernel for it.
# Sets machine_image, machine_release, machine_modules (empty: everything is built in).
machine_kernel() {
    local image=$1 dir key
    [[ -r $image ]] || die "no kernel image: $image"
    image=$(realpath "$image")
    machine_release=$(kernel_release "$image") || die "not a bzImage: $image"
    dir=$(dirname "$image")
    machine_modules=
    for dir in "$dir/lib/modules/$machine_release" "$dir"; do
        if [[ -e $dir/modules.dep ]]; then machine_modules=$dir; break; fi
    done
    # QEMU enters an ELF kernel directly (PVH): that saves the decompression, which is slow under emulation.
    dir=$(dirname "$image")
    if [[ -e $dir/complete && -e $dir/vmlinux ]]; then
        machine_image=$dir/vmlinux
    else
        key=$(stat -L -c '%n %s %Y' "$image" | cksum | cut -d' ' -f1)
        machine_image=$cache_dir/vmlinux/$key
        mkdir -p "$cache_dir/vmlinux"
        [[ -e $machine_image ]] || kernel_extract "$image" "$machine_image" || machine_image=$image
    fi
    if [[ $machine_image != "$image" ]] && ! readelf -n "$machine_image" 2>/dev/null | grep -q 0x00000012; then
        machine_image=$image
    fi
}

# The modules without which the machine cannot reach its root, in load order.
machine_initramfs() {
    local root=$work/initramfs name path kind n=100
    mkdir -p "$root"/{bin,modules}
    cp /bin/busybox "$root/bin/"
    cp "$host_dir/lib/guest/"{init,main,systemd} "$root/"
    chmod +x "$root/init"
    if [[ -n $machine_modules ]]; then
        for name in virtio_pci virtio_console virtiofs overlay 9pnet_virtio 9p; do
            # Built-in ones are listed as "builtin NAME", absent ones fail: whether the root can be mounted is seen at boot.
            while read -r kind path _; do
                [[ $kind == insmod ]] || continue
                [[ " $(cd "$root/modules" && echo *) " == *"-$(basename "${path%%.ko*}").ko "* ]] && continue
                case $path in
                    *.xz) xz -dc "$path" ;;
                    *.zst) zstd -qdc "$path" ;;
                    *.gz) gzip -dc "$path" ;;
                    *) cat "$path" ;;
                esac >"$root/modules/$n-$(basename "${path%%.ko*}").ko"
                n=$((n + 1))
            done < <(modprobe -S "$machine_release" -d "${machine_modules%/lib/modules/*}" --show-depends "$name" 2>/dev/null)
        done
    fi
    {
        printf 'command=(%s)\n' "${command[*]@Q}"
        printf 'environment=(%s)\n' "${environment[*]@Q}"
        printf 'shares=(%s)\n' "${shares[*]@Q}"
        printf '%s=%s\n' directory "${PWD@Q}" modules "${machine_modules@Q}" merged "$merged" systemd "$systemd"
    } >"$root/corral.conf"
    (cd "$root" && find . | cpio --quiet -o -H newc) >"$work/initramfs.cpio"
}

# machine_export TAG DIR ro|rw: one exported directory, by virtio-fs (several times faster) if there is a daemon for it, and by
# 9p besides, for kernels that have only that.
machine_export() {
    local tag=$1 dir=$2 access=$3 socket=$work/$1.sock cache=auto start
    start=("$virtiofsd" --socket-path="$socket" -o source="$dir" -o sandbox=chroot)
    if [[ $access == ro ]]; then
        cache=always
        # virtiofsd has no read-only mode, so it is given a view of the machine in which every mount is read-only.
        start=(unshare --mount --propagation private bash -c '
            view=$1; shift
            mount --rbind / "$view"
            while read -r _ _ _ _ point _; do
                point=$(printf %b "$point")
                if [[ $point == "$view"* ]]; then mount -o remount,bind,ro "$point" 2>/dev/null || true; fi
            done </proc/self/mountinfo
            if : >"$view/.corral-write-test" 2>/dev/null; then echo "the export is writable" >&2; exit 1; fi
            exec "$@"' export "$work/view" "$virtiofsd" --socket-path="$socket" -o source="$work/view" -o sandbox=chroot)
        mkdir -p "$work/view"
    fi
    if [[ -x $virtiofsd ]]; then
        setpriv --pdeathsig KILL "${start[@]}" -o cache=$cache >"$work/$tag.log" 2>&1 9>&- &
        helpers+=($!)
        local i
        for ((i = 0; i < 200; i++)); do
            [[ -S $socket ]] && break
            kill -0 "${helpers[-1]}" 2>/dev/null || break
            sleep 0.02
        done
        if [[ -S $socket ]]; then
            qemu+=(-chardev "socket,id=$tag,path=$socket" -device "vhost-user-fs-pci,chardev=$tag,tag=$tag,queue-size=1024")
        else
            note "virtiofsd did not start, using 9p: $(tail -n 1 "$work/$tag.log")"
        fi
    fi
    local readonly=off
    [[ $access == ro ]] && readonly=on
    # Mount tags: corral-root9p, corral-share9p0, ...
    qemu+=(-fsdev "local,id=$tag-9p,path=$dir,security_model=none,readonly=$readonly,multidevs=remap"
        -device "virtio-9p-pci,fsdev=$tag-9p,mount_tag=$(sed -E 's/^(corral-[a-z]+)/\19p/' <<<"$tag")")
}

# The emulator sees clocks that run slower. The TSC does not, so the kernel finds that it counts as many times faster.
machine_dilate() {
    local library=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1
    [[ -e $library ]] || die "no libfaketime: run tests/host/setup first"
    qemu=(env "LD_PRELOAD=$library" "FAKETIME=+0 x$(awk "BEGIN { print 1 / $dilation }")" "${qemu[@]}")
}

# The command line, in qemu[].
machine_build() {
    local sockets cores threads cpus node first arguments thread=multi i
    IFS=x read -r sockets cores threads <<<"$topology"
    cpus=$((sockets * cores * threads))
    [[ $single_threaded == yes ]] && thread=single
    qemu=(qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot
        -machine q35,usb=off -accel "tcg,thread=$thread" -cpu max
        -smp "$cpus,sockets=$sockets,cores=$cores,threads=$threads" -m "$((memory / sockets * sockets))M")
    # Shared memory, because virtiofsd reads requests and writes replies there.
    for ((node = 0; node < sockets; node++)); do
        first=$((node * cores * threads))
        qemu+=(-object "memory-backend-memfd,id=memory$node,size=$((memory / sockets))M,share=on"
            -numa "node,memdev=memory$node,cpus=$first-$((first + cores * threads - 1))")
    done
    # tsc=reliable: the emulated TSC is the machine's own, but the kernel would distrust it and read the clock from the HPET, at the
    # cost of an exit each time. Stalls are a matter of the emulator's turn here: a short limit would make RCU or the
    # watchdog eject a sched_ext class that did nothing wrong. no_timer_check: early in its boot the kernel waits for a timer for a
    # number of TSC cycles, and panics if the emulator had no turn meanwhile. Mitigations stay as they are: no slower, and closer to
    # a real host.
    arguments="console=ttyS0 panic=-1 oops=panic tsc=reliable no_timer_check rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60 random.trust_cpu=1"
    [[ -n $dmesg ]] || arguments+=" quiet"
    [[ $dilation == 1 ]] || machine_dilate
    qemu+=(-kernel "$machine_image" -initrd "$work/initramfs.cpio" -append "$arguments $append" -serial "file:$work/console"
        -device virtio-serial-pci,max_ports=8)
    for i in status stdout stderr; do
        qemu+=(-chardev "file,id=$i,path=$work/$i" -device "virtserialport,chardev=$i,name=corral.$i")
    done
    machine_export corral-root / ro
    for i in "${!shares[@]}"; do machine_export "corral-share$i" "${shares[i]}" rw; done
}
