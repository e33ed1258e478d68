// SPDX-License-Identifier: Apache-2.0
// The auditor against threads that overlap for a known time. The truth comes from the threads
// themselves (spinner.h), the tolerance is 1%; where nothing overlaps, the figure is exactly 0.
#include "kernel/audit/auditor.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "tests/audit/machine.h"
#include "tests/audit/spinner.h"

namespace corral {
namespace {

using How = Spinner::How;

constexpr int kOther = 0;
constexpr int kFifo = 1;
constexpr int kExt = 7;

// A kernel that does not report all its task switches is no measure of the auditor, which says so.
// The test host's must.
#define CORRAL_NEEDS_ALL_SWITCHES(report)                                    \
  ASSERT_TRUE((report).gaps.missed_switches == 0 || !machine_.is_test_host); \
  if ((report).gaps.missed_switches > 0) {                                   \
    GTEST_SKIP() << "this kernel hid " << (report).gaps.missed_switches      \
                 << " task switches during the test";                        \
  }

class AuditorTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!machine_.obstacle.empty()) GTEST_SKIP() << machine_.obstacle;
    // Above the spinners, so that what the test does in between happens at its time. Spinners begin
    // as ordinary tasks.
    const sched_param above = {.sched_priority = 60};
    ASSERT_EQ(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &above), 0);
  }
  void TearDown() override {
    const sched_param none = {};
    sched_setscheduler(0, SCHED_OTHER, &none);
  }

  Auditor MustLoad(AuditorOptions options = {}) {
    if (options.cores.empty()) options.cores = machine_.cores;
    // The machine may run real ones, the test host for instance; they are no concern of these
    // tests.
    options.exec_names = {"qemu-system-test"};
    absl::StatusOr<Auditor> auditor = Auditor::Load(options);
    if (!auditor.ok()) throw std::runtime_error(std::string(auditor.status().message()));
    return *std::move(auditor);
  }
  static AuditReport MustRead(const Auditor& auditor) {
    absl::StatusOr<AuditReport> report = auditor.Read();
    if (!report.ok()) throw std::runtime_error(std::string(report.status().message()));
    AuditGaps gaps = report->gaps;
    gaps.missed_switches = 0;  // judged by CORRAL_NEEDS_ALL_SWITCHES
    EXPECT_FALSE(gaps.Any());
    return *std::move(report);
  }
  static void MustDeclare(Auditor& auditor, const std::vector<pid_t>& pids) {
    const absl::Status status = auditor.Declare(pids);
    ASSERT_TRUE(status.ok()) << status;
  }

  // Spins on `cpu` from `from` to `to`, parts of the machine's spin time, from base_ on.
  SpinPlan Plan(int cpu, double from, double to, const char* name = "spin",
                int policy = kFifo) const {
    SpinPlan plan;
    std::snprintf(plan.name, sizeof(plan.name), "%s", name);
    plan.cpu = cpu;
    plan.policy = policy;
    plan.begin = At(from);
    plan.end = At(to);
    return plan;
  }
  int64_t At(double part) const {
    return base_ + static_cast<int64_t>(part * static_cast<double>(machine_.spin.count()));
  }
  // Lets what was started go to sleep, begins an epoch, and waits for the end of the spinning.
  void Measure(Auditor& auditor) {
    SleepUntil(base_ - kLead / 2);
    ASSERT_TRUE(auditor.Reset().ok());
    SleepUntil(At(1) + kLead / 10);
  }
  // The next base: far enough ahead that everybody sleeps before it.
  void Begin() { base_ = MonotonicNow() + kLead; }

  static constexpr int64_t kLead = 200'000'000;
  const Machine machine_ = ThisMachine();
  int64_t base_ = 0;
};

void ExpectWithinOnePercent(Duration measured, Duration at_least, Duration at_most,
                            const char* what) {
  std::printf("%-24s truth %.6f to %.6f s, measured %.6f s\n", what, at_least.count() / 1e9,
              at_most.count() / 1e9, measured.count() / 1e9);
  EXPECT_GT(at_least.count(), 0) << what;
  EXPECT_LT(at_most, at_least * 11 / 10)
      << what << ": the machine is too disturbed to know the truth";
  EXPECT_GE(measured, at_least - at_least / 100) << what;
  EXPECT_LE(measured, at_most + at_most / 100) << what;
}

