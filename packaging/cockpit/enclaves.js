// SPDX-License-Identifier: Apache-2.0
// The enclaves: their CPUs, agents and policies, each with a button that opens the dialog for another policy.
import { byId, element, setText } from "./dom.js";
import { durationText } from "./snapshot.js";
import { Table } from "./table.js";

function agentsText(enclave) {
  const stalled = enclave.stalled > 0 ? `, ${enclave.stalled} do not answer` : "";
  return `${enclave.agents} of ${enclave.cores}${stalled}`;
}

export class Enclaves {
  #table;

  /** `onSwitch(enclave, button)`: somebody wants another policy. */
  constructor(onSwitch) {
    const fillAction = (cell, enclave) => {
      if (cell.firstElementChild === null) {
        const button = element("button", { type: "button", className: "secondary" });
        button.addEventListener("click", () => onSwitch(button.corralEnclave, button));
        cell.append(button);
      }
      const button = cell.firstElementChild;
      button.corralEnclave = enclave;
      setText(button, "Switch policy");
      button.setAttribute("aria-label", `Switch policy of ${enclave.name}`);
    };
    this.#table = new Table(byId("enclave-table"), [
      { name: "name", title: "Name", cell: (enclave) => enclave.name },
      { name: "cpus", title: "CPUs", cell: (enclave) => enclave.cpus },
      { name: "agents", title: "Cores with an agent", cell: agentsText },
      { name: "policy", title: "Policy", cell: (enclave) => enclave.policy || "none: there is no agent" },
      { name: "tenure", title: "Tenure", cell: (enclave) => durationText(enclave.tenureNs) },
      { name: "action", title: "Change", fill: fillAction },
    ]);
  }

  show(snapshot) {
    this.#table.show(snapshot.enclaves);
    byId("enclaves").hidden = snapshot.classState === "absent";
    byId("no-enclaves").hidden = snapshot.enclaves.length > 0;
  }
}
