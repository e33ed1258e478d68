# SPDX-License-Identifier: Apache-2.0
# A comparison as a page of HTML that is whole by itself.
include "figures";

def cell(tag): "<\(tag)>\(. | @html)</\(tag)>";
def row(tag): "<tr>" + (map(cell(tag)) | join("")) + "</tr>";
# Work as bars beside one another.
def bar: if .work == null then "" else
    "<div class=bar style='width:\(.work / .default.work * 40 | round)%'>\(.scheduler | @html) \(ratio("work"))</div>" end;
def table(measured): "<h2>\(.name | @html)</h2><p>\(.what | @html). The default scheduler differs from itself (A/A) by: \(noise | @html).</p>",
    "<table>", (heads | row("th")), (rows | cells(measured) | row("td")), "</table>", (rows | bar);
def comparison: "<p>\(explanation | @html)</p>", (missing | "<p>Not there: \(@html)</p>"), (measured as $ns | .loads[] | table($ns));

"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Corral beside other schedulers</title>",
"<style>body{font:15px sans-serif;max-width:70em;margin:2em auto}td,th{padding:.2em .7em;text-align:right}",
"td:first-child,th:first-child{text-align:left}tr:nth-child(even){background:#eee}",
".bar{background:#56B4E9;margin:.2em 0;padding:.1em .4em;white-space:nowrap}</style>",
"<h1>Corral beside other schedulers</h1>",
(if .emulated then "<p><strong>Emulated: ratios only.</strong></p>" else empty end),
comparison,
(if .wide then "<h1>More cores: whether VMs stay apart</h1>", (.wide + {emulated} | comparison) else empty end),
"</html>"
