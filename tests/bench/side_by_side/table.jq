# SPDX-License-Identifier: Apache-2.0
# A comparison as Markdown.
include "figures";

def line: "| " + join(" | ") + " |";
def table(measured): "", "### \(.name): \(.what)", "", "The default scheduler differs from itself (A/A) by: \(noise).", "",
    (heads | line), ([heads[] | "---"] | line), (rows | cells(measured) | line);
def comparison: explanation, missing, (measured as $ns | .loads[] | table($ns));

comparison, (if .wide then ("", "With more cores, whether VMs stay apart:", (.wide + {emulated} | comparison)) else empty end)
