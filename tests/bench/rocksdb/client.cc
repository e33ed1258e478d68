// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/rocksdb/client.h"

#include <time.h>

#include <algorithm>

namespace corral::bench {

using std::chrono::microseconds;

namespace {

constexpr Duration kPoll = microseconds(20);
constexpr int kAloneTimes = 9;

void SleepUntil(int64_t at_ns) {
  const timespec at = {.tv_sec = at_ns / 1'000'000'000, .tv_nsec = at_ns % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) != 0) {
  }
}

void SleepFor(Duration time) { SleepUntil(MonotonicNs() + time.count()); }

}  // namespace

std::vector<Arrival> DrawArrivals(int number, int longs, Duration time, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int64_t> moment(0, time.count() - 1);
  std::vector<Arrival> arrivals(static_cast<size_t>(number));
  for (size_t i = 0; i < arrivals.size(); ++i)
    arrivals[i] = {.at = Duration(moment(random)), .is_long = i < static_cast<size_t>(longs)};
  std::sort(arrivals.begin(), arrivals.end(),
            [](const Arrival& a, const Arrival& b) { return a.at < b.at; });
  return arrivals;
}

std::vector<Response> Client::Play(const std::vector<Arrival>& arrivals, Duration patience) {
  responses_.assign(arrivals.size(), {});
  SleepFor(std::chrono::milliseconds(1));
  began_ns_ = MonotonicNs();
  for (size_t i = 0; i < arrivals.size(); ++i) {
    const int64_t due_ns = began_ns_ + arrivals[i].at.count();
    if (MonotonicNs() < due_ns) SleepUntil(due_ns);
    responses_[i] = {.at = arrivals[i].at, .is_long = arrivals[i].is_long};
    const size_t worker = FreeWorker();
    responses_[i].late = Duration(MonotonicNs() - due_ns);
    Ask(worker, static_cast<int>(i), RequestFor(arrivals[i]));
  }
  for (const int64_t end = MonotonicNs() + patience.count(); UnderWay() > 0 && MonotonicNs() < end;)
    SleepFor(std::chrono::milliseconds(1));
  return responses_;
}

Duration Client::Saturate(const std::vector<Arrival>& arrivals, int at_once) {
  responses_.assign(arrivals.size(), {});
  began_ns_ = MonotonicNs();
  for (size_t i = 0; i < arrivals.size();) {
    for (int room = at_once - UnderWay(); room > 0 && i < arrivals.size(); --room, ++i)
      Ask(FreeWorker(), static_cast<int>(i), RequestFor(arrivals[i]));
    SleepFor(kPoll);
  }
  while (UnderWay() > 0) SleepFor(kPoll);
  return Duration(MonotonicNs() - began_ns_);
}

Duration Client::Alone(Request::Kind kind, uint32_t keys) {
  std::vector<Duration> took;
  for (int i = 0; i < kAloneTimes; ++i) {
    responses_.assign(1, {});
    const size_t worker = FreeWorker();
    Ask(worker, 0, {.kind = kind, .keys = keys, .seed = random_()});
    while (UnderWay() > 0) SleepFor(kPoll);
    took.emplace_back(box(worker).done_ns - box(worker).began_ns);
  }
  std::nth_element(took.begin(), took.begin() + kAloneTimes / 2, took.end());
  return took[kAloneTimes / 2];
}

size_t Client::FreeWorker() {
  for (;;) {
    for (size_t i = 0; i < has_.size(); ++i) {
      const size_t worker = (next_ + i) % has_.size();
      Collect(worker);
      if (has_[worker] != kNothing) continue;
      next_ = worker + 1;
      return worker;
    }
    SleepFor(kPoll);
  }
}

void Client::Ask(size_t worker, int response, const Request& request) {
  has_[worker] = response;
  box(worker).request = request;
  box(worker).free.store(false, std::memory_order_relaxed);
  sem_post(&box(worker).asked);
}

Request Client::RequestFor(const Arrival& arrival) {
  if (arrival.is_long)
    return {.kind = Request::Kind::kScan, .keys = sizes_.scan, .seed = random_()};
  return {.kind = Request::Kind::kGet, .keys = sizes_.get, .seed = random_()};
}

void Client::Collect(size_t worker) {
  const Mailbox& mailbox = box(worker);
  if (has_[worker] == kNothing || !mailbox.free.load(std::memory_order_acquire)) return;
  Response& response = responses_[static_cast<size_t>(has_[worker])];
  has_[worker] = kNothing;
  const int64_t due_ns = began_ns_ + response.at.count();
  response.waited = Duration(mailbox.began_ns - due_ns) - response.late;
  response.took = Duration(mailbox.done_ns - due_ns);
  response.done = true;
}

int Client::UnderWay() {
  int under_way = 0;
  for (size_t worker = 0; worker < has_.size(); ++worker) {
    Collect(worker);
    under_way += has_[worker] != kNothing;
  }
  return under_way;
}

}  // namespace corral::bench
