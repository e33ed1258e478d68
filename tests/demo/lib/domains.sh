# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by what runs in the test host with libvirt's domains: start them, look at their threads, wait for things.
#
# Under emulation a fork costs tens of milliseconds of a machine that is full of spinning vCPUs, so /proc is read by bash itself.

demo_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
host_dir=$demo_dir/../host
[[ -d /run/corral-host ]] || { echo "${0##*/}: only for the test host (tests/host/run)" >&2; exit 2; }

exec {never}<> <(:)
# Sleeps without a fork.
nap() { if read -rt "$1" -u "$never"; then :; fi; }

say() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# await SECONDS WHAT COMMAND...: until COMMAND succeeds; shows that it waits.
await() {
    local end=$((SECONDS + $1)) shown=$((SECONDS + 5)) what=$2
    shift 2
    until "$@"; do
        ((SECONDS < end)) || fail "$what: not within the time allowed"
        if ((SECONDS >= shown)); then say "... $what"; shown=$((SECONDS + 5)); fi
        nap 0.3
    done
}

# Process of each domain, by its name.
declare -A vm_pid=()

# vm_create NAME VCPUS MODE GUEST_ELF [VIRSH_OPTION...]
vm_create() {
    local name=$1 xml=/run/corral-host/$1.xml
    "$demo_dir/domain-xml" "$1" "$2" "$3" "$4" >"$xml"
    shift 4
    virsh -q create "$xml" "$@"
    vm_pid[$name]=$(<"/run/libvirt/qemu/$name.pid")
}

vm_destroy() {
    virsh -q destroy "$1"
    unset "vm_pid[$1]"
}

# Sets `threads` to the vCPU threads of the named domains, or of all.
vm_threads() {
    local name dir comm
    threads=()
    [[ $# -gt 0 ]] || set -- "${!vm_pid[@]}"
    for name in "$@"; do
        for dir in "/proc/${vm_pid[$name]}/task"/*; do
            if read -r comm <"$dir/comm" && [[ $comm == 'CPU '* ]]; then threads+=("${dir##*/}"); fi
        done
    done
}

SCHED_OTHER=0 SCHED_EXT=7

# all_have_policy POLICY NAME...
all_have_policy() {
    local want=$1 tid stat fields
    shift
    vm_threads "$@"
    for tid in "${threads[@]}"; do
        stat=$(<"/proc/$tid/stat")
        # From the state on; the name before it may have blanks.
        read -ra fields <<<"${stat##*) }"
        [[ ${fields[38]} == "$want" ]] || return 1
    done
}

# Prints "TID CPULIST" for each vCPU thread.
affinities() {
    local tid status
    vm_threads
    for tid in "${threads[@]}"; do
        # At once: the kernel writes it anew for each piece that is read, and lines before ours change their lengths.
        status=$(<"/proc/$tid/status")
        if [[ $status =~ Cpus_allowed_list:[[:space:]]*([0-9,-]+) ]]; then echo "$tid ${BASH_REMATCH[1]}"; fi
    done
}

# Prints "TIME_MS TID=NS..." : how long each vCPU thread has run so far.
progress() {
    local tid ns now line
    vm_threads "$@"
    read -r now _ </proc/uptime
    line=$((10#${now/./} * 10))
    for tid in "${threads[@]}"; do
        if read -r ns _ <"/proc/$tid/schedstat"; then line+=" $tid=$ns"; fi
    done
    echo "$line"
}

# Every vCPU of these domains computes: its guest is up.
guests_are_up() {
    local before after i
    read -ra before < <(progress "$@")
    nap 2
    read -ra after < <(progress "$@")
    [[ ${#before[@]} -gt 1 && ${#before[@]} == "${#after[@]}" ]] || return 1
    for ((i = 1; i < ${#before[@]}; i++)); do
        ((${after[i]#*=} - ${before[i]#*=} > 20000000)) || return 1
    done
}
