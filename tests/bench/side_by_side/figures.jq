# SPDX-License-Identifier: Apache-2.0
# What table.jq and page.jq have in common: a comparison's figures as rows of text.

# The two turns of the default scheduler are one: the noise tells how far they are apart.
def rows: .results as $results
    | ($results[] | select(.scheduler == "default")) as $default
    | $results[] | select(.scheduler != "default again") | . + {default: $default};

def digits(n): . * pow(10; n) | round / pow(10; n) | tostring;
def percent: . * 100 | if . < 10 then digits(1) else digits(0) end + " %";
def milliseconds: . / 1e6 | if . < 10 then digits(2) else digits(0) end + " ms";
def ratio(of): if .[of] == null then "" else .[of] / .default[of] | digits(2) end;

def heads: ["scheduler", "two VMs on a core", "work", "CPUs busy", "forced idle", "fairness", "woken p50", "p99", "p99.9", "its own time"];
# Of the time that was measured, on all cores.
def together(measured): if .cross_vm_ns == 0 then "0" else "\(.cross_vm_ns | milliseconds), \(.cross_vm_ns / measured | percent)" end;
def cells(measured): [.scheduler, together(measured),
    ratio("work"), (.busy | percent), (.forced_idle | percent), (.fairness | digits(2)),
    ratio("wake_p50_ns"), ratio("wake_p99_ns"), ratio("wake_p999_ns"), (.own_time | percent)];

def measured: .rounds * .seconds * .cores * 1e9;
def noise: [if .noise_wake_p99_ns != null then "woken p50 \(.noise_wake_p50_ns | percent), p99 \(.noise_wake_p99_ns | percent)" else empty end,
    if .results[0].work != null then "work \(.noise | percent)" else empty end] | join("; ");

def explanation: "Work and waiting: times the default scheduler's in the same run"
    + (if .emulated then " (emulated: ratios only" + (if .dilation then "; its clocks run \(.dilation) times slower" else "" end) + ")" else "" end)
    + ". Medians of \(.rounds) rounds (of waiting: percentiles of all) of \(.seconds) s on \(.cpus) CPUs; two VMs on a core: the sum of all rounds.";
def missing: .missing // {} | to_entries[] | "\(.key): \(.value)";
