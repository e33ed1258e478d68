// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/recorder.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "kernel/audit/auditor.h"

namespace corral {
namespace {

constexpr Duration kLook = std::chrono::seconds(1);

}  // namespace

Recorder::Recorder(const ControlKernel& kernel, std::string state_dir, Duration interval, Log log)
    : kernel_(kernel),
      state_dir_(std::move(state_dir)),
      log_(std::move(log)),
      interval_(interval),
      audit_(Auditor::kPinDir) {
  Start();
}

void Recorder::SetInterval(Duration interval) {
  if (std::exchange(interval_, interval) == interval) return;
  if (ring_) Finish();
  ring_.reset();
  sampler_.reset();
  Start();
}

void Recorder::Start() {
  if (interval_ == Duration(0)) return;
  if (const absl::Status status = OpenRing(); !status.ok()) {
    log_(absl::StrCat("no samples for corralctl report: ", status.message()));
    return;
  }
  sampler_.emplace(kernel_);
  (void)audit_.Look();
  look_at_ = kernel_.Now() + kLook;
  sample_at_ = kernel_.Now() + interval_;
}

absl::Status Recorder::OpenRing() {
  mkdir(state_dir_.c_str(), 0700);
  const std::string path = absl::StrCat(state_dir_, "/", report::kRingName);
  absl::StatusOr<report::RingWriter> ring = report::RingWriter::Open(path);
  if (absl::IsFailedPrecondition(ring.status()) || absl::IsDataLoss(ring.status())) {
    log_(absl::StrCat("the samples so far are given up: ", ring.status().message()));
    ring = report::RingWriter::Replace(path);
  }
  if (!ring.ok()) return ring.status();
  ring_ = *std::move(ring);
  return absl::OkStatus();
}

void Recorder::Note(const News& news) {
  if (!news.event) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  // The latest count.
  if (told_.size() >= report::kMostTold) told_.erase(told_.begin());
  told_.push_back({absl::Now(), std::string(SpecOf(*news.event).name), news.text});
}

void Recorder::Poll(Time now) {
  if (!ring_) return;
  if (now >= sample_at_) {
    TakeSample();
    look_at_ = now + kLook;
    sample_at_ = now + std::max(interval_, ring_->least_interval());
  } else if (now >= look_at_) {
    sampler_->Look();
    look_at_ = now + kLook;
  }
}

void Recorder::Finish() {
  if (ring_) TakeSample();
}

void Recorder::TakeSample() {
  report::Sample sample = sampler_->Take();
  sample.at = absl::Now();
  sample.audit = audit_.Look();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    sample.told = std::exchange(told_, {});
  }
  const absl::Status status = ring_->Append(sample);
  if (status.ok()) {
    told_failure_ = false;
  } else if (!std::exchange(told_failure_, true)) {
    log_(absl::StrCat("a sample for corralctl report is lost: ", status.message()));
  }
}

}  // namespace corral
