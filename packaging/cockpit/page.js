// SPDX-License-Identifier: Apache-2.0
// The page: puts what corrald says into its parts, each of which has a file. Start reading here.
import { Corrald } from "./bus.js";
import { showCoreMap } from "./core_map.js";
import { announce, byId, setText } from "./dom.js";
import { Domains } from "./domains.js";
import { Enclaves } from "./enclaves.js";
import { PolicyDialog } from "./policy_dialog.js";
import { showAbsence, showState } from "./state.js";
import { followTheme } from "./theme.js";
import { showTroubles } from "./troubles.js";

const cockpit = window.cockpit;
const find = byId("find");
let latest = null;
let before = null;
let told = "";

const corrald = new Corrald({
  present(snapshot) {
    // corrald looks once a second, and may be asked more often.
    if (latest?.lookedNs !== snapshot.lookedNs) before = latest;
    latest = snapshot;
    show();
  },
  absent(why) {
    latest = before = null;
    told = "";
    dialog.close();
    showAbsence(why);
    byId("corral").removeAttribute("aria-busy");
  },
});
const dialog = new PolicyDialog(corrald);
const domains = new Domains();
const enclaves = new Enclaves((enclave, button) => dialog.open(enclave, latest.policies, button));

function isWanted(name) {
  return name.toLowerCase().includes(find.value.toLowerCase());
}

function show() {
  const now = [showState(latest), showTroubles(latest)].join(" ").trim();
  enclaves.show(latest);
  showFound();
  byId("corral").removeAttribute("aria-busy");
  // Numbers change all the time; who cannot see is told of what matters.
  if (now !== told) announce(now);
  told = now;
}

function showFound() {
  showCoreMap(latest, isWanted);
  domains.show(latest, before, isWanted);
  byId("finder").hidden = latest.domains.length === 0;
  const count = latest.domains.filter((domain) => isWanted(domain.name)).length;
  setText(byId("found"), find.value === "" ? "" : `${count} of ${latest.domains.length}`);
}

// "/corral#/?vm=web" is this page about that virtual machine, for whoever links here.
function readLocation() {
  const { vm } = cockpit.location.options;
  const wanted = typeof vm === "string" ? vm : "";
  if (find.value === wanted) return;
  find.value = wanted;
  if (latest !== null) showFound();
}

find.addEventListener("input", () => {
  cockpit.location.replace([], find.value === "" ? {} : { vm: find.value });
  if (latest !== null) showFound();
});
cockpit.addEventListener("locationchanged", readLocation);
byId("to-service").addEventListener("click", () => cockpit.jump("/system/services#/corrald.service"));

followTheme();
cockpit.transport.wait(() => {
  readLocation();
  corrald.start();
});
