// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/class_half.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "tests/bench/groups.h"

namespace corral::bench {
namespace {

constexpr char kMessageLoop[] = "harness.message";
constexpr char kTxnLoop[] = "harness.txn";
constexpr int kMessages = 2000;
constexpr int kRounds = 20;

static_assert(kMessages <= LoadedClass::kQueueMessages);

Figure::Round EventRound(LoadedClass& loaded, overheads_depth depth, bool loud = false) {
  return [&loaded, depth, loud]() -> absl::StatusOr<double> {
    loaded.queue().Drain([](const ghost_msg&) {});
    const absl::StatusOr<double> took =
        Timed([&] { return loaded.Events(kMessages, depth, {.loud = loud}); });
    const int posted = loaded.queue().Drain([](const ghost_msg&) {});
    const int expected = depth == OVERHEADS_LOOP ? 0 : kMessages;
    if (took.ok() && posted != expected) {
      return absl::InternalError(
          absl::StrCat(posted, " messages came of ", expected, " that were posted"));
    }
    return took;
  };
}

// Transactions for all cores, `siblings` of each, again and again.
Figure::Round TxnRound(LoadedClass& loaded, int siblings, bool commit) {
  auto args = std::make_shared<overheads_txns>();
  auto tasks = std::make_shared<Tasks>(loaded);
  return [&loaded, args, tasks, siblings, commit]() -> absl::StatusOr<double> {
    if (const absl::Status status = loaded.TakeBack(); !status.ok()) return status;
    tasks->Refresh();
    *args = {.rounds = kRounds, .nr = OVERHEADS_CORES, .commit = commit};
    for (int core = 0; core < OVERHEADS_CORES; ++core)
      tasks->Transaction(core, 0, siblings).WriteTo(args->txn[core]);
    const absl::StatusOr<double> took = Timed([&] { return loaded.Transactions(*args); });
    const uint32_t expected = commit ? kRounds * OVERHEADS_CORES : 0;
    if (took.ok() && args->completed != expected) {
      return absl::InternalError(absl::StrCat(args->completed, " transactions were completed of ",
                                              expected, " that were committed"));
    }
    return took;
  };
}

void AddMessages(LoadedClass& loaded, std::vector<Figure>& figures) {
  figures.push_back({.id = "message",
                     .name = "message",
                     .round = EventRound(loaded, OVERHEADS_MESSAGE),
                     .operations = kMessages,
                     .subtract = kMessageLoop,
                     .includes = "room in the ring buffer, the time, all fields, handing it over",
                     .excludes = "waking a sleeping agent, reading it"});
  figures.push_back(
      {.id = "message.loud",
       .name = "message that wakes whoever sleeps",
       .round = EventRound(loaded, OVERHEADS_MESSAGE, true),
       .operations = kMessages,
       .subtract = kMessageLoop,
       .includes = "the same, and an interrupt of the poster's CPU: irq_work, which wakes",
       .excludes = "anybody who sleeps, reading it"});
  figures.push_back(
      {.id = "event",
       .name = "event with its message",
       .round = EventRound(loaded, OVERHEADS_EVENT),
       .operations = kMessages,
       .subtract = kMessageLoop,
       .includes = "the task's new state and barrier, its status word, and the message",
       .excludes =
           "the kernel's own part of a preemption, giving up the core, waking a sleeping agent"});
  figures.push_back({.id = kMessageLoop,
                     .name = "(harness of the three)",
                     .round = EventRound(loaded, OVERHEADS_LOOP),
                     .operations = kMessages,
                     .includes = "loop and look-ups; subtracted from the three",
                     .excludes = "what is measured"});
}

void AddTransactions(LoadedClass& loaded, std::vector<Figure>& figures) {
  for (const Group& group : kGroups) {
    figures.push_back(
        {.id = absl::StrCat("txn.", group.id),
         .name = absl::StrCat("validated transaction, ", group.name),
         .round = TxnRound(loaded, group.siblings, true),
         .operations = kRounds * OVERHEADS_CORES / group.cores,
         .subtract = kTxnLoop,
         .includes =
             "copying it in, all checks, latching all targets or none, the decision for each CPU, "
             "status words",
         .excludes = "the system call, the kicks (IPIs), the switch on the target"});
  }
  figures.push_back({.id = kTxnLoop,
                     .name = "(harness of the transactions)",
                     .round = TxnRound(loaded, OVERHEADS_SIBLINGS, false),
                     .operations = kRounds * OVERHEADS_CORES,
                     .includes = "loop and taking decisions back, per core; subtracted from them",
                     .excludes = "what is measured"});
}

}  // namespace

std::vector<Figure> ClassFigures(LoadedClass& loaded) {
  std::vector<Figure> figures;
  AddMessages(loaded, figures);
  AddTransactions(loaded, figures);
  return figures;
}

}  // namespace corral::bench
