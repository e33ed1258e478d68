# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced: what can be learned from a kernel image without booting it.

# kernel_release IMAGE: the version string in a bzImage's set-up header (Documentation/arch/x86/boot.rst: kernel_version).
kernel_release() {
    local offset
    [[ $(dd if="$1" bs=1 skip=$((0x202)) count=4 status=none | tr -d "\0") == HdrS ]] || return 1
    offset=$(od -An -tu2 -j $((0x20e)) -N 2 "$1")
    dd if="$1" bs=1 skip=$((offset + 0x200)) count=200 status=none | tr '\0' '\n' | head -n 1 | cut -d' ' -f1
}

# kernel_extract IMAGE VMLINUX: unpacks the ELF kernel from a bzImage, whatever it was compressed with.
kernel_extract() {
    local entry magic tool offset
    for entry in '\x28\xb5\x2f\xfd zstd' '\xfd7zXZ\x00 xz' '\x1f\x8b\x08 gzip' '\x02\x21\x4c\x18 lz4' 'BZh bzip2'; do
        read -r magic tool <<<"$entry"
        command -v "$tool" >/dev/null || continue
        while read -r offset; do
            # The payload is followed by other bytes, about which every tool complains.
            tail -c +$((offset + 1)) "$1" | "$tool" -dc >"$2.part" 2>/dev/null || true
            if [[ $(head -c 4 "$2.part" | tail -c 3) == ELF ]]; then
                mv "$2.part" "$2"
                return 0
            fi
        done < <(LC_ALL=C grep -abo -P "$magic" "$1" | cut -d: -f1)
    done
    rm -f "$2.part"
    return 1
}

# kernel_kfuncs VMLINUX: names of the functions that its BTF tags as kfuncs.
kernel_kfuncs() {
    bpftool btf dump file "$1" | awk -F"'" '
        /^\[[0-9]+\] FUNC / { id = $1; gsub(/[^0-9]/, "", id); name[id] = $2 }
        /DECL_TAG .bpf_kfunc. / { id = $3; sub(/^ type_id=/, "", id); sub(/ .*/, "", id); tag[id] = 1 }
        END { for (id in tag) if (id in name) print name[id] }' | sort -u
}

# kernel_lacks KFUNCS LIST: the lines of LIST of which KFUNCS (output of kernel_kfuncs) holds no alternative.
kernel_lacks() {
    awk -F'|' 'FNR == NR { have[$1] = 1; next }
        { sub(/[[:space:]]*#.*/, ""); gsub(/[[:space:]]/, "") }
        !NF { next }
        { for (i = 1; i <= NF; i++) if ($i in have) next; print }' "$1" "$2"
}
