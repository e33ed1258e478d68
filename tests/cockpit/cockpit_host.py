# SPDX-License-Identifier: Apache-2.0
"""A simulated host with corrald's real D-Bus service, and the real Cockpit on it, each on a private system bus (serve_host.cc)."""
import contextlib
import json
import os
import pathlib
import pwd
import socket
import subprocess
import sys
import tempfile
import time

WS = "/usr/lib/cockpit/cockpit-ws"
POLKITD = "/usr/lib/polkit-1/polkitd"
MANAGER = ("org.corral.Corral1", "/org/corral/Corral1", "org.corral.Corral1.Manager")
# Whoever is on a slow or busy machine is only to wait longer.
PATIENCE = 90

# An operator's own, as org.corral.Corral1(5) has an example.
RULE = """
polkit.addRule(function(action, subject) {
    if (action.id == "org.corral.Corral1.manage" && subject.user == "games")
        return polkit.Result.YES;
});
"""
# Stands where cockpit-machines would, and tells what it was asked for.
MACHINES_MANIFEST = {"menu": {"vms": {"label": "Virtual machines", "path": "index.html", "order": 60}}}
MACHINES_PAGE = "<!DOCTYPE html><html><head><title>machines</title></head><body>machines</body></html>"


def fail(text):
    sys.exit(f"page: FAILED: {text}")


def expect(holds, text):
    if not holds:
        fail(text)


def wait_for(what, condition, patience=PATIENCE):
    """Until `condition` returns something; returns that."""
    end = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            fail(f"{what}: not within {patience} s")
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Host:
    """With `user`, Cockpit's bridge has only that user's rights, and polkitd decides."""

    def __init__(self, serve_host, page, cpus, user=None, machines=True, polkit_policy=None):
        self._stack = contextlib.ExitStack()
        self._dir = pathlib.Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="corral-cockpit.")))
        self._dir.chmod(0o755)
        self._service = self._start([serve_host, str(cpus)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self._service.stdout.readline().strip()
        expect(self.address, "serve_host has no bus")
        if polkit_policy:
            self._start_polkitd(polkit_policy)
        self._start_cockpit(pathlib.Path(page).resolve(), user, machines)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _start(self, command, **options):
        process = subprocess.Popen(command, stderr=open(self._dir / "log", "ab"), **options)

        def end():
            if process.stdin:
                process.stdin.close()
            process.terminate()
            process.wait(PATIENCE)

        self._stack.callback(end)
        return process

    def _start_polkitd(self, policy):
        for name, file, text in (("actions", "org.corral.Corral1.policy", pathlib.Path(policy).read_text()), ("rules", "50-corral.rules", RULE)):
            (self._dir / name).mkdir()
            (self._dir / name / file).write_text(text)
        over = (("actions", "/usr/share/polkit-1/actions"), ("rules", "/etc/polkit-1/rules.d"), ("rules", "/usr/share/polkit-1/rules.d"))
        lay = " && ".join(f"mount --bind {self._dir}/{what} {where}" for what, where in over)
        self._start(["unshare", "--mount", "sh", "-c", f"{lay} && exec {POLKITD} --no-debug"],
                    env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address}, stdout=subprocess.DEVNULL)
        wait_for("polkitd comes up", lambda: self._busctl("status", "org.freedesktop.PolicyKit1").returncode == 0)

    def _start_cockpit(self, page, user, machines):
        packages = self._dir / "share/cockpit"
        packages.mkdir(parents=True)
        # A copy, because another user's bridge may not get at a checkout.
        subprocess.run(["cp", "-rL", page, packages / "corral"], check=True)
        if machines:
            (packages / "machines").mkdir()
            (packages / "machines/manifest.json").write_text(json.dumps(MACHINES_MANIFEST))
            (packages / "machines/index.html").write_text(MACHINES_PAGE)
        home = self._dir / "home"
        home.mkdir()
        bridge = "cockpit-bridge"
        if user:
            subprocess.run(["chown", user, home], check=True)
            bridge = self._dir / "bridge"
            ids = f"--reuid={pwd.getpwnam(user).pw_uid} --regid={pwd.getpwnam(user).pw_gid}"
            bridge.write_text(f'#!/bin/sh\nexec setpriv {ids} --clear-groups -- cockpit-bridge "$@"\n')
            bridge.chmod(0o755)
        subprocess.run(["chmod", "-R", "a+rX", packages], check=True)
        self.port = free_port()
        env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address, "XDG_DATA_DIRS": f"{self._dir}/share:/usr/share", "HOME": str(home),
               "XDG_DATA_HOME": f"{home}/data", "XDG_CONFIG_HOME": f"{home}/config", "XDG_RUNTIME_DIR": str(home), "LC_ALL": "C.UTF-8"}
        env.pop("DBUS_SESSION_BUS_ADDRESS", None)
        self._start([WS, "--no-tls", "--address=127.0.0.1", f"--port={self.port}", f"--local-session={bridge}"], env=env)
        wait_for("Cockpit comes up", self._listens)

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    @property
    def page(self):
        return self.url("cockpit/@localhost/corral/index.html")

    def tell(self, line):
        """A line to serve_host."""
        self._service.stdin.write(line + "\n")
        self._service.stdin.flush()
        answer = self._service.stdout.readline().strip()
        expect(answer == "ok", f"serve_host, {line}: {answer}")

    def _busctl(self, *arguments):
        return subprocess.run(["busctl", "--json=short", f"--address={self.address}", *arguments], capture_output=True, text=True, check=False)

    def ask(self, *arguments):
        """What the bus says, past Cockpit."""
        answer = self._busctl(*arguments)
        expect(answer.returncode == 0, f"busctl {arguments}: {answer.stderr}")
        return json.loads(answer.stdout)["data"]

    def manager(self, name):
        return self.ask("get-property", *MANAGER, name)

    def cores(self):
        return self.ask("call", *MANAGER, "ListCores")[0]

    def objects(self, kind):
        """Properties of all enclaves, or domains, by name."""
        found = {}
        for path in self.manager(f"{kind}s"):
            name, interface = MANAGER[0], f"org.corral.Corral1.{kind}"
            properties = self.ask("call", name, path, "org.freedesktop.DBus.Properties", "GetAll", "s", interface)[0]
            found[properties["Name"]["data"]] = {key: value["data"] for key, value in properties.items()}
        return found

    def policy(self, enclave="vms"):
        return self.objects("Enclave")[enclave]["Policy"]
