// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/agent_half.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "agent/runtime/transaction.h"
#include "tests/bench/groups.h"
#include "tests/bench/trivial_fifo.h"

namespace corral::bench {
namespace {

constexpr char kClock[] = "harness.clock";
constexpr char kMeter[] = "harness.meter";
constexpr int kCalls = 100;

// What a committer needs from round to round.
struct Committer {
  explicit Committer(LoadedClass& loaded) : loaded(loaded), tasks(loaded) {}

  // Decides about all CPUs, a group with each call.
  absl::Status All(const Group& group) {
    for (int core = 0; core < OVERHEADS_CORES; core += group.cores) {
      for (int first = 0; first < OVERHEADS_SIBLINGS; first += group.siblings) {
        if (const absl::Status status = One(group, core, first); !status.ok()) return status;
      }
    }
    return absl::OkStatus();
  }

  absl::Status One(const Group& group, int core, int first) {
    batch.Clear();
    for (int i = 0; i < group.cores; ++i)
      batch.Add(tasks.Transaction(core + i, first, group.siblings));
    ghost_commit& call = batch.call();
    const absl::Status status = loaded.agent().Commit(call);
    if (status.ok() && call.completed != call.nr) {
      return absl::InternalError(
          absl::StrCat(call.completed, " of ", call.nr, " transactions were completed"));
    }
    return status;
  }

