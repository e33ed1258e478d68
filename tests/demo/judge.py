#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judges what tests/demo/inside measured: prints a table and a verdict, writes the figures as JSON.

    judge.py DIR [--json FILE]

DIR holds the auditor's reports (default, steady, corral: the last two since every vCPU was in the class), the class's status at
five moments (begin, before_kill, after_return, steady, end), what each vCPU had run at each look (progress), and facts.
Exit status: 0 all conditions hold, 1 at least one does not (each is named), 2 the measurement is not complete.
"""

import argparse
import json
import pathlib
import sys

MIN_OBSERVED_NS = 20_000_000_000
MIN_SWITCHES = 2000
MIN_AGENT_SHARE = 0.95
# A vCPU wants what it took under the default scheduler, but no more than an equal part of all the CPU time.
MIN_SHARE_OF_WANT = 0.25
# Between two looks every vCPU must have run, however short.
MIN_LOOK_APART_MS = 2000


class Run:
    """The files of one run."""

    def __init__(self, directory):
        def load(name):
            return json.loads((directory / name).read_text())

        self.default = load("default.json")
        self.steady = load("steady.json")
        self.corral = load("corral.json")
        self.status = {k: load(k + ".json")["cores"] for k in ("begin", "before_kill", "after_return", "steady_status", "end")}
        self.facts = dict(line.split("=", 1) for line in (directory / "facts").read_text().splitlines())
        self.looks = [parse_look(line) for line in (directory / "progress").read_text().splitlines()]


def parse_look(line):
    time, *entries = line.split()
    return int(time), {int(tid): int(ns) for tid, ns in (entry.split("=") for entry in entries)}


def total(cores, key):
    return sum(core[key] for core in cores)


def switches(run, begin, end):
    """By agent and by the class alone, between two moments."""
    return tuple(total(run.status[end], k) - total(run.status[begin], k) for k in ("switches_agent", "switches_class"))


def vcpus(report):
    return [t for t in report["threads"] if t["kind"] == "vcpu"]


def overlap(report):
    """Two VMs' vCPUs on one core at once: with both in the class, and with at least one outside."""
    return report["totals"]["vcpu_vcpu"]["enforced_ns"], report["totals"]["vcpu_vcpu"]["exposed_ns"]


def cross_vm(run):
    """What counts against Corral, and what does not. The latter is the start of the domain that was started meanwhile, before its
    threads were in the class: no more than those threads ran then, and only in the part of the run in which it was started."""
    enforced, exposed = overlap(run.corral)
    later = exposed - overlap(run.steady)[1]
    early = sum(t["early_exposure_ns"] for t in vcpus(run.corral) if t["tgid"] == int(run.facts["vm_echo"]))
    starting = min(later, early)
    return enforced + exposed - starting, starting


def progress(run, report, cpus):
    """{domain: [seconds run per second of CPU supply, of each vCPU]}. A second of supply: one CPU for a second."""
    shares = {}
    for name, pid in ((k[3:], int(v)) for k, v in run.facts.items() if k.startswith("vm_")):
        threads = sorted((t["comm"], t["run_ns"]) for t in vcpus(report) if t["tgid"] == pid)
        if threads:
            shares[name] = [ns / (report["observed_ns"] * cpus) for _, ns in threads]
    return shares


def silent_vcpus(run):
    """Threads that did not run at all between two looks that are some seconds apart."""
    silent = set()
    for (t0, first), (t1, second) in zip(run.looks, run.looks[1:]):
        if t1 - t0 >= MIN_LOOK_APART_MS:
            silent.update(tid for tid in first.keys() & second.keys() if first[tid] == second[tid])
    return silent


class Figures:
    """What the table shows and the conditions need."""

    def __init__(self, run):
        self.kernel = run.facts["kernel"]
        self.cpus = sum(len(core["cpus"]) for core in run.steady["cores"])
        self.observed = run.corral["observed_ns"]
        self.cross, self.starting = cross_vm(run)
        self.default_cross = sum(overlap(run.default))
        # While there was an agent, and in between.
        with_agent = [switches(run, "begin", "before_kill"), switches(run, "after_return", "end")]
        self.by_agent = sum(a for a, _ in with_agent)
        self.by_class = sum(c for _, c in with_agent)
        self.orphaned = sum(switches(run, "before_kill", "after_return"))
        self.exposure = max(t["exposure_ns"] for t in vcpus(run.corral))
        self.progress = progress(run, run.steady, self.cpus)
        self.default_progress = progress(run, run.default, self.cpus)
        self.least = min(min(shares) for shares in self.progress.values())
        self.equal = 1 / len(vcpus(run.steady))
        self.worst_share = min(got / max(min(wanted, self.equal), 1e-9)
                               for name in self.progress for got, wanted in zip(self.progress[name], self.default_progress[name]))
        self.silent = silent_vcpus(run)
        self.breaches = total(run.status["end"], "breaches")
        self.rescues = total(run.status["end"], "rescues")

    def agent_share(self):
        return self.by_agent / max(1, self.switches())

    def switches(self):
        return self.by_agent + self.by_class


