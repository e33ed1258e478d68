#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: corralctl_test.sh CORRALCTL. Runs `corralctl audit` as an operator would: live, in the background, and wrongly. As root, on a
# kernel with SMT siblings; two busy processes on CPU 0 and its sibling are the machines.
set -euo pipefail
ctl=$1
fail() { echo "FAILED: $*"; exit 1; }
expect() {
    local want=$1 got=0; shift
    "$@" >/tmp/out 2>/tmp/err || got=$?
    [[ $got == "$want" ]] || fail "\"$*\" exited with $got instead of $want: $(cat /tmp/out /tmp/err)"
    [[ $(wc -l </tmp/err) -le 1 ]] || fail "\"$*\" said more than one line: $(cat /tmp/err)"
}
spin() { taskset -c "$1" bash -c 'while :; do :; done' & }

siblings=$(cat /sys/devices/system/cpu/cpu0/topology/thread_siblings_list)
sibling=${siblings##*[-,]}
[[ $sibling != 0 ]] || fail "CPU 0 has no sibling"
spin 0; a=$!
spin "$sibling"; b=$!
trap 'kill $a $b' EXIT

expect 0 "$ctl" audit --duration 1s --pid $a --pid $b
grep -q '^EXPOSED' /tmp/out || fail "no exposure: $(cat /tmp/out)"
cat /tmp/out
expect 3 "$ctl" audit --duration 500ms --pid $a --pid $b --fail-on-breach --json
grep -q '"complete": true' /tmp/out || fail "incomplete: $(cat /tmp/out)"
expect 0 "$ctl" audit --duration 500ms --pid $a --pid $b --fail-on-breach=enforced
expect 2 "$ctl" audit --duration soon
expect 1 "$ctl" audit --duration 1s --pid 4194303

mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
expect 1 "$ctl" audit read
expect 1 "$ctl" audit stop
expect 0 "$ctl" audit start --pid $a --pid $b
expect 1 "$ctl" audit start
sleep 0.5
expect 3 "$ctl" audit read --fail-on-breach
kill $a $b
wait $a $b 2>/dev/null || true
trap - EXIT
expect 0 "$ctl" audit reset
expect 0 "$ctl" audit read --fail-on-breach
expect 0 "$ctl" audit stop
expect 1 "$ctl" audit stop
umount /sys/fs/bpf
expect 1 "$ctl" audit start
grep -q 'mount -t bpf' /tmp/err || fail "no remedy: $(cat /tmp/err)"
echo passed
