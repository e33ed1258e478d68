// SPDX-License-Identifier: Apache-2.0
// A real kernel with the class loaded, the auditor watching, and one enclave of all CPUs. For tests
// that run as root in the test host.
#ifndef CORRAL_TESTS_CLASS_CLASS_HOST_FIXTURE_H_
#define CORRAL_TESTS_CLASS_CLASS_HOST_FIXTURE_H_

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "agent/class/load_class.h"
#include "agent/runtime/topology.h"
#include "agent/selftest/vm_process.h"
#include "kernel/audit/auditor.h"
#include "kernel/bpf/bpf_control_kernel.h"
#include "kernel/bpf/class_loader.h"
#include "kernel/bpf/threads_by_policy.h"
#include "kernel/cpu_mask.h"

namespace corral {

using VmProcesses = std::vector<std::unique_ptr<VmProcess>>;

class ClassHostTest : public testing::Test {
 protected:
  void SetUp() override {
    // Before the class: probes run in the order of attachment, and a switch must be counted before
    // the class acts on it.
    absl::StatusOr<Auditor> auditor = Auditor::Load({});
    ASSERT_TRUE(auditor.ok()) << auditor.status();
    auditor_.emplace(*std::move(auditor));
    LoadTheClass();
  }
  void LoadTheClass() {
    const absl::StatusOr<Topology> topology = Topology::FromHost();
    ASSERT_TRUE(topology.ok()) << topology.status();
    topology_ = *topology;
    const absl::Status loaded = Load();
    ASSERT_TRUE(loaded.ok()) << loaded;
    absl::StatusOr<std::unique_ptr<BpfControlKernel>> kernel = BpfControlKernel::Open();
    ASSERT_TRUE(kernel.ok()) << kernel.status();
    kernel_ = *std::move(kernel);
    const absl::StatusOr<EnclaveId> enclave =
        kernel_->CreateEnclave({.name = "vms", .cpus = topology_.cpus()});
    ASSERT_TRUE(enclave.ok()) << enclave.status();
    enclave_ = *enclave;
  }
  virtual absl::Status Load() { return LoadClassHere(); }
  void TearDown() override {
    kernel_.reset();
    const absl::Status unloaded = UnloadClass();
    EXPECT_TRUE(unloaded.ok()) << unloaded;
    EXPECT_NE(access("/sys/fs/bpf/corral", F_OK), 0) << "something was left in bpffs";
  }

  // Each process is a domain of its own.
  void AttachAll(const VmProcesses& vms) {
    for (const auto& vm : vms) {
      ASSERT_TRUE(auditor_->Declare({vm->pid()}).ok());
      DomainKey key = {};
      const pid_t pid = vm->pid();
      memcpy(key.data(), &pid, sizeof(pid));
      const absl::StatusOr<DomainId> domain =
          kernel_->CreateDomain(enclave_, key, "vm" + std::to_string(pid));
      ASSERT_TRUE(domain.ok()) << domain.status();
      for (size_t i = 0; i < vm->tids().size(); ++i) {
        const absl::StatusOr<Gtid> gtid =
            kernel_->AttachTask(vm->tids()[i], *domain, static_cast<int>(i), 100);
        ASSERT_TRUE(gtid.ok()) << gtid.status();
      }
    }
  }

  // Into SCHED_EXT without an enclave, as any user may do it; one VM to the auditor.
  void EnterUnattached(const VmProcess& process) {
    ASSERT_TRUE(auditor_->Declare({process.pid()}).ok());
    const sched_param param = {};
    for (const pid_t tid : process.tids())
      ASSERT_EQ(sched_setscheduler(tid, kSchedExtPolicy, &param), 0);
  }

  static void Pin(pid_t tid, const CpuSet& cpus) {
    const cpu_set_t mask = MaskOf(cpus);
    ASSERT_EQ(sched_setaffinity(tid, sizeof(mask), &mask), 0);
  }

