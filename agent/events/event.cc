// SPDX-License-Identifier: Apache-2.0
#include "agent/events/event.h"

#include <syslog.h>

#include <cstddef>

namespace corral {
namespace {

constexpr EventSpec kEvents[] = {
    {.event = Event::kClassLost,
     .name = "class-lost",
     .message_id = "1d6e7e12e92a415ba1dba8cba64e89e8",
     .priority = LOG_CRIT,
     .subject = "The class was put out of charge",
     .meaning = "The kernel no longer asks the class: its watchdog, SysRq or an error of the class "
                "ended it. `class_loss` in corral.yaml(5) says what becomes of the VMs meanwhile.",
     .runbook = "Nothing, if the class is back within seconds (class-back). Otherwise read the "
                "reason in the message and in dmesg(1), and report it with corralctl(1) `status "
                "--json` if it names Corral."},
    {.event = Event::kClassBack,
     .name = "class-back",
     .message_id = "45831e6ecd994168b272c0d24411095d",
     .priority = LOG_NOTICE,
     .subject = "The class is in charge again",
     .meaning =
         "corrald loaded it again. VMs that were stopped go on as soon as their threads are in it.",
     .runbook = "Look whether class-lost comes again. corralctl(1) `audit` tells whether cores "
                "were shared in between."},
    {.event = Event::kClassGone,
     .name = "class-gone",
     .message_id = "342f99d1092a4afa996ea781fcf16e9f",
     .priority = LOG_CRIT,
     .subject = "The class cannot be loaded again",
     .meaning = "What the VMs do now is said in the message: they share cores, stay stopped, or "
                "run with one SMT sibling for each core.",
     .runbook = "Find the cause with corralctl(1) `check`, remove it, then: systemctl restart "
                "corral-class corrald. CPUs that were taken offline are set online with chcpu(8)."},
    {.event = Event::kSiblingsOffline,
     .name = "siblings-offline",
     .message_id = "3555116ac8a5470aabf4084506a748c3",
     .priority = LOG_CRIT,
     .subject = "SMT siblings were taken offline",
     .meaning =
         "Without the class this keeps VMs off each other's cores; the host has half of its CPUs.",
     .runbook = "As for class-gone. Set the CPUs that the message names online with `chcpu -e` "
                "afterwards."},
    {.event = Event::kVmsResumed,
     .name = "vms-resumed",
     .message_id = "e3e2982f193648469ec71c7c264ba8a4",
     .priority = LOG_NOTICE,
     .subject = "VMs that were stopped go on",
     .meaning = "They were stopped because their threads ran past the class, and their threads are "
                "in it again.",
     .runbook = "Nothing."},
    {.event = Event::kVmsResumedUnprotected,
     .name = "vms-resumed-unprotected",
     .message_id = "146e147cdcd04b6388e89e9a5d95f211",
     .priority = LOG_CRIT,
     .subject = "VMs go on without protection",
     .meaning = "Not all threads of these processes could be attached again in time.",
     .runbook =
         "See what corralctl(1) `domains` says of their vCPUs, remove the cause, then: systemctl "
         "restart corrald. Migrate them away if they must not share cores meanwhile."},
    {.event = Event::kBypassed,
     .name = "bypassed",
     .message_id = "19e8759e767a48c488408f9c1d4a52fb",
     .priority = LOG_WARNING,
     .subject = "The kernel ran threads past the class",
     .meaning = "As it does around a suspend. Their processes were stopped meanwhile.",
     .runbook = "Nothing, if the host was suspended. Otherwise look for what stopped the class in "
                "dmesg(1)."},
    {.event = Event::kUnprotected,
     .name = "unprotected",
     .message_id = "2f20ceb75a4b422d995ef4408689836f",
     .priority = LOG_WARNING,
     .subject = "A vCPU is unprotected",
     .meaning = "No enclave can hold it: it is pinned outside, has a real-time policy, or could "
                "not be attached. It may share a core with any VM.",
     .runbook =
         "The message names cause and remedy. With `admission: strict` such a VM does not start."},
    {.event = Event::kProtectedAgain,
     .name = "protected-again",
     .message_id = "ae20955f04834a39bbe0410aaec8d0ce",
     .priority = LOG_NOTICE,
     .subject = "A vCPU is protected again",
     .meaning = "What kept it from being protected is over.",
     .runbook = "Nothing."},
    {.event = Event::kBudgetRefused,
     .name = "budget-refused",
     .message_id = "18491ed853944edca1336d13a028c191",
     .priority = LOG_WARNING,
     .subject = "A budget cannot be promised",
     .meaning = "The vCPU runs with what is left over. The message says how much was asked for, "
                "how much is free, and where.",
     .runbook = "Ask for less, move a VM away, or let it use more CPUs; the budget is promised as "
                "soon as it fits."},
    {.event = Event::kBudgetPromised,
     .name = "budget-promised",
     .message_id = "024830c26a564f06b6996c571d97c9b7",
     .priority = LOG_INFO,
     .subject = "A budget that had been refused is promised",
     .meaning = "It fits now.",
     .runbook = "Nothing."},
    {.event = Event::kPinConflict,
     .name = "pin-conflict",
     .message_id = "a0948b80cd5d4b989e448016a9d1f282",
     .priority = LOG_WARNING,
     .subject = "Pins make VMs take turns on a core",
     .meaning = "vCPUs of several trust domains may use this core and no other.",
     .runbook = "Pin them apart with `virsh vcpupin`, or put the VMs into one trust domain."},
    {.event = Event::kAgentLost,
     .name = "agent-lost",
     .message_id = "402188c0b5bb4db8b3a4ea885bf6c764",
     .priority = LOG_ERR,
     .subject = "An agent has ended",
     .meaning = "The class schedules its cores by itself, isolated, until another agent is there; "
                "that takes less than a second. One that decides nothing for some seconds, though "
                "vCPUs wait, is killed.",
     .runbook = "Nothing, if it happens once. If it goes on, choose another policy with "
                "corralctl(1) `policy set`, and report the message."},
    {.event = Event::kAgentStarted,
     .name = "agent-started",
     .message_id = "c84404aab49e49cfbcf62b3222fa1842",
     .priority = LOG_INFO,
     .subject = "An agent was started",
     .meaning = "It decides for its enclave from now on.",
     .runbook = "Nothing."},
    {.event = Event::kAgentsMissing,
     .name = "agents-missing",
     .message_id = "511461eca6df4e238a7acfdc683c4947",
     .priority = LOG_WARNING,
     .subject = "Not every core has an agent",
     .meaning = "The class schedules those cores by itself, isolated; promises are not kept there.",
     .runbook = "See agent-lost, and corralctl(1) `status`."},
    {.event = Event::kThreadsReleased,
     .name = "threads-released",
     .message_id = "15ca2ff58ec94f9980c44535aa5bb75c",
     .priority = LOG_WARNING,
     .subject = "Threads of an enclave went back to where they came from",
     .meaning = "`without_agent: release` says so in corral.yaml(5).",
     .runbook = "See agent-lost."},
    {.event = Event::kPolicyChanged,
     .name = "policy-changed",
     .message_id = "10720200cf854bf9a407cee4fa55e9c3",
     .priority = LOG_NOTICE,
     .subject = "Another policy decides",
     .meaning = "It was asked for, and took over in place.",
     .runbook = "Nothing."},
    {.event = Event::kPolicyRefused,
     .name = "policy-refused",
     .message_id = "6768300fed2d4472a5c70b3af5e0886b",
     .priority = LOG_ERR,
     .subject = "A policy could not take over",
     .meaning = "The former one goes on.",
     .runbook = "The message says why."},
    {.event = Event::kPolicyRolledBack,
     .name = "policy-rolled-back",
     .message_id = "c35f2d97b6094814bba4cc51d3225990",
     .priority = LOG_ERR,
     .subject = "A new agent did not do well, and its predecessor's like came back",
     .meaning = "It ended, let tasks wait, took promises back or missed them, within the time that "
                "`switch_trial` gives it in corral.yaml(5). The VMs went on, isolated.",
     .runbook = "The message says what it did. corral.yaml(5) still asks for it: correct that, or "
                "the next reload tries again."},
    {.event = Event::kAgentUpgraded,
     .name = "agent-upgraded",
     .message_id = "e8333be892314e6f9b63643c627b0b7d",
     .priority = LOG_NOTICE,
     .subject = "An agent of another program decides",
     .meaning = "It was asked for, or a package was updated; it took over in place.",
     .runbook = "Nothing."},
    {.event = Event::kClassUpgraded,
     .name = "class-upgraded",
     .message_id = "94f9e628204e41418e545b42b701a994",
     .priority = LOG_NOTICE,
     .subject = "Another class is in charge",
     .meaning = "A package was updated, and corralctl(1) `upgrade` asked for it. The VMs were "
                "stopped from the one to the other, for as long as the message says.",
     .runbook = "Nothing."},
    {.event = Event::kClassNotUpgraded,
     .name = "class-not-upgraded",
     .message_id = "5194cba8d5584a2abdfe4fc7d882c707",
     .priority = LOG_ERR,
     .subject = "Another class could not take over",
     .meaning = "The former one is in charge, or the new one after all; the VMs go on, unless the "
                "message says that they do not.",
     .runbook = "The message says why. To take the new one up at a time of your choice: stop the "
                "VMs, then `systemctl restart corral-class corrald`."},
    {.event = Event::kHandoverMended,
     .name = "handover-mended",
     .message_id = "12ab70a2fa674cc992358235d6985d2a",
     .priority = LOG_WARNING,
     .subject = "A replacement of the class that came to no end was brought to one",
     .meaning = "Whoever was at it died. VMs that were stopped for it go on, isolated.",
     .runbook = "Look in the journal for what killed corrald or corral-class."},
    {.event = Event::kEnclaveReshaped,
     .name = "enclave-reshaped",
     .message_id = "04c80f8c0c47470f918b5a03058ad093",
     .priority = LOG_NOTICE,
     .subject = "An enclave came, went, or has other CPUs",
     .meaning = "corral.yaml(5) said so at a reload. Meanwhile the class scheduled it, isolated.",
     .runbook = "Nothing."},
    {.event = Event::kAuditLogHead,
     .name = "audit-log-head",
     .message_id = "df735a00a82a4297aea00fb348da42d9",
     .priority = LOG_INFO,
     .subject = "The hash of the audit log's last entry",
     .meaning = "Told once an hour. Kept where the host cannot change it, it proves that the log "
                "was not changed up to there: corralctl(1) `audit statement --expect`.",
     .runbook = "Nothing. Ship the journal to another host."},
    {.event = Event::kAuditLogBroken,
     .name = "audit-log-broken",
     .message_id = "635021670f864cd88a7598da9ebca8fa",
     .priority = LOG_ERR,
     .subject = "The audit log was changed, or cannot be written",
     .meaning = "A line is not what was written there, or the disk is full. Nothing else is wrong; "
                "but of the time from then on there is no statement.",
     .runbook = "The message says what is wrong. Keep a log that was changed as evidence: move it "
                "away and restart corrald, which begins another."},
    {.event = Event::kReloadRefused,
     .name = "reload-refused",
     .message_id = "8aab969095de460387fa80a150bc35a8",
     .priority = LOG_ERR,
     .subject = "The configuration was not taken up",
     .meaning = "Everything goes on as it was.",
     .runbook = "Correct the lines that the message names; corralctl(1) `config check` judges them "
                "before a reload."},
    {.event = Event::kReloaded,
     .name = "reloaded",
     .message_id = "fc9ec0f25e384c58ad7c69edb78d0496",
     .priority = LOG_NOTICE,
     .subject = "The configuration was taken up",
     .meaning = "All of it is in force.",
     .runbook = "Nothing."},
    {.event = Event::kTicks,
     .name = "ticks",
     .message_id = "446afaf094984efb9a8b725eb1be07bc",
     .priority = LOG_WARNING,
     .subject = "A tickless enclave has timer ticks",
     .meaning = "Or has none any more: the message says which. Ticks interrupt its threads on the "
                "CPU that is named.",
     .runbook = "Keep host threads off its CPUs, and give each CPU one thread to run at a time. "
                "See `cores --ticks` in corralctl(1)."},
};

constexpr bool IsInOrder() {
  for (size_t i = 0; i < std::size(kEvents); ++i) {
    if (static_cast<size_t>(kEvents[i].event) != i) return false;
  }
  return true;
}
static_assert(IsInOrder());

}  // namespace

absl::Span<const EventSpec> Events() { return kEvents; }

const EventSpec& SpecOf(Event event) { return kEvents[static_cast<size_t>(event)]; }

}  // namespace corral
