// SPDX-License-Identifier: Apache-2.0
// What corrald says of vCPUs that are not protected or not served as was asked, in its own words.
import { byId, element, setText, syncChildren } from "./dom.js";

const KINDS = [
  { key: "unprotected", title: "Unprotected vCPUs", hint: "Their enclave cannot hold them." },
  { key: "refused", title: "Refused budgets", hint: "Time that was asked for and cannot be promised." },
  { key: "conflicts", title: "Pin conflicts", hint: "Pins by which virtual machines take turns on a core." },
];

function makeKind(kind) {
  return element(
    "section",
    { "data-trouble": kind.key, "aria-labelledby": `trouble-${kind.key}` },
    element("h3", { id: `trouble-${kind.key}` }),
    element("p", { className: "hint" }, kind.hint),
    element("ul", { className: "lines" }),
  );
}

function updateKind(node, { title, lines }) {
  setText(node.querySelector("h3"), `${title}: ${lines.length}`);
  // Two vCPUs may have the same line, so what they are known by is their place as well.
  const known = lines.map((line, i) => ({ line, key: `${i} ${line}` }));
  syncChildren(node.querySelector("ul"), known, (one) => one.key, () => element("li"), (item, one) => setText(item, one.line));
}

/** Returns what is to be announced: nothing where nothing is wrong. */
export function showTroubles(snapshot) {
  const there = KINDS.map((kind) => ({ ...kind, lines: snapshot[kind.key] })).filter((kind) => kind.lines.length > 0);
  // Only a class can tell.
  byId("troubles").hidden = snapshot.classState === "absent";
  byId("no-troubles").hidden = there.length > 0;
  syncChildren(byId("trouble-lists"), there, (kind) => kind.key, makeKind, updateKind);
  return there.map((kind) => `${kind.title}: ${kind.lines.length}.`).join(" ");
}