void ExpectWithinOnePercent(Duration measured, const Presence& truth, const char* what) {
  ExpectWithinOnePercent(measured, Length(truth.certain), Length(truth.possible), what);
}

Interval Observed(const AuditReport& report) {
  const int64_t epoch = report.epoch.time_since_epoch().count();
  return {epoch, epoch + report.observed.count()};
}

const AuditThread* FindThread(const AuditReport& report, const std::string& comm, pid_t tgid) {
  const auto found = std::find_if(
      report.threads.begin(), report.threads.end(),
      [&](const AuditThread& thread) { return thread.comm == comm && thread.tgid == tgid; });
  return found == report.threads.end() ? nullptr : &*found;
}

TEST_F(AuditorTest, CountsAnOverlapOfKnownLength) {
  Spinner a(How::kFork), b(How::kFork);
  Auditor auditor = MustLoad();
  MustDeclare(auditor, {a.pid(), b.pid()});
  Begin();
  a.Start({Plan(machine_.first, 0, 0.8)});
  b.Start({Plan(machine_.sibling, 0.25, 1)});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  const Presence ran_a = a.Finish()[0], ran_b = b.Finish()[0];

  ExpectWithinOnePercent(report.total[AUDIT_VCPU_EXPOSED].time, Intersect(ran_a, ran_b), "overlap");
  EXPECT_EQ(report.total[AUDIT_VCPU_VCPU].time, report.total[AUDIT_VCPU_EXPOSED].time);
  EXPECT_EQ(report.total[AUDIT_VCPU_ENFORCED].time.count(), 0);
  EXPECT_EQ(report.total[AUDIT_SAME_VM].time.count(), 0);
  EXPECT_EQ(report.total[AUDIT_VCPU_HELPER].time.count(), 0);
  EXPECT_GE(report.total[AUDIT_VCPU_VCPU].count, 1u);
  const AuditThread* thread = FindThread(report, "spin", a.pid());
  ASSERT_NE(thread, nullptr);
  ExpectWithinOnePercent(thread->run, ran_a, "run time of a thread");
  EXPECT_EQ(thread->exposure, thread->run);
  EXPECT_EQ(thread->kind, AUDIT_VCPU);
}

TEST_F(AuditorTest, NamesTheWorstPair) {
  Spinner a(How::kFork), b(How::kFork);
  Auditor auditor = MustLoad();
  MustDeclare(auditor, {a.pid(), b.pid()});
  Begin();
  a.Start({Plan(machine_.first, 0, 1, "first")});
  b.Start({Plan(machine_.sibling, 0.2, 0.3, "short"), Plan(machine_.sibling, 0.5, 1, "long")});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  const AuditSpan& span = report.total[AUDIT_VCPU_VCPU];
  ASSERT_TRUE(span.worst.has_value());
  EXPECT_GE(span.count, 2u);
  EXPECT_LE(span.longest, span.time);
  const AuditThread* first = FindThread(report, "first", a.pid());
  const AuditThread* longer = FindThread(report, "long", b.pid());
  ASSERT_TRUE(first && longer);
  // Whoever came back last from an interruption is the newcomer.
  std::array<AuditParty, 2> parties = {span.worst->newcomer, span.worst->incumbent};
  if (parties[0].tid == first->tid) std::swap(parties[0], parties[1]);
  EXPECT_EQ(parties[0].tid, longer->tid);
  EXPECT_EQ(parties[0].vm, longer->vm);
  EXPECT_EQ(parties[0].cpu, CpuId(machine_.sibling));
  EXPECT_EQ(parties[1].tid, first->tid);
  EXPECT_EQ(parties[1].cpu, CpuId(machine_.first));
  EXPECT_GE(span.worst->time, report.epoch);
}

