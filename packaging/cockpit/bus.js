// SPDX-License-Identifier: Apache-2.0
// corrald on the system bus, org.corral.Corral1(5): whether it is there, what it says, and what it is asked to change.
import { snapshotOf } from "./snapshot.js";

const cockpit = window.cockpit;

const NAME = "org.corral.Corral1";
const PATH = "/org/corral/Corral1";
const MANAGER = "org.corral.Corral1.Manager";
const PROPERTIES = "org.freedesktop.DBus.Properties";

// Counters and cores change all the time, so nobody is told; corrald itself looks once a second.
const POLL_MS = 2000;
const PATIENCE_MS = 10000;
const RETRY_MS = 3000;

/**
 * Follows corrald as it comes and goes.
 *
 * `listener.present(snapshot)` has what there is, as of now; `listener.absent({ silent, problem })` says that corrald is not on
 * the bus, does not answer (silent), or that there is no bus (problem).
 */
export class Corrald {
  constructor(listener) {
    this.listener = listener;
    this.bus = null;
    this.client = null;
    this.timer = null;
    this.reading = false;
    this.stale = false;
    this.superuser = null;
    cockpit.addEventListener("visibilitychange", () => this.#read());
  }

  start() {
    this.#watchBus();
    this.#watchSuperuser();
  }

  /** Whether Cockpit's user has no more rights than his own. */
  limited() {
    return this.superuser !== null && this.superuser.valid && this.superuser.Current === "none";
  }

  /** Rejects with what corrald or polkit says. A person may be asked for a password, so there is no limit of time. */
  async setPolicy(enclave, policy) {
    if (this.client === null) throw new Error("corrald is not on the bus");
    await this.client.call(PATH, MANAGER, "SetPolicy", [enclave, policy], { type: "ss", flags: "i" });
    this.#read();
  }

  #watchBus() {
    const bus = cockpit.dbus("org.freedesktop.DBus", { bus: "system" });
    bus.addEventListener("close", (_event, why) => {
      this.#disconnect();
      this.listener.absent({ problem: cockpit.message(why) });
      window.setTimeout(() => this.#watchBus(), RETRY_MS);
    });
    bus.subscribe(
      { path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus", member: "NameOwnerChanged", arg0: NAME },
      (_path, _interface, _signal, [, , owner]) => (owner === "" ? this.#leave() : this.#connect()),
    );
    this.bus = bus;
    this.#look();
  }

  async #look() {
    try {
      const args = [[NAME], { type: "s" }];
      const [owned] = await this.bus.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", ...args);
      if (owned) this.#connect();
      else this.#leave();
    } catch {
      // The bus has been closed, which its listener tells.
    }
  }

  #watchSuperuser() {
    const internal = cockpit.dbus(null, { bus: "internal" });
    const proxy = internal.proxy("cockpit.Superuser", "/superuser");
    let rights;
    proxy.addEventListener("changed", () => {
      if (!proxy.valid || proxy.Current === "init" || proxy.Current === rights) return;
      // A channel keeps the rights that it was opened with.
      if (rights !== undefined && this.client !== null) this.#connect();
      rights = proxy.Current;
    });
    this.superuser = proxy;
  }

  #connect() {
    this.#disconnect();
    const client = cockpit.dbus(NAME, { bus: "system", superuser: "try" });
    // As when administrative access is given up: the bridge that had it takes its channels along.
    client.addEventListener("close", () => {
      if (client !== this.client) return;
      this.#disconnect();
      this.timer = window.setTimeout(() => this.#look(), RETRY_MS);
    });
    client.subscribe({ path_namespace: PATH }, () => this.#read());
    this.client = client;
    this.#read();
  }

  #disconnect() {
    window.clearTimeout(this.timer);
    const client = this.client;
    this.client = null;
    client?.close();
  }

  #leave() {
    this.#disconnect();
    this.listener.absent({});
  }

  async #read() {
    if (this.client === null || cockpit.hidden) return;
    if (this.reading) {
      this.stale = true;
      return;
    }
    const client = this.client;
    this.reading = true;
    try {
      const answers = await Promise.all([
        this.#ask(client, PROPERTIES, "GetAll", [MANAGER], "s"),
        this.#ask(client, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", [], ""),
        this.#ask(client, MANAGER, "ListCores", [], ""),
      ]);
      if (client === this.client) this.listener.present(snapshotOf(...answers));
    } catch (error) {
      // A channel that is closed has a listener of its own.
      if (client === this.client && !error.problem) this.listener.absent({ silent: true, problem: error.message });
    } finally {
      this.reading = false;
      this.#schedule();
    }
  }

  async #ask(client, face, method, args, type) {
    const [answer] = await client.call(PATH, face, method, args, { type, timeout: PATIENCE_MS });
    return answer;
  }

  #schedule() {
    window.clearTimeout(this.timer);
    if (this.client === null) return;
    this.timer = window.setTimeout(() => this.#read(), this.stale ? 0 : POLL_MS);
    this.stale = false;
  }
}
