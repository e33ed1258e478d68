# SPDX-License-Identifier: Apache-2.0
# The README's section: what is lost or won with each scheduler, a table for each measure, with a line for each load.
include "figures";

def line: "| " + join(" | ") + " |";
def names: .loads[0].results | map(.scheduler) | map(select(. != "default again" and . != "corral_slow_path"));
# `figure` of a result, for all schedulers; a line where no load has it says nothing.
def table(title; noise; figure): names as $names
    | "", title, "", (["load"] + $names + ["noise (A/A)"] | line), ([range($names | length + 2) | "---"] | line),
      (.loads[] | select([rows | figure] | any(. != "")) | . as $load
       | [.what] + [$names[] as $name | $load | rows | select(.scheduler == $name) | figure] + [noise] | line);

(measured as $ns
 | explanation + " Corral \(.corral), Linux \(.kernel).", missing,
   table("For how long two VMs were on a core, of the time measured:"; ""; if .cross_vm_ns == 0 then "0" else .cross_vm_ns / $ns | percent end),
   table("Work done:"; if .results[0].work then .noise | percent else "" end; ratio("work")),
   table("How long a vCPU that woke up waited, p99:"; if .noise_wake_p99_ns then .noise_wake_p99_ns | percent else "" end; ratio("wake_p99_ns")))
