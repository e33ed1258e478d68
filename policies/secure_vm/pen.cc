// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/pen.h"

#include <algorithm>

namespace corral::secure_vm {

GangServer* Pen::Due() const {
  GangServer* due = nullptr;
  for (const std::unique_ptr<GangServer>& server : servers) {
    if (server->empty() || (due != nullptr && server->deadline() >= due->deadline())) continue;
    if (server->active()) due = server.get();
  }
  return due;
}

GangServer& Pen::ServerOf(Duration period, const GangTerms& terms) {
  GangServer* free = nullptr;
  for (const std::unique_ptr<GangServer>& server : servers) {
    if (server->empty()) {
      free = server.get();
    } else if (server->period() == period) {
      return *server;
    }
  }
  if (free != nullptr) return *free;
  servers.push_back(std::make_unique<GangServer>(terms));
  return *servers.back();
}

void Pen::Enqueue(Vcpu& vcpu, bool front) {
  if (vcpu.waiting.linked) return;
  vcpu.throttled = vcpu.spent();
  if (vcpu.throttled) {
    throttled.PushBack(vcpu);
  } else if (front) {
    waiting.PushFront(vcpu);
  } else {
    waiting.PushBack(vcpu);
  }
}

void Pen::Dequeue(Vcpu& vcpu) {
  (vcpu.throttled ? throttled : waiting).Erase(vcpu);
  vcpu.throttled = false;
}

void Pen::CountWanted(Time now, int nr_siblings) {
  const Duration since = std::max(now - wanted_at, Duration(0));
  wanted_at = now;
  wanted += since * ((nr_awake + nr_siblings - 1) / nr_siblings);
}

}  // namespace corral::secure_vm