def conditions(run, f):
    """(holds, text) for each."""
    gaps = [name for name, report in (("default", run.default), ("Corral", run.corral)) if not report["complete"]]
    audited = run.corral["totals"]["core_switches"]
    return [
        (f.default_cross > 0, "the default scheduler does let VMs share cores, so the measurement can see it"),
        (f.cross == 0, f"cross-VM time under Corral is 0 ns (it is {f.cross})"),
        (f.observed >= MIN_OBSERVED_NS, f"observed for at least {MIN_OBSERVED_NS // 10**9} s (it was {f.observed / 1e9:.1f} s)"),
        (min(f.switches(), audited) >= MIN_SWITCHES,
         f"at least {MIN_SWITCHES} core switches (with an agent: {f.switches()}, in all, as the auditor counts: {audited})"),
        (f.agent_share() >= MIN_AGENT_SHARE,
         f"{MIN_AGENT_SHARE:.0%} of the core switches came from agent commits while there was an agent (it was {f.agent_share():.1%})"),
        (f.worst_share >= MIN_SHARE_OF_WANT,
         f"each vCPU got {MIN_SHARE_OF_WANT:.0%} of what it wants, or of an equal share if it wants more (the worst got {f.worst_share:.0%})"),
        (not f.silent, f"each vCPU ran between any two looks (not so: {sorted(f.silent) or 'none'})"),
        (f.breaches == 0, f"the class itself saw no switch-in that isolation forbids (it saw {f.breaches})"),
        (not gaps, f"the auditor missed nothing ({', '.join(gaps) or 'no gaps'})"),
        (int(run.facts["agent_kills"]) > 0, "the agent was killed"),
        (run.facts["state"] == "enabled", f"the class stayed in charge (sched_ext: {run.facts['state']})"),
        (run.facts.get("released") == "yes", "everything was given back at the end"),
    ]


def percent(part, whole):
    return f"{100 * part / whole:.2f} %" if whole else "-"


def milliseconds(share):
    return f"{1000 * share:.1f} ms"


def progress_table(f):
    lines = ["Progress of each vCPU, ms per second of CPU supply:"]
    for name, shares in f.progress.items():
        for scheduler, values in (("default", f.default_progress[name]), ("Corral", shares)):
            lines.append(f"  {name:<9} {scheduler:<9}" + "".join(f"{1000 * value:7.1f}" for value in values))
    return "\n".join(lines)


def table(run, f):
    d, c = run.default["totals"], run.corral["totals"]
    rows = [
        ("scheduler", "default", "Corral"),
        ("observed", f"{run.default['observed_ns'] / 1e9:.1f} s", f"{f.observed / 1e9:.1f} s"),
        ("core time (a VM is on the core)", f"{d['core_time_ns'] / 1e9:.1f} s", f"{c['core_time_ns'] / 1e9:.1f} s"),
        ("core switches, as the auditor counts", d["core_switches"], c["core_switches"]),
        ("  by an agent's commit", "-", f.by_agent),
        ("  by the class alone, in spite of an agent", "-", f.by_class),
        ("  while the agent was dead or starting", "-", f.orphaned),
        ("cross-VM time (vCPU beside vCPU)", f"{f.default_cross} ns", f"{f.cross} ns"),
        ("  of core time", percent(f.default_cross, d["core_time_ns"]), percent(f.cross, c["core_time_ns"])),
        ("  beside a vCPU that was just being made", "-", f"{f.starting} ns"),
        ("vCPU beside another VM's helper thread", percent(d["vcpu_helper_ns"], d["core_time_ns"]),
         percent(c["vcpu_helper_ns"], c["core_time_ns"])),
        ("forced idle, of core time", percent(d["forced_idle_ns"], d["core_time_ns"]), percent(c["forced_idle_ns"], c["core_time_ns"])),
        ("least vCPU progress per CPU second", milliseconds(min(map(min, f.default_progress.values()))), milliseconds(f.least)),
        ("  an equal share would be", milliseconds(f.equal), milliseconds(f.equal)),
        ("exposure at start, of the worst vCPU", "-", f"{f.exposure} ns"),
        ("agents killed", "-", run.facts["agent_kills"]),
        ("tasks that the class had to rescue", "-", f.rescues),
    ]
    return "\n".join(f"{name:<40} {default:>18} {corral:>18}" for name, default, corral in rows)


def as_json(run, f):
    """Corral's core and agent switches are those while there was an agent."""

    def of(report):
        return report["totals"]["core_time_ns"]

    return {
        "default": {"cross_vm_ns": f.default_cross, "core_time_ns": of(run.default),
                    "core_switches": run.default["totals"]["core_switches"]},
        "corral": {"cross_vm_ns": f.cross, "core_time_ns": of(run.corral), "core_switches": f.switches(),
                   "agent_switches": f.by_agent, "observed_ns": f.observed, "least_progress": round(f.least, 6),
                   "exposure_ns_max": f.exposure, "agent_kills": int(run.facts["agent_kills"])},
        "kernel": f.kernel,
    }


def main():
    parser = argparse.ArgumentParser(description="Judges what the demo measured.")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    try:
        run = Run(args.directory)
        figures = Figures(run)
        verdict = conditions(run, figures)
    except (OSError, KeyError, ValueError, IndexError) as error:
        print(f"judge: the measurement is not complete: {error!r}", file=sys.stderr)
        return 2
    print(f"\nLinux {figures.kernel}, {len(run.steady['cores'])} cores, {figures.cpus} CPUs\n\n{table(run, figures)}\n\n{progress_table(figures)}\n")
    for holds, text in verdict:
        print(f"  {'ok    ' if holds else 'FAILED'}  {text}")
    if args.json:
        args.json.write_text(json.dumps(as_json(run, figures)) + "\n")
    return 0 if all(holds for holds, _ in verdict) else 1


if __name__ == "__main__":
    sys.exit(main())