TEST_F(AuditorTest, OneVmOnBothSiblingsIsNoOverlap) {
  Spinner a(How::kFork);
  Auditor auditor = MustLoad();
  MustDeclare(auditor, {a.pid()});
  Begin();
  a.Start({Plan(machine_.first, 0, 1), Plan(machine_.sibling, 0, 1)});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  const std::vector<Presence> ran = a.Finish();
  EXPECT_EQ(report.total[AUDIT_CROSS_VM].time.count(), 0);
  EXPECT_EQ(report.total[AUDIT_CROSS_VM].count, 0u);
  ExpectWithinOnePercent(report.total[AUDIT_SAME_VM].time, Intersect(ran[0], ran[1]), "same VM");
}

TEST_F(AuditorTest, OneAfterTheOtherIsNoOverlap) {
  Spinner a(How::kFork), b(How::kFork);
  Auditor auditor = MustLoad();
  MustDeclare(auditor, {a.pid(), b.pid()});
  Begin();
  a.Start({Plan(machine_.first, 0, 0.45)});
  b.Start({Plan(machine_.sibling, 0.55, 1)});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  EXPECT_EQ(report.total[AUDIT_CROSS_VM].time.count(), 0);
  // From one to the other, and perhaps before from whatever thread of the other's ran here last
  // before the epoch.
  EXPECT_GE(report.total.switches, 1u);
  EXPECT_LE(report.total.switches, 2u);
}

TEST_F(AuditorTest, OtherCoresDoNotMatter) {
  AuditorOptions options;
  int elsewhere = machine_.elsewhere;
  if (elsewhere < 0) {
    // Only one core: take its siblings for two.
    elsewhere = machine_.sibling;
    options.cores = {CpuSet{machine_.first}, CpuSet{machine_.sibling}};
  }
  Spinner a(How::kFork), b(How::kFork);
  Auditor auditor = MustLoad(options);
  MustDeclare(auditor, {a.pid(), b.pid()});
  Begin();
  a.Start({Plan(machine_.first, 0, 1)});
  b.Start({Plan(elsewhere, 0, 1)});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  EXPECT_EQ(report.total[AUDIT_CROSS_VM].time.count(), 0);
  const Presence ran_a = a.Finish()[0], ran_b = b.Finish()[0];
  ExpectWithinOnePercent(report.total[AUDIT_BUSY].time,
                         Length(ran_a.certain) + Length(ran_b.certain),
                         Length(ran_a.possible) + Length(ran_b.possible), "core time");
}

TEST_F(AuditorTest, TellsHelpersFromVcpus) {
  Spinner a(How::kExec), b(How::kExec);
  Auditor auditor = MustLoad();
  Begin();
  a.Start({Plan(machine_.first, 0, 0.5, "CPU 0/KVM"), Plan(machine_.first, 0.55, 1, "worker")});
  b.Start({Plan(machine_.sibling, 0, 0.25, "CPU 11/TCG"),
           Plan(machine_.sibling, 0.3, 1, "IO mon_iothread")});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  const std::vector<Presence> ran_a = a.Finish(), ran_b = b.Finish();
  ExpectWithinOnePercent(report.total[AUDIT_VCPU_VCPU].time, Intersect(ran_a[0], ran_b[0]),
                         "vCPU, vCPU");
  ExpectWithinOnePercent(report.total[AUDIT_VCPU_HELPER].time, Intersect(ran_a[0], ran_b[1]),
                         "vCPU, helper");
  ExpectWithinOnePercent(report.total[AUDIT_HELPER_HELPER].time, Intersect(ran_a[1], ran_b[1]),
                         "helper, helper");
}

TEST_F(AuditorTest, CountsAVcpuBesideTheHost) {
  Spinner a(How::kFork), host(How::kFork);
  Auditor auditor = MustLoad();
  MustDeclare(auditor, {a.pid()});
  Begin();
  a.Start({Plan(machine_.first, 0, 1)});
  host.Start({Plan(machine_.sibling, 0.5, 1)});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  const Duration truth = Length(Intersect(a.Finish()[0], host.Finish()[0]).certain);
  EXPECT_EQ(report.total[AUDIT_CROSS_VM].time.count(), 0);
  // Other host tasks may run on the sibling as well, while nothing else does: so at least the
  // truth.
  EXPECT_GE(report.total[AUDIT_BESIDE_HOST].time, truth * 99 / 100);
  const Duration idle = report.total[AUDIT_FORCED_IDLE].time;
  EXPECT_LE(report.total[AUDIT_BESIDE_HOST].time + idle, report.total[AUDIT_BUSY].time);
}