  static void SetOnline(CpuId cpu, bool online) {
    std::ofstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu.value()) + "/online");
    file << online << std::flush;
    ASSERT_TRUE(file) << "CPU " << cpu.value() << (online ? " stays offline" : " stays online");
  }

  uint64_t Sum(__u64 ghost_core_state::*field) const {
    uint64_t sum = 0;
    for (const ghost_core_state& core : kernel_->cores()) sum += core.*field;
    return sum;
  }

  void PrintCores() const {
    for (size_t i = 0; i < kernel_->cores().size(); ++i) {
      const ghost_core_state& c = kernel_->cores()[i];
      printf(
          "core %zu: agent %llu class %llu denied %llu adopt %llu evict %llu breach %llu commits "
          "%llu lfail %llu rescues %llu\n",
          i, c.switches_agent, c.switches_class, c.denied, c.adoptions, c.evictions, c.breaches,
          c.commits, c.latch_failures, c.rescues);
    }
  }

  // CPU time of every thread, in order.
  static std::vector<Duration> CpuTimes(const VmProcesses& vms) {
    std::vector<Duration> times;
    for (const auto& vm : vms) {
      for (const pid_t tid : vm->tids()) times.push_back(CpuTime(tid));
    }
    return times;
  }

  // Each thread is still in the class and got at least `least` since `before`.
  static void ExpectProgress(const VmProcesses& vms, const std::vector<Duration>& before,
                             Duration least) {
    size_t i = 0;
    for (const auto& vm : vms) {
      for (const pid_t tid : vm->tids()) {
        const Duration got = CpuTime(tid) - before[i++];
        printf("vm %d thread %d: %lld ms\n", vm->pid(), tid,
               static_cast<long long>(got.count() / 1000000));
        EXPECT_EQ(sched_getscheduler(tid), kSchedExtPolicy)
            << "thread " << tid << " left the class";
        EXPECT_GE(got, least) << "thread " << tid << " starved";
      }
    }
  }

  // The auditor saw all, and no two domains on a core.
  void ExpectIsolated() {
    const absl::StatusOr<AuditReport> report = auditor_->Read();
    ASSERT_TRUE(report.ok()) << report.status();
    printf(
        "observed %lld ms, core time %lld ms, enforced overlap %lld ns, exposed %lld ns, forced "
        "idle %lld ms, vm switches %llu\n",
        static_cast<long long>(report->observed.count() / 1000000),
        static_cast<long long>(report->total[AUDIT_BUSY].time.count() / 1000000),
        static_cast<long long>(report->total[AUDIT_VCPU_ENFORCED].time.count()),
        static_cast<long long>(report->total[AUDIT_VCPU_EXPOSED].time.count()),
        static_cast<long long>(report->total[AUDIT_FORCED_IDLE].time.count() / 1000000),
        static_cast<unsigned long long>(report->total.switches));
    PrintWorst(report->total[AUDIT_VCPU_ENFORCED]);
    PrintWorst(report->total[AUDIT_VCPU_EXPOSED]);
    EXPECT_FALSE(report->gaps.Any());
    EXPECT_EQ(report->total[AUDIT_VCPU_ENFORCED].time.count(), 0);
    EXPECT_EQ(report->total[AUDIT_VCPU_EXPOSED].time.count(), 0);
    EXPECT_EQ(Sum(&ghost_core_state::breaches), 0u);
    EXPECT_TRUE(kernel_->info().enabled)
        << kernel_->info().exit_reason << ": " << kernel_->info().exit_message;
  }

  void PrintWorst(const AuditSpan& span) const {
    if (!span.worst) return;
    const AuditParty& a = span.worst->newcomer;
    const AuditParty& b = span.worst->incumbent;
    printf(
        "%llu overlaps, longest %lld ns, at %lld: vm %u thread %d came to CPU %d beside vm %u "
        "thread %d on CPU %d\n",
        static_cast<unsigned long long>(span.count), static_cast<long long>(span.longest.count()),
        static_cast<long long>(span.worst->time.time_since_epoch().count()), a.vm, a.tid,
        a.cpu.value(), b.vm, b.tid, b.cpu.value());
  }

  std::optional<Auditor> auditor_;
  Topology topology_;
  std::unique_ptr<BpfControlKernel> kernel_;
  EnclaveId enclave_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_CLASS_CLASS_HOST_FIXTURE_H_
