#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's judge accepts a good run and names what is wrong with each bad one."""

import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

JUDGE = pathlib.Path(__file__).with_name("judge.py")
SECOND = 10**9


def report(seconds, exposed=0, enforced=0, switches=5000, threads=()):
    return {
        "observed_ns": seconds * SECOND,
        "complete": True,
        "totals": {
            "core_time_ns": 2 * seconds * SECOND,
            "core_switches": switches,
            "vcpu_vcpu": {"enforced_ns": enforced, "exposed_ns": exposed},
            "vcpu_helper_ns": 0,
            "forced_idle_ns": 0,
        },
        "cores": [{"cpus": [0, 1]}, {"cpus": [2, 3]}],
        "threads": [
            {"tid": tid, "tgid": tgid, "kind": "vcpu", "comm": "CPU 0/TCG", "run_ns": run, "exposure_ns": early, "early_exposure_ns": early}
            for tid, tgid, run, early in threads
        ],
    }


def status(agent, alone, breaches=0):
    return {"cores": [{"switches_agent": agent, "switches_class": alone, "breaches": breaches, "rescues": 0}]}


def good_run():
    half = 10 * SECOND
    return {
        "default.json": report(20, exposed=SECOND, threads=[(11, 10, half, half), (21, 20, half, half)]),
        "steady.json": report(30, threads=[(11, 10, half, 0), (21, 20, half, 0)]),
        "corral.json": report(40, threads=[(11, 10, half, 0), (21, 20, half, 0), (31, 30, half, 1000)]),
        "begin.json": status(0, 0),
        "before_kill.json": status(1500, 0),
        "after_return.json": status(1500, 100),
        "steady_status.json": status(2500, 100),
        "end.json": status(3000, 100),
        "facts": "kernel=7.2\nvm_alpha=10\nvm_bravo=20\nagent_kills=1\nvm_echo=30\nstate=enabled\nreleased=yes\n",
        "progress": "1000 11=5 21=5\n4000 11=6 21=6\n",
    }


def judge(run):
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        for name, content in run.items():
            (directory / name).write_text(content if isinstance(content, str) else json.dumps(content))
        figures = directory / "figures"
        done = subprocess.run([sys.executable, str(JUDGE), scratch, "--json", str(figures)], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, json.loads(figures.read_text()) if figures.exists() else None


class JudgeTest(unittest.TestCase):
    def expect_failure(self, run, text):
        code, out, _ = judge(run)
        self.assertEqual(code, 1, out)
        failed = [line for line in out.splitlines() if line.strip().startswith("FAILED")]
        self.assertEqual(len(failed), 1, out)
        self.assertIn(text, failed[0])

    def test_good(self):
        code, out, figures = judge(good_run())
        self.assertEqual(code, 0, out)
        self.assertEqual(figures, {
            "default": {"cross_vm_ns": SECOND, "core_time_ns": 40 * SECOND, "core_switches": 5000},
            "corral": {"cross_vm_ns": 0, "core_time_ns": 80 * SECOND, "core_switches": 3000, "agent_switches": 3000,
                       "observed_ns": 40 * SECOND, "least_progress": round(1 / 12, 6), "exposure_ns_max": 1000, "agent_kills": 1},
            "kernel": "7.2",
        })

    def test_one_nanosecond_is_a_breach(self):
        run = good_run()
        run["corral.json"]["totals"]["vcpu_vcpu"]["enforced_ns"] = 1
        self.expect_failure(run, "cross-VM time")

    def test_start_of_a_domain_is_exposure(self):
        run = good_run()
        run["corral.json"]["totals"]["vcpu_vcpu"]["exposed_ns"] = 1000
        code, out, figures = judge(run)
        self.assertEqual(code, 0, out)
        self.assertEqual(figures["corral"]["cross_vm_ns"], 0)

    def test_exposure_beyond_the_start_is_a_breach(self):
        run = good_run()
        run["corral.json"]["totals"]["vcpu_vcpu"]["exposed_ns"] = 1001
        self.expect_failure(run, "cross-VM time")

    def test_exposure_while_no_domain_starts_is_a_breach(self):
        run = good_run()
        for name in ("steady.json", "corral.json"):
            run[name]["totals"]["vcpu_vcpu"]["exposed_ns"] = 1
        self.expect_failure(run, "cross-VM time")

    def test_class_must_not_decide_beside_an_agent(self):
        run = good_run()
        run["end.json"] = status(3000, 300)
        self.expect_failure(run, "agent commits")

    def test_switches_without_an_agent_do_not_count(self):
        run = good_run()
        run["after_return.json"] = status(1500, 2000)
        run["steady_status.json"] = run["end.json"] = status(1900, 2000)
        self.expect_failure(run, "core switches")

    def test_starving(self):
        run = good_run()
        run["steady.json"]["threads"][1]["run_ns"] = 3 * SECOND  # of the 10 that it took by default in less time
        self.expect_failure(run, "equal share")

    def test_silent_between_looks(self):
        run = good_run()
        run["progress"] = "1000 11=5 21=5\n4000 11=6 21=5\n"
        self.expect_failure(run, "between any two looks")

    def test_simple_conditions(self):
        changes = {
            "class itself": ("end.json", status(3000, 100, breaches=1)),
            "auditor missed": ("corral.json", {**good_run()["corral.json"], "complete": False}),
            "20 s": ("corral.json", {**good_run()["corral.json"], "observed_ns": 19 * SECOND}),
            "in charge": ("facts", good_run()["facts"].replace("enabled", "disabled")),
            "killed": ("facts", good_run()["facts"].replace("kills=1", "kills=0")),
            "given back": ("facts", good_run()["facts"].replace("released=yes\n", "")),
            "default scheduler": ("default.json", report(20, threads=[(11, 10, 1, 1), (21, 20, 1, 1)])),
        }
        for text, (name, content) in changes.items():
            with self.subTest(text):
                run = copy.deepcopy(good_run())
                run[name] = content
                self.expect_failure(run, text)

    def test_incomplete(self):
        run = good_run()
        del run["corral.json"]
        self.assertEqual(judge(run)[0], 2)


if __name__ == "__main__":
    unittest.main()
