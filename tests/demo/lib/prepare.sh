# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by demo and test: brings a machine from a fresh clone to a build, whatever is done already, and shows that something goes on.

top_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)

step() { printf '== %s\n' "$*"; }

# Copies its input and fills silences, line by line.
show_life() {
    local line part='' begin=$SECONDS code
    while :; do
        code=0
        IFS= read -rt 5 line || code=$?
        part+=$line
        if ((code > 128)); then
            printf '   ... still at it, %d s\n' $((SECONDS - begin))
            continue
        fi
        if ((code == 0)) || [[ -n $part ]]; then printf '%s\n' "$part"; fi
        part=''
        ((code == 0)) || break
    done
}

child=''
# A shell does not act on a signal while it waits for a command in the foreground, so ours run in the background.
ended_by() {
    trap '' INT TERM
    if [[ -n $child ]]; then
        kill -TERM "$child"
        if wait "$child"; then :; fi
    fi
    exit "$1"
}
trap 'ended_by 130' INT
trap 'ended_by 143' TERM

# with_progress COMMAND...: both of its streams come out of stdout.
with_progress() {
    local filter output code=0
    if [[ -n ${CORRAL_SHOWS_LIFE:-} ]]; then
        # Our caller does it.
        "$@" 2>&1
        return
    fi
    local -x CORRAL_SHOWS_LIFE=1
    exec {output}> >(trap '' INT TERM; show_life)
    filter=$!
    "$@" >&"$output" 2>&1 {output}>&- &
    child=$!
    exec {output}>&-
    wait "$child" || code=$?
    child=''
    wait "$filter"
    return "$code"
}

# Packages and a kernel for the test host.
prepare_machine() {
    step "packages"
    with_progress "$top_dir/tests/host/setup"
    step "a kernel for the test host"
    with_progress "$top_dir/tests/host/fetch-kernel"
}

# As the RPM is compiled on Debian: what is tested is what ships, and rpm.build finds most of it in the cache.
compiler_options() {
    local macros=(rpm --load "$top_dir/packaging/rpm/debian-macros" --eval) flags
    flags=$("${macros[@]}" '%optflags' | tr -d '\\\n')
    printf -- '-DCMAKE_CXX_FLAGS%s=%s\n' '' "$flags" _RELWITHDEBINFO "$("${macros[@]}" '%__build_type_flags')"
    if command -v ccache >/dev/null; then printf '%s\n' -DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
}

# prepare_build DIR [-DNAME=VALUE...] -- [TARGET...]
prepare_build() {
    local dir=$1 options=() vmlinux
    # Without the sloppiness it does not look into a precompiled header.
    local -x CCACHE_BASEDIR=$top_dir CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros
    shift
    while [[ $1 != -- ]]; do options+=("$1"); shift; done
    shift
    vmlinux=$("$top_dir/tests/host/fetch-kernel" --vmlinux-h)
    mapfile -t -O ${#options[@]} options < <(compiler_options)
    step "build in ${dir#"$top_dir/"}"
    with_progress cmake -G Ninja -S "$top_dir" -B "$dir" -DCORRAL_VMLINUX_H="$vmlinux" "${options[@]}"
    with_progress ninja -C "$dir" -j "$(nproc)" "$@"
}
