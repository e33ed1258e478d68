// SPDX-License-Identifier: Apache-2.0
// How things stand, at a glance: who decides, whether isolation holds, and the numbers to it; and what to do where corrald is not.
import { announce, byId, element, setClass, setText, syncChildren } from "./dom.js";
import { loadOf } from "./snapshot.js";

const OBSERVES = {
  kind: "info",
  title: "Corral observes",
  detail: "It touches no thread, and keeps no virtual machines apart. “corralctl enable” makes it enforce.",
};
const HOLDS = {
  kind: "success",
  title: "Virtual machines are kept apart",
  detail: "Every core of an enclave belongs to one trust domain at a time.",
};
const LOST = {
  kind: "danger",
  title: "The class has been put out of charge",
  detail:
    "The kernel has taken the class out, and nothing keeps virtual machines apart. corrald stops them and loads the class again; " +
    "“journalctl -u corrald” says why it was lost.",
};
const NO_CLASS = {
  kind: "danger",
  title: "There is no class in the kernel",
  detail: "corrald is to enforce, and cannot. “systemctl enable --now corral-class” loads the class.",
};

function breached(breaches) {
  return {
    kind: "danger",
    title: "Isolation was breached",
    detail:
      `${breaches} ${breaches === 1 ? "switch" : "switches"} that isolation forbids, since the class was loaded. ` +
      "Please report this: “corralctl bugreport” gathers what is needed.",
  };
}

function verdictOn(snapshot) {
  if (snapshot.classState === "lost") return LOST;
  if (snapshot.breaches > 0) return breached(snapshot.breaches);
  if (snapshot.classState === "in-charge") return HOLDS;
  return snapshot.mode === "observe" ? OBSERVES : NO_CLASS;
}

function factsOf(snapshot) {
  const load = loadOf(snapshot);
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const facts = [
    ["mode", "Mode", snapshot.mode],
    ["class", "Class", snapshot.classState],
    ["breaches", "Breaches", String(snapshot.breaches)],
  ];
  if (snapshot.classState === "absent") return facts;
  return [
    ...facts,
    ["agents", "Cores with an agent", `${sum(snapshot.enclaves.map((e) => e.agents))} of ${sum(snapshot.enclaves.map((e) => e.cores))}`],
    ["busy", "CPUs that run a virtual machine", `${load.busy} of ${load.cpus}`],
    ["forced", "CPUs forced idle", String(load.forcedIdle)],
  ];
}

function makeFact([name]) {
  return element("div", { "data-fact": name }, element("dt"), element("dd"));
}

function updateFact(node, [, label, value]) {
  setText(node.firstElementChild, label);
  setText(node.lastElementChild, value);
}

export function showState(snapshot) {
  const verdict = verdictOn(snapshot);
  byId("absent").hidden = true;
  byId("present").hidden = false;
  setText(byId("version"), `corrald ${snapshot.version}`);
  setClass(byId("state"), `alert ${verdict.kind}`);
  setText(byId("state-title"), verdict.title);
  setText(byId("state-detail"), verdict.detail);
  syncChildren(byId("facts"), factsOf(snapshot), ([name]) => name, makeFact, updateFact);
  return `${verdict.title}.`;
}

/** What the page is without corrald. Returns what is to be announced. */
export function showAbsence({ silent = false, problem = "" }) {
  let title = "corrald is not running";
  let why = "Virtual machines that are in the class stay kept apart, and their agents go on; but nobody is there to tell of it.";
  if (silent) {
    title = "corrald does not answer";
    why = `It is on the bus, and says: ${problem}`;
  } else if (problem !== "") {
    title = "The system bus cannot be reached";
    why = problem;
  }
  byId("present").hidden = true;
  byId("absent").hidden = false;
  byId("absent-start").hidden = silent || problem !== "";
  setText(byId("version"), "");
  setText(byId("absent-title"), title);
  setText(byId("absent-why"), why);
  announce(`${title}.`);
}