TEST_F(AuditorTest, ResetBeginsInTheMiddleOfAnOverlap) {
  Spinner a(How::kFork), b(How::kFork);
  Auditor auditor = MustLoad();
  MustDeclare(auditor, {a.pid(), b.pid()});
  Begin();
  a.Start({Plan(machine_.first, 0, 1)});
  b.Start({Plan(machine_.sibling, 0, 1)});
  SleepUntil(At(0.5));
  ASSERT_TRUE(auditor.Reset().ok());
  SleepUntil(At(1) + kLead / 10);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  const Presence both = Intersect(a.Finish()[0], b.Finish()[0]);
  ExpectWithinOnePercent(report.total[AUDIT_VCPU_VCPU].time, Intersect(both, Observed(report)),
                         "since the reset");
}

TEST_F(AuditorTest, ReadingDisturbsNothing) {
  Spinner a(How::kFork), b(How::kFork);
  Auditor auditor = MustLoad();
  MustDeclare(auditor, {a.pid(), b.pid()});
  Begin();
  a.Start({Plan(machine_.first, 0, 1)});
  b.Start({Plan(machine_.sibling, 0, 1)});
  SleepUntil(base_ - kLead / 2);
  ASSERT_TRUE(auditor.Reset().ok());
  Duration last{};
  for (double part = 0.1; part < 1; part += 0.1) {
    SleepUntil(At(part));
    const Duration now = MustRead(auditor).total[AUDIT_VCPU_VCPU].time;
    EXPECT_GE(now, last);
    EXPECT_GT(now.count(), 0);
    last = now;
  }
  SleepUntil(At(1) + kLead / 10);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  ExpectWithinOnePercent(report.total[AUDIT_VCPU_VCPU].time,
                         Intersect(a.Finish()[0], b.Finish()[0]), "read meanwhile");
}

TEST_F(AuditorTest, AnOverlapEndsWithTheProcess) {
  Spinner a(How::kFork), b(How::kFork);
  Auditor auditor = MustLoad();
  MustDeclare(auditor, {a.pid(), b.pid()});
  Begin();
  SpinPlan dies = Plan(machine_.sibling, 0, 0.5);
  dies.exit_process = true;
  const pid_t pid = b.pid();
  a.Start({Plan(machine_.first, 0, 1)});
  b.Start({dies});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  // How long the exit itself takes, the process cannot tell any more.
  const Presence both = Intersect(a.Finish()[0], b.Finish()[0]);
  ExpectWithinOnePercent(report.total[AUDIT_VCPU_VCPU].time, Length(both.certain),
                         Length(both.possible) + machine_.spin / 50, "until exit");
  const AuditThread* thread = FindThread(report, "spin", pid);
  ASSERT_NE(thread, nullptr);
  EXPECT_TRUE(thread->exited);
}

TEST_F(AuditorTest, RecognisesQemuFromItsFirstInstruction) {
  Spinner a(How::kFork), b(How::kExecAtBegin);
  Auditor auditor = MustLoad();
  MustDeclare(auditor, {a.pid()});
  Begin();
  a.Start({Plan(machine_.first, 0, 1)});
  // It sleeps until 0.25, executes, and spins at once: nothing makes a switch between exec and the
  // first instruction.
  b.Start({Plan(machine_.sibling, 0.25, 1)});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  const Presence ran_a = a.Finish()[0], ran_b = b.Finish()[0];
  const Presence both = Intersect(ran_a, ran_b);
  const Duration overlap = report.total[AUDIT_VCPU_HELPER].time;
  std::printf(
      "from the first reading of the clock %.6f s, from exec %.6f s, from before it %.6f s\n",
      Length(both.certain).count() / 1e9, overlap.count() / 1e9,
      Length(both.possible).count() / 1e9);
  EXPECT_GT(Length(both.certain), machine_.spin / 4);
  EXPECT_GE(overlap, Length(both.certain));
  EXPECT_LE(overlap, Length(both.possible) + machine_.spin / 100);
  const AuditThread* thread = FindThread(report, "qemu-system-tes", b.pid());
  ASSERT_NE(thread, nullptr);
  EXPECT_EQ(thread->kind, AUDIT_HELPER);
  EXPECT_GE(thread->run, Length(ran_b.certain));
}

