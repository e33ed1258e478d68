// SPDX-License-Identifier: Apache-2.0
// What corrald answers, as plain objects, and what follows from it. Nothing here touches the page.

const ENCLAVE = "org.corral.Corral1.Enclave";
const DOMAIN = "org.corral.Corral1.Domain";
const HOST = 0;

function valuesOf(properties) {
  return Object.fromEntries(Object.entries(properties).map(([name, variant]) => [name, variant.v]));
}

function byName(a, b) {
  return a.name.localeCompare(b.name, undefined, { numeric: true }) || a.id - b.id;
}

function enclaveOf(properties) {
  const p = valuesOf(properties);
  return {
    id: p.Id, name: p.Name, cpus: p.Cpus, cores: p.Cores, agents: p.Agents, stalled: p.Stalled, policy: p.Policy, tenureNs: p.TenureNSec,
  };
}

function domainOf(properties) {
  const p = valuesOf(properties);
  return {
    id: p.Id, name: p.Name, uuid: p.Uuid, enclave: p.EnclaveId, vcpus: p.Vcpus, running: p.Running, waiting: p.Waiting, runtimeNs: p.RuntimeNSec,
  };
}

function coreOf([id, node, enclave, owner, siblings]) {
  return {
    id, node, enclave, owner,
    siblings: siblings.map(([cpu, domain, , forcedIdle]) => ({ cpu, domain, forcedIdle })),
  };
}

/** Of the answers to GetAll, GetManagedObjects and ListCores. */
export function snapshotOf(manager, objects, cores) {
  const m = valuesOf(manager);
  const faces = Object.values(objects);
  const all = (face, read) => faces.filter((one) => face in one).map((one) => read(one[face])).sort(byName);
  return {
    lookedNs: m.LookedNSec,
    version: m.Version,
    policies: m.Policies.map(([name, summary]) => ({ name, summary })),
    mode: m.Mode,
    classState: m.ClassState,
    breaches: m.Breaches,
    unprotected: m.Unprotected,
    refused: m.Refused,
    conflicts: m.Conflicts,
    enclaves: all(ENCLAVE, enclaveOf),
    domains: all(DOMAIN, domainOf),
    cores: cores.map(coreOf),
  };
}

/** CPUs that a domain used between two looks, or null if it cannot be told. */
export function usedCpus(domain, snapshot, before) {
  const then = before?.domains.find((other) => other.id === domain.id);
  const passedNs = before ? snapshot.lookedNs - before.lookedNs : 0;
  if (then === undefined || passedNs <= 0 || domain.runtimeNs < then.runtimeNs) return null;
  return (domain.runtimeNs - then.runtimeNs) / passedNs;
}

/** CPUs in enclaves: how many there are, run a virtual machine, and idle because the core is another's. */
export function loadOf(snapshot) {
  const load = { cpus: 0, busy: 0, forcedIdle: 0 };
  for (const core of snapshot.cores) {
    if (core.enclave === 0) continue;
    load.cpus += core.siblings.length;
    load.busy += core.siblings.filter((sibling) => sibling.domain !== HOST).length;
    load.forcedIdle += core.siblings.filter((sibling) => sibling.forcedIdle).length;
  }
  return load;
}

/** In words, from nanoseconds to days. */
export function durationText(ns) {
  const seconds = ns / 1e9;
  if (seconds < 1) return `${Number((ns / 1e6).toPrecision(3))} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
