// SPDX-License-Identifier: Apache-2.0
#include "agent/simulate/pause_loops.h"

namespace corral {
namespace {

// ple_window: 4,096 cycles, at 3 GHz. Each exit doubles it, until the vCPU has lost its CPU.
constexpr Duration kWindow{1365};
constexpr int kGrowth = 2;
constexpr int kTries = 3;  // for vCPUs that could not be yielded to because nobody wants the CPUs

}  // namespace

void PauseLoops::Start(const std::vector<sim::SimThread*>& vcpus) {
  for (sim::SimThread* thread : vcpus) vcpus_.push_back({.thread = thread, .window = kWindow});
}

// Back in the guest.
void PauseLoops::Enter(Vcpu& vcpu) {
  vcpu.in_exit = false;
  vcpu.eligible = false;
  if (vcpu.thread->waiting_since() != vcpu.entered) vcpu.window = kWindow;
  vcpu.entered = vcpu.thread->waiting_since();
}

void PauseLoops::Compute(size_t index) {
  Enter(vcpus_[index]);
  vcpus_[index].in_kernel = false;
}

void PauseLoops::InKernel(size_t index) {
  Enter(vcpus_[index]);
  vcpus_[index].in_kernel = true;
}

sim::Step PauseLoops::Spin(size_t index) {
  InKernel(index);
  return sim::Step::Run(vcpus_[index].window);
}

// Of those that spin themselves only every other one is tried.
bool PauseLoops::Eligible(Vcpu& vcpu) {
  const bool ready = vcpu.thread->runnable() && !vcpu.thread->running();
  if (!ready || !vcpu.in_kernel) return false;
  if (!vcpu.in_exit) return true;
  vcpu.eligible = !vcpu.eligible;
  return !vcpu.eligible;
}

sim::Step PauseLoops::Exit(size_t index) {
  Vcpu& vcpu = vcpus_[index];
  Enter(vcpu);
  vcpu.window *= kGrowth;
  vcpu.in_exit = true;
  const size_t first = last_boosted_ + 1;
  for (size_t i = 0, tries = kTries; i < vcpus_.size() && tries > 0; ++i) {
    const size_t other = (first + i) % vcpus_.size();
    if (other == index || !Eligible(vcpus_[other])) continue;
    const int yielded = machine_.YieldTo(*vcpu.thread, *vcpus_[other].thread);
    if (yielded < 0) --tries;
    if (yielded <= 0) continue;
    last_boosted_ = other;
    break;
  }
  return sim::Step::Run(machine_.spec().costs.pause_exit);
}

}  // namespace corral
