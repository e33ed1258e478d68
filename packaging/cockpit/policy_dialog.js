// SPDX-License-Identifier: Apache-2.0
// Another policy for an enclave: says what follows, asks once, and shows who refuses and why.
import { announce, byId, element, setText } from "./dom.js";

const TITLES = {
  PermissionDenied: "You may not switch policies",
  FailedPrecondition: "It cannot be switched as things are",
  NotFound: "It is not there any more",
};

function titleOf(error) {
  const code = String(error.name ?? "").split(".").pop();
  return TITLES[code] ?? "The policy was not switched";
}

export class PolicyDialog {
  #corrald;
  #dialog = byId("switch");
  #enclave = null;
  #opener = null;
  #chosen = "";
  #busy = false;

  constructor(corrald) {
    this.#corrald = corrald;
    byId("cancel").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#opener?.focus());
    // What was asked for goes on behind a dialog that is gone, and nobody would see its answer.
    this.#dialog.addEventListener("cancel", (event) => {
      if (this.#busy) event.preventDefault();
    });
    this.#dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#busy && this.#chosen !== "") this.#switch();
    });
  }

  open(enclave, policies, opener) {
    this.#enclave = enclave;
    this.#opener = opener;
    this.#chosen = "";
    setText(byId("switch-title"), `Switch policy of ${enclave.name}`);
    const choices = policies.map((policy) => this.#makeChoice(policy));
    byId("choices").replaceChildren(byId("choices").firstElementChild, ...choices);
    byId("refusal").hidden = true;
    this.#tellConsequence();
    this.#setBusy(false);
    this.#dialog.showModal();
  }

  /** Without corrald there is nobody to ask. */
  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  #makeChoice({ name, summary }) {
    const isNow = name === this.#enclave.policy;
    const input = element("input", { type: "radio", name: "policy", value: name });
    input.checked = isNow;
    input.addEventListener("change", () => {
      this.#chosen = isNow ? "" : name;
      this.#tellConsequence();
      this.#setBusy(false);
    });
    const text = element("span", {}, element("strong", {}, isNow ? `${name} (now)` : name), element("span", { className: "hint" }, summary));
    return element("label", { className: "choice" }, input, text);
  }

  #tellConsequence() {
    const { name, policy } = this.#enclave;
    setText(
      byId("consequence"),
      this.#chosen === ""
        ? "Choose another policy than the one that is in force."
        : `${name} gets ${this.#chosen} instead of ${policy || "none"} at once, with its default options. Its virtual machines go on ` +
          "running and stay kept apart meanwhile. It is for now: what corral.yaml says comes back when corrald is restarted.",
    );
  }

  #setBusy(busy) {
    this.#busy = busy;
    byId("confirm").disabled = busy || this.#chosen === "";
    byId("cancel").disabled = busy;
    setText(byId("confirm"), busy ? "Switching…" : "Switch policy");
  }

  async #switch() {
    const { name } = this.#enclave;
    const policy = this.#chosen;
    byId("refusal").hidden = true;
    this.#setBusy(true);
    try {
      await this.#corrald.setPolicy(name, policy);
      this.#dialog.close();
      announce(`${name} has the policy ${policy} now.`);
    } catch (error) {
      setText(byId("refusal-title"), titleOf(error));
      setText(byId("refusal-why"), error.message || String(error));
      byId("refusal-hint").hidden = !(this.#corrald.limited() && String(error.name).endsWith(".PermissionDenied"));
      byId("refusal").hidden = false;
    } finally {
      this.#setBusy(false);
      // It was taken away with the button that was disabled.
      if (this.#dialog.open) byId("confirm").focus();
    }
  }
}
