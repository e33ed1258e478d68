// SPDX-License-Identifier: Apache-2.0
#include "config/keys.h"

#include <algorithm>

namespace corral {
namespace {

// GHOST_MAX_ENCLAVES.
constexpr size_t kMaxEnclaves = 16;
// GHOST_NAME_LEN, with its end.
constexpr size_t kMaxEnclaveName = 15;
// As long as a label of a DNS name, which names of tenants and projects are made for.
constexpr size_t kMaxTrustName = 63;
// Each is a connection with a thread.
constexpr size_t kMaxLibvirtUris = 8;
// Far more than anybody writes: a bound on what aliases of YAML can multiply.
constexpr size_t kMaxRules = 1024;
constexpr size_t kMaxVmsOfRule = 1024;
// Units and processes of an enclave.
constexpr size_t kMaxSelected = 64;

constexpr absl::string_view kModes[] = {"observe", "enforce"};
constexpr absl::string_view kClassLosses[] = {"recover", "pause", "release"};
constexpr absl::string_view kScopes[] = {"vms", "host"};
constexpr absl::string_view kVms[] = {"libvirt", "qemu"};
constexpr absl::string_view kAdmissions[] = {"open", "strict"};
constexpr absl::string_view kIsolates[] = {"vcpus", "emulator", "full"};
constexpr absl::string_view kWithoutAgents[] = {"schedule", "release"};
constexpr absl::string_view kAuto[] = {"auto"};
constexpr absl::string_view kOff[] = {"off"};

constexpr KeySpec kLibvirtKeys[] = {
    {.name = "uri",
     .type = KeyType::kUri,
     .shape = KeyShape::kOneOrMore,
     .unique = true,
     .default_value = "qemu:///system",
     .min_count = 1,
     .max_count = kMaxLibvirtUris,
     .example = "qemu:///system",
     .argument = "URI",
     .help = "The libvirt that holds the VMs. A read-only connection to each is all that is asked "
             "for."},
};

constexpr KeySpec kTrustRuleKeys[] = {
    {.name = "name",
     .type = KeyType::kName,
     .required = true,
     .max_length = kMaxTrustName,
     .example = "web",
     .argument = "name",
     .help = "Names the trust domain."},
    {.name = "vms",
     .type = KeyType::kGlob,
     .shape = KeyShape::kOneOrMore,
     .required = true,
     .min_count = 1,
     .max_count = kMaxVmsOfRule,
     .example = "web-*",
     .argument = "VM",
     .help = "The VMs, by their names in libvirt. In a name, * stands for any characters and ? for "
             "any single one; YAML wants quotation marks where one of them comes first."},
};

constexpr KeySpec kTrustKeys[] = {
    {.name = "nova_projects",
     .type = KeyType::kBool,
     .default_value = "false",
     .example = "true",
     .help = "With `true`, VMs of the same project of OpenStack are one trust domain."},
    {.name = "rules",
     .shape = KeyShape::kList,
     .max_count = kMaxRules,
     .keys = kTrustRuleKeys,
     .item = "a rule",
     .example = "{name: web, vms: web-*}",
     .argument = "list",
     .help = "The VMs that a rule names trust each other. The first rule that names a VM counts. "
             "No two rules have the same name."},
};

constexpr KeyRule kEnclaveRules[] = {
    {.key = "cgroup",
     .other = "vms",
     .wants = KeyRule::Wants::kAbsent,
     .message = "an enclave holds VMs or a cgroup, not both; make two enclaves"},
    {.key = "units",
     .other = "vms",
     .wants = KeyRule::Wants::kAbsent,
     .message = "an enclave holds VMs or units, not both; make two enclaves"},
    {.key = "processes",
     .other = "vms",
     .wants = KeyRule::Wants::kAbsent,
     .message = "an enclave holds VMs or processes, not both; make two enclaves"},
    {.key = "admission",
     .when = "strict",
     .other = "vms",
     .wants = KeyRule::Wants::kValue,
     .value = "libvirt",
     .message = "admission: strict is kept by libvirt's hook; add \"vms: libvirt\" to this enclave "
                "or leave it out"},
    {.key = "without_agent",
     .when = "release",
     .other = "vms",
     .wants = KeyRule::Wants::kAbsent,
     .message = "without_agent: release would let VMs share cores; leave it out, and the class "
                "keeps them apart"},
};

constexpr KeySpec kEnclaveKeys[] = {
    {.name = "name",
     .type = KeyType::kName,
     .required = true,
     .max_length = kMaxEnclaveName,
     .example = "vms",
     .argument = "name",
     .help = "No two enclaves have the same."},
    {.name = "cpus",
     .type = KeyType::kCpus,
     .default_value = "auto",
     .choices = kAuto,
     .example = "\"0-3,8\"",
     .argument = "cpulist",
     .help = "`auto` stands for all CPUs that no other enclave has; one enclave may have it. A "
             "cpulist such as `2-7,10-15` names them. No CPU may be in two enclaves, and no "
             "physical core may be split: an SMT sibling belongs to where the others are."},
    {.name = "policy",
     .type = KeyType::kPolicy,
     .default_value = "secure_vm",
     .example = "secure_vm",
     .argument = "name",
     .help = "Who decides in this enclave."},
    {.name = "vms",
     .type = KeyType::kChoice,
     .choices = kVms,
     .example = "libvirt",
     .advice = "leave the key out if the enclave holds no VMs",
     .help = "With `libvirt`, this enclave holds all VMs that libvirt runs; with `qemu`, those of "
             "plain QEMU processes, where there is no libvirt in reach, as with Proxmox and "
             "KubeVirt. One enclave may hold VMs."},
    {.name = "admission",
     .type = KeyType::kChoice,
     .default_value = "open",
     .choices = kAdmissions,
     .example = "open",
     .help = "What becomes of a VM whose vCPUs the enclave cannot protect. With `open` it starts, "
             "and is told to be unprotected. With `strict` a libvirt hook refuses its start, as "
             "corral.yaml(5) tells. That needs `vms: libvirt`."},
    {.name = "cgroup",
     .type = KeyType::kCgroup,
     .example = "system.slice/web.service",
     .argument = "path",
     .help = "This enclave holds the threads of a cgroup and of those below it, and their "
             "children; for example `system.slice/web.service`. An enclave holds VMs or other "
             "threads, not both. One that names none is for corralctl(1) `run`."},
    {.name = "units",
     .type = KeyType::kUnit,
     .shape = KeyShape::kOneOrMore,
     .unique = true,
     .min_count = 1,
     .max_count = kMaxSelected,
     .example = "mariadb.service",
     .argument = "unit",
     .help = "This enclave holds the threads of these services, scopes and slices of the system's "
             "systemd(1), and their children. A unit that starts later is taken in within a "
             "second."},
    {.name = "processes",
     .type = KeyType::kGlob,
     .shape = KeyShape::kOneOrMore,
     .unique = true,
     .min_count = 1,
     .max_count = kMaxSelected,
     .example = "redis-server",
     .argument = "process",
     .help = "This enclave holds the threads of these processes, and their children. A number is "
             "the id of a process, and anything else its name as `ps -o comm` has it, of at most "
             "15 characters, in which * stands for any characters and ? for any single one. A "
             "process that starts later is taken in within a second. Kernel threads and Corral's "
             "own are not."},
    {.name = "isolate",
     .type = KeyType::kChoice,
     .default_value = "vcpus",
     .choices = kIsolates,
     .example = "vcpus",
     .help = "Which threads of a VM are kept apart from those of others: its vCPUs; or all threads "
             "of its QEMU process; or those of the programs as well that libvirt started for it, "
             "such as swtpm and virtiofsd. The words are those of `sched_core` in qemu.conf. "
             "Threads that are left out run wherever the default scheduler puts them, also beside "
             "another VM's vCPU; corralctl(1) `audit` tells for how long."},
    {.name = "strict",
     .type = KeyType::kBool,
     .default_value = "false",
     .example = "true",
     .help = "With `true`, the class's threads leave a core while a user task of the host runs on "
             "one of its SMT siblings, and idle or go elsewhere meanwhile. Kernel threads and "
             "Corral's agents do not count. It protects VMs and host from each other on a core, "
             "and costs as much time as the host's tasks take on the enclave's CPUs: keep them on "
             "others. A thread that has waited for 2 seconds is let in nevertheless."},
    {.name = "tickless",
     .type = KeyType::kBool,
     .default_value = "false",
     .example = "true",
     .help = "With `true`, no timer ticks shall interrupt the enclave's threads. Its CPUs must all "
             "be in `nohz_full=` of the kernel's command line, or the configuration is refused; "
             "and each should have one thread to run at a time. corrald tells how many ticks a "
             "second there are, and says so when they come after all; corralctl(1) `cores --ticks` "
             "counts them on each CPU and tells where they come from."},
    {.name = "without_agent",
     .type = KeyType::kChoice,
     .default_value = "schedule",
     .choices = kWithoutAgents,
     .example = "schedule",
     .help = "What becomes of the enclave's threads when no agent can be started for it. With "
             "`schedule` the class runs them by itself, one trust domain after the other. With "
             "`release` they go back to the scheduler that they came from after 3 seconds; those "
             "of its cgroup come back with the next agent. An enclave that holds VMs cannot be "
             "released."},
    {.name = "options",
     .type = KeyType::kOptions,
     .example = "{tenure: 20ms}",
     .argument = "map",
     .help = "Options of the policy."},
};

constexpr KeyRule kRootRules[] = {
    {.key = "mode",
     .when = "enforce",
     .other = "enclaves",
     .wants = KeyRule::Wants::kPresent,
     .message = "there is nothing to enforce; add an enclave or write observe"},
};

constexpr KeySpec kRootKeys[] = {
    {.name = "version",
     .type = KeyType::kVersion,
     .required = true,
     .example = "1",
     .argument = "1",
     .help = "Of the format. Each file has it, drop-ins too."},
    {.name = "mode",
     .type = KeyType::kChoice,
     .default_value = "observe",
     .choices = kModes,
     .example = "observe",
     .help = "With `observe` Corral watches and tells what it would do; it touches no thread and "
             "needs no class in the kernel. With `enforce` no physical core runs two VMs at once. "
             "That needs the class, see corrald(8), and at least one enclave. corralctl(1) "
             "`enable` and `disable` change it."},
    {.name = "class_loss",
     .type = KeyType::kChoice,
     .default_value = "recover",
     .choices = kClassLosses,
     .example = "recover",
     .help = "What happens when the kernel puts the class out of charge. With `recover` the VMs "
             "are stopped at once, the class is loaded again, and they go on as soon as they are "
             "in it. If it cannot be loaded within 5 seconds, all but one SMT sibling of each of "
             "the enclaves' cores are taken offline, and the VMs go on. With `pause` they stay "
             "stopped in that case. With `release` they are not stopped at all, and share cores "
             "until the class is back."},
    {.name = "scope",
     .type = KeyType::kChoice,
     .default_value = "vms",
     .choices = kScopes,
     .example = "vms",
     .help = "Whose threads the class schedules. With `vms` those of the enclaves; the host's own "
             "threads are the default scheduler's, and may run beside a VM (see `strict`). With "
             "`host` the class has the host's threads as well, and no core runs one of them and a "
             "VM at once; they take at most half of the time of a core that VMs want, in turns of "
             "5 ms. Real-time threads and kernel threads that are bound to a CPU are not held "
             "back. The weights of control groups do not count then, nice values do. A reload "
             "changes it: another class takes over, and the VMs are held for a moment."},
    {.name = "switch_trial",
     .type = KeyType::kTime,
     .default_value = "10s",
     .choices = kOff,
     .min = "1s",
     .max = "10m",
     .example = "10s",
     .argument = "time",
     .help = "How long an agent that took over from another one is watched. If it ends meanwhile, "
             "lets tasks wait so long that the class schedules a core without it, takes promises "
             "back or misses more than 5% of them, the former policy comes back. With `off` it is "
             "not watched; one that does not take over at all is rolled back nevertheless."},
    {.name = "libvirt",
     .keys = kLibvirtKeys,
     .example = "{uri: qemu:///system}",
     .argument = "map",
     .help = "Where libvirt is."},
    {.name = "housekeeping",
     .type = KeyType::kCpus,
     .example = "\"0-3,8\"",
     .argument = "cpulist",
     .help = "The CPUs on which the agents' own threads run, and those threads of VMs that are not "
             "isolated (see `isolate`); one that was bound with virsh emulatorpin or iothreadpin "
             "stays where it is. They get their former CPUs back when the class is stopped. "
             "Without it each agent runs on the core for which it decides, and VMs' other threads "
             "run anywhere."},
    {.name = "samples",
     .type = KeyType::kTime,
     .default_value = "10s",
     .choices = kOff,
     .min = "1s",
     .max = "10m",
     .example = "10s",
     .argument = "time",
     .help = "How often corrald records what trust domains had and waited for while it enforces, "
             "for corralctl(1) `report`. The file `samples.ring` in its state directory has the "
             "last 24 hours and at most 64 MiB, so on a host with many trust domains samples come "
             "less often: every 41 seconds with 200 of them on 256 CPUs. With `off` none are "
             "recorded."},
    {.name = "trust_domains",
     .keys = kTrustKeys,
     .example = "{rules: [{name: web, vms: web-*}]}",
     .argument = "map",
     .help = "Which VMs trust each other and may share a core. Without it each VM is alone."},
    {.name = "enclaves",
     .shape = KeyShape::kList,
     .max_count = kMaxEnclaves,
     .keys = kEnclaveKeys,
     .rules = kEnclaveRules,
     .item = "an enclave",
     .example = "{name: vms, vms: libvirt}",
     .argument = "list",
     .help = "Sets of CPUs, each with a policy of its own."},
};

constexpr KeySpec kRoot = {
    .keys = kRootKeys, .rules = kRootRules, .example = "{version: 1, mode: observe}"};

}  // namespace

const KeySpec& RootKey() { return kRoot; }

const KeySpec* FindKey(const KeySpec& map, absl::string_view name) {
  const auto key = std::find_if(map.keys.begin(), map.keys.end(),
                                [&](const KeySpec& spec) { return spec.name == name; });
  return key == map.keys.end() ? nullptr : &*key;
}

}  // namespace corral
