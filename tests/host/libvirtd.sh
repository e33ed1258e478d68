#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Inside the test host: starts virtlogd and libvirtd and returns when virsh works; "stop" ends them, leaving domains alone. With systemd
# by its units; then machined makes the cgroups, as on most hosts. Nothing of that is needed: without it libvirt makes them itself
# (/machine/qemu-ID-NAME.libvirt-qemu/vcpuN).
set -euo pipefail

[[ -d /run/corral-host ]] || { echo "libvirtd.sh: only for the test host (tests/host/run): it rewrites /etc/libvirt" >&2; exit 2; }

has_systemd() { [[ -d /run/systemd/system && $(</proc/1/comm) == systemd ]]; }

stop() {
    local name pid
    if has_systemd; then
        systemctl stop libvirtd{,-ro,-admin}.socket virtlogd{,-admin}.socket libvirtd virtlogd
        return
    fi
    for name in libvirtd virtlogd; do
        pid=$(cat "/run/$name.pid" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null || continue
        while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    done
}

start() {
    # The test host's root is private to it. No AppArmor profiles are loaded there, so no security driver; QEMU as root and without a
    # /dev of its own spares the ownership changes and mounts that a user "libvirt-qemu" would need.
    cat >/etc/libvirt/qemu.conf <<'END'
user = "root"
group = "root"
security_driver = "none"
remember_owner = 0
namespaces = []
END
    # No polkit: whoever may open the socket may use it.
    cat >/etc/libvirt/libvirtd.conf <<'END'
auth_unix_ro = "none"
auth_unix_rw = "none"
END
    if has_systemd; then
        systemctl start libvirtd
    else
        mkdir -p /run/libvirt
        virtlogd -d
        libvirtd -d
    fi
    local i
    for ((i = 0; i < 300; i++)); do
        if virsh -q -c qemu:///system list >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    echo "libvirtd.sh: libvirtd does not answer" >&2
    tail -n 20 /var/log/libvirt/libvirtd.log >&2 2>/dev/null || true
    return 1
}

case ${1:-start} in
    start) start ;;
    stop) stop ;;
    restart) stop; start ;;
    *) echo "usage: libvirtd.sh [start|stop|restart]" >&2; exit 2 ;;
esac
