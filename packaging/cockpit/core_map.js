// SPDX-License-Identifier: Apache-2.0
// Who is on which SMT sibling: cores by enclave and NUMA node. Whatever a colour says is also said in words.
import { byId, element, setClass, setText, syncChildren } from "./dom.js";

const NOBODY = 0;
// core_map.css has as many; neighbours in the list of virtual machines differ.
const HUES = 12;

/** Of the enclaves in the order of their names, then of what is in none; nodes by number. */
function groupsOf(snapshot, names, isWanted) {
  const shown = (core) => [core.owner, ...core.siblings.map((sibling) => sibling.domain)].some((id) => isWanted(names.get(id) ?? ""));
  const groups = new Map();
  const enclaves = [...snapshot.enclaves.map((enclave) => enclave.id), NOBODY];
  const position = (core) => (enclaves.includes(core.enclave) ? enclaves.indexOf(core.enclave) : enclaves.length);
  const ordered = [...snapshot.cores].sort((a, b) => position(a) - position(b) || a.node - b.node || a.id - b.id);
  for (const core of ordered.filter(shown)) {
    const key = `${core.enclave}.${core.node}`;
    if (!groups.has(key)) {
      const enclave = snapshot.enclaves.find((one) => one.id === core.enclave);
      const where = enclave === undefined ? "In no enclave" : `Enclave ${enclave.name}`;
      groups.set(key, { key, title: `${where}, NUMA node ${core.node}`, cores: [] });
    }
    groups.get(key).cores.push(core);
  }
  return [...groups.values()];
}

function makeGroup(group) {
  const title = `group-${group.key}`;
  const summary = element("summary", {}, element("h3", { id: title }), element("span", { className: "count" }));
  return element("details", { open: "", "data-group": group.key }, summary, element("ul", { className: "cores", "aria-labelledby": title }));
}

function makeCore(core) {
  const head = element("div", { className: "core-head" }, element("span", {}, `Core ${core.id}`), element("span", { className: "owner" }));
  return element("li", { className: "core", "data-core": core.id }, head, element("ul", { className: "siblings" }));
}

function makeSibling(sibling) {
  return element(
    "li",
    { "data-cpu": sibling.cpu },
    element("span", { className: "cpu" }, `CPU ${sibling.cpu}`),
    element("span", { className: "who" }),
  );
}

function updateSibling(node, sibling, names) {
  const who = node.lastElementChild;
  if (sibling.domain !== NOBODY) {
    const name = names.get(sibling.domain) ?? `domain ${sibling.domain}`;
    setClass(node, `sibling hue-${sibling.domain % HUES}`);
    setText(who, name);
    node.title = name;
    return;
  }
  setClass(node, sibling.forcedIdle ? "sibling forced" : "sibling");
  setText(who, sibling.forcedIdle ? "forced idle" : "idle");
  node.removeAttribute("title");
}

function updateCore(node, core, names) {
  // Where a sibling says it already, it need not be said again.
  const seen = core.owner === NOBODY || core.siblings.some((sibling) => sibling.domain === core.owner);
  setText(node.querySelector(".owner"), seen ? "" : `held by ${names.get(core.owner) ?? `domain ${core.owner}`}`);
  syncChildren(
    node.querySelector(".siblings"), core.siblings, (sibling) => sibling.cpu, makeSibling, (child, sibling) => updateSibling(child, sibling, names),
  );
}

export function showCoreMap(snapshot, isWanted) {
  const names = new Map(snapshot.domains.map((domain) => [domain.id, domain.name]));
  const groups = groupsOf(snapshot, names, isWanted);
  byId("no-cores").hidden = snapshot.cores.length > 0;
  byId("map-hint").hidden = byId("legend").hidden = snapshot.cores.length === 0;
  syncChildren(byId("core-groups"), groups, (group) => group.key, makeGroup, (node, group) => {
    setText(node.querySelector("h3"), group.title);
    setText(node.querySelector(".count"), `${group.cores.length} ${group.cores.length === 1 ? "core" : "cores"}`);
    syncChildren(node.querySelector(".cores"), group.cores, (core) => core.id, makeCore, (child, core) => updateCore(child, core, names));
  });
}
