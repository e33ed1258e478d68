// SPDX-License-Identifier: Apache-2.0
// What corralctl prints as JSON of classes and machines that are made up or simulated: one object
// on stdout, by the name of the schema, a list of samples each. For output_schemas.
#include <iostream>

#include "agent/ctl/audit_json.h"
#include "agent/ctl/mode_command.h"
#include "agent/ctl/release_command.h"
#include "agent/ctl/statement_command.h"
#include "agent/selftest/verdict.h"
#include "agent/views/vm_view.h"
#include "tests/ctl/samples.h"

namespace corral::ctl {
namespace {

using std::chrono::milliseconds;
using Json = nlohmann::json;

// The reports' own JSON keeps its order; here it does not matter.
void Add(Json& samples, const char* name, const Json& sample) { samples[name].push_back(sample); }

VcpuView Attached(int vcpu) {
  return {.vcpu = vcpu,
          .tid = 100 + vcpu,
          .attached = true,
          .domain = 3,
          .trust = "web",
          .attributes = {.budget = milliseconds(2), .period = milliseconds(10)},
          .granted = milliseconds(2),
          .affinity = CpuSet{0, 1, 2, 3},
          .cpu = 2,
          .runtime = milliseconds(5)};
}

void AddDomains(Json& samples) {
  VmsView view;
  VmView libvirts{.name = "web", .uuid = "aaaaaaaa-0000-4000-8000-000000000001", .pid = 99};
  libvirts.settings.emplace();
  libvirts.settings->reservation_of[1] = {.time = milliseconds(1), .period = milliseconds(10)};
  libvirts.vcpus = {
      Attached(0), Attached(1), {.vcpu = 2, .tid = 102, .unprotected = "it is real-time"}};
  libvirts.vcpus[1].attributes.node = 1;
  libvirts.vcpus[1].refused = "1ms of 10ms are free";
  libvirts.problems = {"a problem"};
  libvirts.helpers = 2;
  view.vms = {libvirts, {.name = "plain", .pid = 98, .vcpus = {Attached(0)}}};
  view.conflicts = {"web and db are pinned to core 1"};
  Add(samples, "domains", ToJson(view));
  Add(samples, "domains", ToJson(VmsView()));
}

void AddStatement(Json& samples) {
  const absl::Time end = absl::FromUnixSeconds(1'800'000'000);
  Add(samples, "audit-statement", StatementJson({.from = end - absl::Hours(1), .to = end}));
  Add(samples, "audit-statement",
      StatementJson({.tenant = "web",
                     .from = end - absl::Hours(1),
                     .to = end,
                     .covered = std::chrono::hours(1),
                     .in_charge = std::chrono::hours(1),
                     .watched = std::chrono::hours(1),
                     .shared = milliseconds(1),
                     .entries = 6,
                     .head = "00ff"}));
}

void AddAudit(Json& samples) {
  AuditCore core;
  core.cpus = {CpuId(0), CpuId(1)};
  core.spans[AUDIT_VCPU_VCPU] = {
      .time = milliseconds(2),
      .count = 1,
      .longest = milliseconds(2),
      .worst = AuditOnset{Time(milliseconds(7)),
                          {.vm = 1, .tid = 10, .cpu = CpuId(0), .kind = AUDIT_VCPU},
                          {.vm = 0, .tid = 0, .cpu = CpuId(1), .kind = AUDIT_HOST}}};
  AuditReport report;
  report.cores = {core};
  report.total += core;
  report.threads.push_back(
      {.tid = 10, .tgid = 9, .vm = 1, .kind = AUDIT_VCPU, .comm = "CPU 0/KVM\xff"});
  report.threads.push_back(report.threads.back());
  report.threads.back().first_enrolled = Time(milliseconds(5));
  report.vms.push_back({.id = 1, .tgids = {9}, .name = "qemu-system-x86"});
  report.gaps.unseen_cpus = {CpuId(3)};
  Add(samples, "audit", AuditJson(report));
  Add(samples, "audit", AuditJson(AuditReport()));
}

void AddRelease(Json& samples) {
  ReleaseReport report{.scheduler = "corral",
                       .threads = {{.tid = 11, .policy = 3, .known = true}, {.tid = 12}},
                       .pins = {"/sys/fs/bpf/corral/link_class"},
                       .notes = {"odd"}};
  Add(samples, "release", ReleaseJson(report, true));
  report.status = absl::InternalError("stuck");
  Add(samples, "release", ReleaseJson(report, false));
}

void AddSelftest(Json& samples) {
  Add(samples, "selftest", SelftestJson({}));
  SelftestFigures figures{.kernel = "6.13.0", .cpus = CpuSet({2, 3}), .own_enclave = true};
  figures.corral.ran = {milliseconds(3)};
  Add(samples, "selftest", SelftestJson(figures));
}

void AddMode(Json& samples) {
  ModeReport report{.file = "/etc/corral/corral.d/90-corralctl.yaml",
                    .written = true,
                    .daemon_before = Mode::kObserve,
                    .daemon = Mode::kEnforce};
  Add(samples, "mode", ModeJson(report, Mode::kEnforce, {"a step"}));
  report = {.status = absl::FailedPreconditionError("no"),
            .failures = {{.level = Level::kFail, .id = "kernel.btf", .fact = "none"}}};
  Add(samples, "mode", ModeJson(report, Mode::kObserve, {}));
}

}  // namespace
}  // namespace corral::ctl

int main() {
  nlohmann::json samples = nlohmann::json::object();
  corral::ctl::AddSimulated(samples);
  corral::ctl::AddDomains(samples);
  corral::ctl::AddAudit(samples);
  corral::ctl::AddStatement(samples);
  corral::ctl::AddRelease(samples);
  corral::ctl::AddMode(samples);
  corral::ctl::AddSelftest(samples);
  std::cout << samples.dump() << "\n";
}
