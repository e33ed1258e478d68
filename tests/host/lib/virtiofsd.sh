# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced (after apt.sh): the daemon that exports the machine's files by virtio-fs.
#
# QEMU had it until 7.2; the one in Rust that followed is not in Debian 12 and needs a newer libc. But QEMU itself must be newer than
# 8.0, which lets a CPU run code that another has just patched (int3 Oopses in the guest: one in twenty boots with 7.2). The
# protocol between the two is stable, so bookworm's daemon is unpacked, not installed, and used with the newer QEMU.

# Sets virtiofsd to its path; fetches it if need be. Returns 1 if there is none.
virtiofsd_find() {
    virtiofsd=/usr/lib/qemu/virtiofsd
    [[ ! -x $virtiofsd ]] || return 0
    virtiofsd=$cache_dir/virtiofsd/virtiofsd
    [[ ! -x $virtiofsd ]] || return 0
    local work=$cache_dir/virtiofsd.part
    rm -rf "$work"
    mkdir -p "$work/root"
    apt_open virtiofsd bookworm
    (cd "$work" && private_apt apt-get -q download qemu-system-common/bookworm) >"$work/log" 2>&1 || return 1
    dpkg-deb -x "$work"/*.deb "$work/root"
    [[ -x $work/root/usr/lib/qemu/virtiofsd ]] || return 1
    mkdir -p "$cache_dir/virtiofsd"
    cp -L "$work/root/usr/lib/qemu/virtiofsd" "$cache_dir/virtiofsd/.new"
    mv "$cache_dir/virtiofsd/.new" "$virtiofsd"
    rm -rf "$work"
}