TEST_F(AuditorTest, FindsMachinesThatRanBefore) {
  Spinner a(How::kExec), b(How::kExec);
  Begin();
  // Real-time threads, which never switch: only a visit to their CPUs can reveal them. With them on
  // all CPUs, though, the kernel would not get around to attaching the probes.
  const int policy = machine_.elsewhere >= 0 ? kFifo : kOther;
  a.Start({Plan(machine_.first, 0, 30, "CPU 0/KVM", policy)});
  b.Start({Plan(machine_.sibling, 0, 30, "CPU 0/KVM", policy)});
  SleepUntil(At(0.05));
  Auditor auditor = MustLoad();
  SleepUntil(MonotonicNow() + machine_.spin.count());
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  const Presence both = Intersect(a.Finish()[0], b.Finish()[0]);
  // A hidden switch shows at the next one on that CPU, so here only now.
  CORRAL_NEEDS_ALL_SWITCHES(MustRead(auditor));
  ExpectWithinOnePercent(report.total[AUDIT_VCPU_VCPU].time, Intersect(both, Observed(report)),
                         "found by the scan");
}

TEST_F(AuditorTest, ADaemonizedMachineIsStillOne) {
  Auditor auditor = MustLoad();
  Spinner a(How::kExec), b(How::kDaemonize);
  Begin();
  a.Start({Plan(machine_.first, 0, 1, "CPU 0/KVM")});
  b.Start({Plan(machine_.sibling, 0, 1, "CPU 0/KVM")});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  ExpectWithinOnePercent(report.total[AUDIT_VCPU_VCPU].time,
                         Intersect(a.Finish()[0], b.Finish()[0]), "daemonized");
}

TEST_F(AuditorTest, MergedMachinesAreOne) {
  Spinner a(How::kFork), b(How::kFork);
  Auditor auditor = MustLoad();
  MustDeclare(auditor, {a.pid(), b.pid()});
  ASSERT_TRUE(auditor.Merge(b.pid(), a.pid()).ok());
  Begin();
  a.Start({Plan(machine_.first, 0, 1)});
  b.Start({Plan(machine_.sibling, 0, 1)});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  EXPECT_EQ(report.total[AUDIT_CROSS_VM].time.count(), 0);
  EXPECT_GT(report.total[AUDIT_SAME_VM].time.count(), 0);
  EXPECT_TRUE(absl::IsNotFound(auditor.Merge(a.pid(), getpid())));
}

TEST_F(AuditorTest, EnrolledOverlapsAreABreach) {
  if (!machine_.has_sched_ext) GTEST_SKIP() << "this kernel has no SCHED_EXT";
  Spinner a(How::kFork), b(How::kFork);
  Auditor auditor = MustLoad();
  MustDeclare(auditor, {a.pid(), b.pid()});
  Begin();
  a.Start({Plan(machine_.first, 0, 1, "spin", kExt)});
  b.Start({Plan(machine_.sibling, 0, 0.5, "enrolled", kExt),
           Plan(machine_.sibling, 0.55, 1, "plain", kFifo)});
  Measure(auditor);
  const AuditReport report = MustRead(auditor);
  CORRAL_NEEDS_ALL_SWITCHES(report);
  const Presence ran_a = a.Finish()[0];
  const std::vector<Presence> ran_b = b.Finish();
  ExpectWithinOnePercent(report.total[AUDIT_VCPU_ENFORCED].time, Intersect(ran_a, ran_b[0]),
                         "enforced");
  ExpectWithinOnePercent(report.total[AUDIT_VCPU_EXPOSED].time, Intersect(ran_a, ran_b[1]),
                         "exposed");
  const AuditThread* enrolled = FindThread(report, "enrolled", b.pid());
  const AuditThread* plain = FindThread(report, "plain", b.pid());
  ASSERT_TRUE(enrolled && plain);
  EXPECT_TRUE(enrolled->first_enrolled.has_value());
  EXPECT_LT(enrolled->exposure, machine_.spin / 100);
  EXPECT_EQ(plain->exposure, plain->run);
}

