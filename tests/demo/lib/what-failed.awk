# SPDX-License-Identifier: Apache-2.0
# awk -f what-failed.awk LastTestsFailed.log LastTest.log: of each test that failed, the lines that say why, or else its last ones. For whoever
# sees the end of a long run only.
FNR == NR { sub(/^[0-9]+:/, ""); failed[$0]; next }

/^[0-9]+\/[0-9]+ Testing: / { name = $3; lines = 0; next }
/^Output:$/ { inside = name in failed; getline; next }
inside && /^<end of output>$/ { inside = 0; tell(); next }
inside { line[++lines] = substr($0, 1, 300) }

function tell(    i, until, told) {
    printf "-- %s%s\n", name, lines ? "" : " said nothing"
    for (i = 1; i <= lines && told < 14; i++) {
        if (line[i] ~ /: Failure$|[Ff]atal|[Ee]rror|[Ss]anitizer|terminate called|Segmentation|died|not ok|[Tt]imed? ?out/) until = i + 5
        if (i <= until) { print "   " line[i]; told++ }
    }
    for (i = told ? lines + 1 : lines - 9; i <= lines; i++) if (i > 0) print "   " line[i]
}