  LoadedClass& loaded;
  Tasks tasks;
  CommitBatch batch;
};

Figure::Round CommitRound(LoadedClass& loaded, const Group& group) {
  auto committer = std::make_shared<Committer>(loaded);
  return [&loaded, committer, group]() -> absl::StatusOr<double> {
    if (const absl::Status status = loaded.TakeBack(); !status.ok()) return status;
    committer->tasks.Refresh();
    return Timed([&] { return committer->All(group); });
  };
}

Figure::Round EmptyCommitRound(LoadedClass& loaded) {
  auto call = std::make_shared<ghost_commit>();
  return [&loaded, call] {
    return Timed([&] {
      for (int i = 0; i < kCalls; ++i) {
        if (const absl::Status status = loaded.agent().Commit(*call); !status.ok()) return status;
      }
      return absl::OkStatus();
    });
  };
}

Figure::Round SystemCallRound() {
  return [] {
    return Timed([] {
      for (int i = 0; i < kCalls; ++i) syscall(SYS_getppid);
      return absl::OkStatus();
    });
  };
}

// A FIFO that has given every task to a CPU.
absl::StatusOr<std::unique_ptr<TrivialFifo>> MakeFifo(LoadedClass& loaded) {
  auto fifo = std::make_unique<TrivialFifo>(loaded.agent(), loaded.queue(), OVERHEADS_CORES,
                                            OVERHEADS_SIBLINGS);
  if (const absl::Status status = loaded.TakeBack(); !status.ok()) return status;
  for (int cpu = 0; cpu < OVERHEADS_CPUS; ++cpu) fifo->Adopt(loaded.task(cpu));
  if (const absl::Status status = fifo->Decide(0); !status.ok()) return status;
  return fifo;
}

// Every task loses its CPU and is given one again.
Figure::Round DecisionRound(LoadedClass& loaded, int cores_per_commit) {
  auto made = std::make_shared<std::unique_ptr<TrivialFifo>>();
  return [&loaded, cores_per_commit, made]() -> absl::StatusOr<double> {
    loaded.queue().Drain([](const ghost_msg&) {});
    if (*made == nullptr) {
      absl::StatusOr<std::unique_ptr<TrivialFifo>> fifo = MakeFifo(loaded);
      if (!fifo.ok()) return fifo.status();
      *made = *std::move(fifo);
    }
    TrivialFifo& fifo = **made;
    const int before = fifo.decisions();
    if (const absl::Status status = loaded.Events(OVERHEADS_CPUS, OVERHEADS_EVENT, {});
        !status.ok())
      return status;
    const absl::StatusOr<double> took = Timed([&] {
      fifo.Receive();
      return fifo.Decide(cores_per_commit);
    });
    const int decisions = fifo.decisions() - before;
    if (took.ok() && decisions != OVERHEADS_CPUS) {
      return absl::InternalError(
          absl::StrCat("the FIFO made ", decisions, " decisions about ", OVERHEADS_CPUS, " tasks"));
    }
    return took;
  };
}

// Every task loses its CPU, and the centralized agent's next turn gives all CPUs a task.
Figure::Round CentralRound(CentralFifo& central) {
  return [&central]() -> absl::StatusOr<double> {
    if (const absl::Status status = central.LoseAll(); !status.ok()) return status;
    const absl::StatusOr<double> took = Timed([&] {
      central.Turn();
      return absl::OkStatus();
    });
    if (const absl::Status status = central.Check(); !status.ok()) return status;
    return took;
  };
}

// The same without what the call takes that commits. Of the same turn: what the class wrote is to
// be fetched again afterwards.
Figure::Round CentralAgentRound(CentralFifo& central) {
  return [&central, round = CentralRound(central)]() -> absl::StatusOr<double> {
    const double before = central.kernel().commit_seconds();
    central.kernel().Meter(true);
    const absl::StatusOr<double> took = round();
    central.kernel().Meter(false);
    if (!took.ok()) return took;
    return *took - (central.kernel().commit_seconds() - before);
  };
}

// What reading the clock within such a turn adds to it.
absl::StatusOr<double> MeterRound() {
  double inner = 0;
  const absl::StatusOr<double> took = Timed([&] {
    const double begin = ThreadSeconds();
    inner = ThreadSeconds() - begin;
    return absl::OkStatus();
  });
  if (!took.ok()) return took;
  return *took - inner;
}

std::vector<PaperFigure> PaperOf(const Group& group) {
  switch (group.cpus()) {
    case 1:
      return {
          {"local schedule, 1 transaction", 888,
           "the commit and the switch from the agent to the thread"},
          {"remote schedule, 1 transaction, agent side", 668, "the commit and sending the IPI"}};
    case 10:
      return {{"remote schedule, 10 transactions, agent side", 3964,
               "the commits and sending the IPIs"}};
    default:
      return {};
  }
}

Figure CommitFigure(LoadedClass& loaded, const Group& group) {
  return {.id = absl::StrCat("commit.", group.id),
          .name = absl::StrCat("commit, ", group.name),
          .round = CommitRound(loaded, group),
          .operations = OVERHEADS_CPUS / group.cpus(),
          .subtract = kClock,
          .paper = PaperOf(group),
          .includes =
              "writing the transactions, one system call, all that the class does for "
              "them, reading each outcome",
          .excludes = "the kicks (IPIs), the switch on the target"};
}

void AddCommits(LoadedClass& loaded, std::vector<Figure>& figures) {
  for (const Group& group : kGroups) figures.push_back(CommitFigure(loaded, group));
  figures.push_back({.id = "commit.empty",
                     .name = "commit of nothing",
                     .round = EmptyCommitRound(loaded),
                     .operations = kCalls,
                     .subtract = kClock,
                     .includes = "the system call alone: bpf(2), its arguments in and out",
                     .excludes = "any transaction"});
}

Figure DecisionFigure(LoadedClass& loaded, absl::string_view id, absl::string_view name,
                      int cores_per_commit) {
  return {.id = std::string(id),
          .name = std::string(name),
          .round = DecisionRound(loaded, cores_per_commit),
          .operations = OVERHEADS_CPUS,
          .subtract = kClock,
          .includes = absl::StrCat("reading the message, the task's record, the FIFO, reading the "
                                   "status word, writing the transaction",
                                   cores_per_commit == 0 ? "" : ", its share of the commit"),
          .excludes = cores_per_commit == 0 ? "sleeping and waking, the commit"
                                            : "sleeping and waking, the kicks (IPIs)"};
}

void AddDecisions(LoadedClass& loaded, std::vector<Figure>& figures) {
  figures.push_back(DecisionFigure(loaded, "decision", "decision about 1 CPU", 0));
  figures.push_back(DecisionFigure(loaded, "decision.committed_2",
                                   "decision about 1 CPU, committed core by core", 1));
  figures.push_back(DecisionFigure(loaded, "decision.committed_100",
                                   "decision about 1 CPU, 100 committed at once", OVERHEADS_CORES));
}

void AddCentral(CentralFifo& central, std::vector<Figure>& figures) {
  constexpr char kTurn[] =
      "a turn of corral-agent's own loop: the queues of all cores, messages, records, waits, which "
      "CPUs are there, the choice of one for each task, the transactions, what became of them";
  figures.push_back({.id = "decision.central",
                     .name = "decision about 1 CPU, by fifo_centralized, 100 at once",
                     .round = CentralRound(central),
                     .operations = OVERHEADS_CPUS,
                     .subtract = kClock,
                     .includes = absl::StrCat(kTurn, ", its share of the commit"),
                     .excludes = "the kicks (IPIs)"});
  figures.push_back({.id = "decision.central_agent",
                     .name = "the agent's own part of that",
                     .round = CentralAgentRound(central),
                     .operations = OVERHEADS_CPUS,
                     .subtract = kMeter,
                     .includes = kTurn,
                     .excludes = "the call that commits, which is measured within the turn"});
}

void AddHarness(std::vector<Figure>& figures) {
  figures.push_back(
      {.id = kClock,
       .name = "(harness of a round)",
       .round = [] { return Timed([] { return absl::OkStatus(); }); },
       .includes = "reading the clock twice; subtracted from every commit and decision",
       .excludes = "what is measured"});
  figures.push_back({.id = kMeter,
                     .name = "(harness of the agent's own part)",
                     .round = MeterRound,
                     .includes = "reading the clock twice more; subtracted from that",
                     .excludes = "what is measured"});
}

}  // namespace

std::vector<Figure> AgentFigures(LoadedClass& loaded, CentralFifo& central) {
  std::vector<Figure> figures;
  AddCommits(loaded, figures);
  AddDecisions(loaded, figures);
  AddCentral(central, figures);
  figures.push_back({.id = "machine.syscall",
                     .name = "(this machine: getppid)",
                     .round = SystemCallRound(),
                     .operations = kCalls,
                     .subtract = kClock,
                     .includes = "entering and leaving the kernel: tells how this machine compares",
                     .excludes = "anything else"});
  AddHarness(figures);
  return figures;
}

}  // namespace corral::bench
