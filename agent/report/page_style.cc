// SPDX-License-Identifier: Apache-2.0
#include "agent/report/page_parts.h"

namespace corral::report {

// Text has a contrast of 4.5 to 1 at least, and lines one of 3 to 1. Shades of cores need not: a
// table has the cores that matter.
const absl::string_view kStyle = R"css(
:root { --ink: #1a1d21; --soft: #50565e; --rule: #d5d9de; --ground: #f4f6f8; --used: #0072b2;
  --guaranteed: #a83e00; --waited: #6b4c9a; --missed: #a4121b; --idle: #8a5a00; --hands: #00695c; }
* { box-sizing: border-box; }
html { font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", Arial, sans-serif; color: var(--ink);
  background: #fff; }
body { margin: 0; }
header, main, footer { max-width: 75rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 .5rem; padding-top: .75rem;
  border-top: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 1.25rem 0 .25rem; }
p { max-width: 50rem; margin: .4rem 0; }
.soft { color: var(--soft); }
a { color: #0b57a4; }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 3px solid #0b57a4;
  outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: .5rem; background: #fff; padding: .5rem; z-index: 2; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0;
  margin: .75rem 0 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0 0; padding: 0; }
.tile { border: 1px solid var(--rule); border-left: .4rem solid #1b6e33; border-radius: .4rem;
  padding: .6rem .8rem; background: var(--ground); }
.tile.warning { border-left-color: #8a5a00; }
.tile.broken { border-left-color: var(--missed); background: #fdecea; }
.tile.plain { border-left-color: var(--soft); }
.tile dt { font-size: .85rem; color: var(--soft); }
.tile dd { margin: 0; }
.tile .value { font-size: 1.5rem; font-weight: 600; line-height: 1.25; }
.tile .more { font-size: .85rem; }
.badge { display: inline-block; border-radius: .3rem; padding: 0 .45rem; font-size: .85rem;
  background: #e4e7eb; }
.badge.broken { background: var(--missed); color: #fff; }
.badge.warning { background: #7a4a00; color: #fff; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; width: 100%;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: .25rem 0; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--rule);
  vertical-align: middle; }
thead th { background: var(--ground); vertical-align: bottom; }
.n { text-align: right; white-space: nowrap; }
.name { overflow-wrap: anywhere; max-width: 16rem; font-weight: 600; }
.bad { color: var(--missed); font-weight: 600; }
.means { min-width: 15rem; }
.narrow { width: auto; }
.chart { display: block; width: 100%; height: auto; margin: .5rem 0 1rem; }
.chart text { font-size: 12px; fill: var(--ink); }
.small { width: 140px; height: 26px; display: block; }
.grid { stroke: #dfe3e8; stroke-width: 1; fill: none; }
.line { fill: none; stroke-width: 1.6; }
.area { stroke: none; fill-opacity: .22; }
.used.line { stroke: var(--used); } .used.area { fill: var(--used); }
.guaranteed.line { stroke: var(--guaranteed); stroke-dasharray: 6 3; }
.waited.line { stroke: var(--waited); stroke-dasharray: 2 2; }
.missed.line { stroke: var(--missed); } .missed.area { fill: var(--missed); fill-opacity: .5; }
.idle.line { stroke: var(--idle); } .idle.area { fill: var(--idle); }
.hands.line { stroke: var(--hands); stroke-dasharray: 6 3; }
.ground { fill: #eef1f4; }
.shade0 { fill: #f3d9a8; } .shade1 { fill: #e3b25f; } .shade2 { fill: #c98a1e; }
.shade3 { fill: #8f5a06; } .shade4 { fill: #4d2c00; }
details { border: 1px solid var(--rule); border-radius: .4rem; margin: .5rem 0; }
summary { cursor: pointer; padding: .45rem .8rem; background: var(--ground);
  overflow-wrap: anywhere; }
summary h3 { display: inline; margin: 0; }
.inside { padding: 0 .8rem .5rem; }
.bar { display: block; width: 100%; height: 1.1rem; }
.why { display: inline-block; width: .9rem; height: .9rem; vertical-align: -.1rem; }
dl.words dt { font-weight: 600; margin-top: .5rem; }
dl.words dd { margin: 0 0 0 1.25rem; max-width: 48rem; }
footer { color: var(--soft); font-size: .85rem; padding-top: 2rem; padding-bottom: 2rem; }
@media print { .skip, nav { display: none; } details { break-inside: avoid; } }
)css";

}  // namespace corral::report
