// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include "agent/ctl/explain_output.h"
#include "agent/trace/thread_story.h"
#include "agent/views/class_view.h"
#include "tests/ctl/samples.h"
#include "tests/sim/bare_vms.h"

namespace corral::ctl {

using std::chrono::milliseconds;
using Json = nlohmann::json;

// Three VMs on two cores, one of them capped, after some seconds.
void AddSimulated(Json& samples) {
  BareVms vms(2, 2);
  const BareVms::Vcpu capped = vms.AddVm<Spinner>(2, "red").front();
  vms.AddVm<Spinner>(2, "blue");
  vms.AddVm<Spinner>(1, "green");
  (void)vms.control().UpdateTask(capped.task,
                                 {.cap = milliseconds(25), .cap_period = milliseconds(100)});
  WaitWatch watch(vms.control());
  for (int look = 0; look < 200; ++look) {
    watch.Look();
    vms.machine().RunFor(milliseconds(20));
  }
  const Json view = ToJson(ViewClass(vms.control()));
  samples["status"].push_back(view);
  samples["cores"].push_back(view["cores"]);
  const std::vector<VcpuWaits> all = watch.Result();
  Json vcpus = Json::array();
  for (const VcpuWaits& vcpu : all) vcpus.push_back(ToJson(vcpu));
  samples["explain"].push_back({{"name", "red"}, {"vcpus", vcpus}});
  TraceNames names(vms.control(), [](pid_t) { return ""; });
  const absl::StatusOr<ThreadStory> story =
      TellStory(vms.control(), TraceRings(vms.control()).Read(), capped.thread->tid(), names);
  if (story.ok()) samples["explain-thread"].push_back(ToJson(*story));
  samples["cost"].push_back(ToJson(CostOf(all)));
}

}  // namespace corral::ctl