// A BPF file system of our own, so that nothing stays behind however the test ends, and no
// operator's auditor is in the way.
class PrivateBpffs {
 public:
  PrivateBpffs() {
    if (!mkdtemp(root_) || mount("bpf", root_, "bpf", 0, nullptr))
      throw std::runtime_error("cannot mount a BPF file system");
  }
  ~PrivateBpffs() {
    umount2(root_, MNT_DETACH);
    rmdir(root_);
  }
  std::string path() const { return root_; }

 private:
  char root_[32] = "/tmp/corral-audit.XXXXXX";
};

TEST_F(AuditorTest, PinnedItOutlivesItsMaker) {
  const PrivateBpffs bpffs;
  const std::string dir = bpffs.path() + "/audit";
  EXPECT_TRUE(absl::IsFailedPrecondition(MustLoad().Pin("/tmp/corral-audit")));
  EXPECT_TRUE(absl::IsNotFound(Auditor::OpenPinned(dir).status()));
  EXPECT_TRUE(absl::IsNotFound(Auditor::Unpin(dir)));

  Spinner a(How::kFork), b(How::kFork);
  {
    Auditor auditor = MustLoad({.pids = {a.pid(), b.pid()}});
    ASSERT_TRUE(auditor.Pin(dir).ok());
    EXPECT_TRUE(absl::IsAlreadyExists(auditor.Pin(dir)));
  }
  Begin();
  a.Start({Plan(machine_.first, 0, 1)});
  b.Start({Plan(machine_.sibling, 0, 1)});
  SleepUntil(At(1) + kLead / 10);
  {
    absl::StatusOr<Auditor> auditor = Auditor::OpenPinned(dir);
    ASSERT_TRUE(auditor.ok()) << auditor.status();
    const AuditReport report = MustRead(*auditor);
    CORRAL_NEEDS_ALL_SWITCHES(report);
    const Duration truth = Length(Intersect(a.Finish()[0], b.Finish()[0]).certain);
    EXPECT_GE(report.total[AUDIT_VCPU_VCPU].time, truth);
    ASSERT_TRUE(auditor->Reset().ok());
    EXPECT_EQ(MustRead(*auditor).total[AUDIT_VCPU_VCPU].time.count(), 0);
  }
  EXPECT_TRUE(Auditor::Unpin(dir).ok());
  EXPECT_TRUE(absl::IsNotFound(Auditor::OpenPinned(dir).status()));
}

TEST_F(AuditorTest, AFullThreadTableIsReportedAndCoresStillCount) {
  Spinner a(How::kFork), b(How::kFork);
  Auditor auditor = MustLoad({.max_threads = 1});
  MustDeclare(auditor, {a.pid(), b.pid()});
  Begin();
  a.Start({Plan(machine_.first, 0, 1)});
  b.Start({Plan(machine_.sibling, 0, 1)});
  Measure(auditor);
  const absl::StatusOr<AuditReport> report = auditor.Read();
  ASSERT_TRUE(report.ok());
  EXPECT_GT(report->gaps.lost_threads, 0u);
  ExpectWithinOnePercent(report->total[AUDIT_VCPU_VCPU].time,
                         Intersect(a.Finish()[0], b.Finish()[0]), "table full");
}

TEST_F(AuditorTest, RefusesWhatMakesNoSense) {
  EXPECT_TRUE(absl::IsInvalidArgument(Auditor::Load({.exec_names = {"/usr/bin/qemu"}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Auditor::Load({.cores = {CpuSet{0}, CpuSet{0}}}).status()));
  EXPECT_TRUE(
      absl::IsNotFound(Auditor::Load({.pids = {4194303}, .cores = machine_.cores}).status()));
}

}  // namespace
}  // namespace corral

int main(int argc, char** argv) {
  corral::Spinner::MaybeRun(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
