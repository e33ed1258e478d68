// SPDX-License-Identifier: Apache-2.0
// The virtual machines in enclaves: what each has, and the way to its own page.
import { byId, element, setText } from "./dom.js";
import { durationText, usedCpus } from "./snapshot.js";
import { Table } from "./table.js";

const cockpit = window.cockpit;

function hasMachinesPage() {
  return cockpit.manifests.machines !== undefined;
}

/** Where cockpit-machines shows a virtual machine. */
export function machinePath(name) {
  return `/machines#vm?name=${encodeURIComponent(name)}&connection=system`;
}

function fillName(cell, item) {
  if (!hasMachinesPage()) {
    setText(cell, item.name);
    return;
  }
  if (cell.firstElementChild === null) {
    const link = element("button", { type: "button", className: "link" });
    link.addEventListener("click", () => cockpit.jump(machinePath(link.textContent)));
    cell.append(link);
  }
  setText(cell.firstElementChild, item.name);
  cell.firstElementChild.setAttribute("title", "Show it among the virtual machines");
}

const COLUMNS = [
  { name: "name", title: "Name", rank: (item) => item.name, fill: fillName },
  { name: "enclave", title: "Enclave", rank: (item) => item.enclaveName, cell: (item) => item.enclaveName },
  { name: "vcpus", title: "vCPUs", number: true, rank: (item) => item.vcpus, cell: (item) => String(item.vcpus) },
  { name: "running", title: "Running", number: true, rank: (item) => item.running, cell: (item) => String(item.running) },
  { name: "waiting", title: "Waiting", number: true, rank: (item) => item.waiting, cell: (item) => String(item.waiting) },
  {
    name: "used", title: "CPUs used", number: true,
    rank: (item) => item.used ?? -1, cell: (item) => (item.used === null ? "–" : item.used.toFixed(2)),
  },
  { name: "runtime", title: "CPU time", number: true, rank: (item) => item.runtimeNs, cell: (item) => durationText(item.runtimeNs) },
];

export class Domains {
  #table = new Table(byId("domain-table"), COLUMNS, "name");

  show(snapshot, before, isWanted) {
    const enclaves = new Map(snapshot.enclaves.map((enclave) => [enclave.id, enclave.name]));
    const items = snapshot.domains.filter((domain) => isWanted(domain.name)).map((domain) => ({
      ...domain, enclaveName: enclaves.get(domain.enclave) ?? "–", used: usedCpus(domain, snapshot, before),
    }));
    this.#table.show(items);
    byId("no-domains").hidden = items.length > 0;
    setText(byId("no-domains"), snapshot.domains.length === 0 ? "None is in an enclave." : "None has this in its name.");
  }
}
