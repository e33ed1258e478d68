# SPDX-License-Identifier: Apache-2.0
"""What `sos report` collects of Corral: the same that `corralctl bugreport` does, where sos does not have it anyway."""

from sos.report.plugins import DebianPlugin, IndependentPlugin, Plugin


# Old versions for Debian do not take plugins for all systems.
class Corral(Plugin, IndependentPlugin, DebianPlugin):

    short_desc = "Corral, VM core scheduling"
    plugin_name = "corral"
    profiles = ("virt",)
    packages = ("corral",)
    files = ("/etc/corral/corral.yaml",)

    def setup(self):
        self.add_copy_spec([
            "/etc/corral/corral.yaml",
            "/etc/corral/corral.d",
            "/sys/kernel/sched_ext",
            "/sys/devices/system/cpu/nohz_full",
            "/sys/devices/system/cpu/online",
            "/sys/devices/system/cpu/smt/control",
            "/sys/devices/system/node/online",
        ])
        self.add_cmd_output([
            "corralctl --version",
            "corralctl check --json",
            "corralctl config check --json",
            "corralctl config show --json",
            "corralctl status --json",
            "corralctl cores --json",
            "corralctl domains --json",
            "corralctl audit read --json",
            "corralctl metrics",
        ])
        self.add_service_status(["corral-class", "corrald"])
        self.add_journal(units=["corral-class", "corrald"])
