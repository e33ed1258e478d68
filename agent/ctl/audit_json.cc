// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/audit_json.h"

namespace corral::ctl {
namespace {

using Json = nlohmann::ordered_json;

int64_t Ns(Duration duration) { return duration.count(); }
int64_t Ns(Time time) { return time.time_since_epoch().count(); }

Json CpusJson(const std::vector<CpuId>& cpus) {
  Json out = Json::array();
  for (CpuId cpu : cpus) out.push_back(cpu.value());
  return out;
}

// Names of threads are arbitrary bytes, JSON is UTF-8: what is not printable ASCII is shown as '?'.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

Json PartyJson(const AuditParty& party) {
  return {{"vm", party.vm},
          {"tid", party.tid},
          {"cpu", party.cpu.value()},
          {"kind", AuditKindName(party.kind)}};
}

Json OnsetJson(const std::optional<AuditOnset>& onset) {
  if (!onset) return nullptr;
  return {{"time_ns", Ns(onset->time)},
          {"newcomer", PartyJson(onset->newcomer)},
          {"incumbent", PartyJson(onset->incumbent)}};
}

Json SpanJson(const AuditSpan& span) {
  return {{"ns", Ns(span.time)},
          {"count", span.count},
          {"longest_ns", Ns(span.longest)},
          {"worst", OnsetJson(span.worst)}};
}

Json FiguresJson(const AuditCore& core) {
  Json out;
  out["core_time_ns"] = Ns(core[AUDIT_BUSY].time);
  out["core_switches"] = core.switches;
  out["vcpu_vcpu"] = {{"enforced_ns", Ns(core[AUDIT_VCPU_ENFORCED].time)},
                      {"exposed_ns", Ns(core[AUDIT_VCPU_EXPOSED].time)},
                      {"overlaps", core[AUDIT_VCPU_VCPU].count},
                      {"longest_ns", Ns(core[AUDIT_VCPU_VCPU].longest)},
                      {"enforced", SpanJson(core[AUDIT_VCPU_ENFORCED])},
                      {"exposed", SpanJson(core[AUDIT_VCPU_EXPOSED])},
                      {"worst", OnsetJson(core[AUDIT_VCPU_VCPU].worst)}};
  out["vcpu_helper_ns"] = Ns(core[AUDIT_VCPU_HELPER].time);
  out["helper_helper_ns"] = Ns(core[AUDIT_HELPER_HELPER].time);
  out["host_ns"] = Ns(core[AUDIT_BESIDE_HOST].time);
  out["forced_idle_ns"] = Ns(core[AUDIT_FORCED_IDLE].time);
  out["same_vm_ns"] = Ns(core[AUDIT_SAME_VM].time);
  out["cross_vm_ns"] = Ns(core[AUDIT_CROSS_VM].time);
  out["vcpu_helper"] = SpanJson(core[AUDIT_VCPU_HELPER]);
  out["helper_helper"] = SpanJson(core[AUDIT_HELPER_HELPER]);
  out["host"] = SpanJson(core[AUDIT_BESIDE_HOST]);
  out["host"]["p50_ns"] = Ns(core.BesideHostPercentile(0.5));
  out["host"]["p99_ns"] = Ns(core.BesideHostPercentile(0.99));
  out["negative_intervals"] = core.negative_intervals;
  out["negative_ns"] = Ns(core.negative_time);
  out["missed_switches"] = core.missed_switches;
  return out;
}

Json ThreadJson(const AuditThread& thread) {
  Json out = {{"tid", thread.tid},
              {"tgid", thread.tgid},
              {"vm", thread.vm},
              {"kind", AuditKindName(thread.kind)},
              {"comm", Printable(thread.comm)},
              {"cpu", thread.cpu.value()},
              {"enrolled", thread.enrolled},
              {"exited", thread.exited},
              {"stints", thread.stints},
              {"run_ns", Ns(thread.run)},
              {"exposure_ns", Ns(thread.exposure)},
              {"early_exposure_ns", Ns(thread.early_exposure)},
              {"first_seen_ns", Ns(thread.first_seen)},
              {"first_enrolled_ns", nullptr}};
  if (thread.first_enrolled) out["first_enrolled_ns"] = Ns(*thread.first_enrolled);
  return out;
}

}  // namespace

Json AuditJson(const AuditReport& report) {
  Json out;
  out["observed_ns"] = Ns(report.observed);
  out["epoch_ns"] = Ns(report.epoch);
  out["complete"] = !report.gaps.Any();
  out["totals"] = FiguresJson(report.total);
  out["totals"]["missed_probes"] = report.gaps.missed_probes + report.gaps.missed_switches;
  out["cores"] = Json::array();
  for (const AuditCore& core : report.cores) {
    Json& figures = out["cores"].emplace_back(FiguresJson(core));
    figures["cpus"] = CpusJson(core.cpus);
  }
  out["vms"] = Json::array();
  for (const AuditVm& vm : report.vms) {
    out["vms"].push_back({{"id", vm.id},
                          {"name", Printable(vm.name)},
                          {"tgids", vm.tgids},
                          {"vcpu_run_ns", Ns(vm.vcpu_run)},
                          {"helper_run_ns", Ns(vm.helper_run)},
                          {"exposure_ns", Ns(vm.exposure)}});
  }
  out["threads"] = Json::array();
  for (const AuditThread& thread : report.threads) out["threads"].push_back(ThreadJson(thread));
  out["gaps"] = {{"missed_probes", report.gaps.missed_probes},
                 {"missed_switches", report.gaps.missed_switches},
                 {"unmapped_switches", report.gaps.unmapped_switches},
                 {"lost_threads", report.gaps.lost_threads},
                 {"lost_processes", report.gaps.lost_processes},
                 {"unseen_cpus", CpusJson(report.gaps.unseen_cpus)}};
  return out;
}

}  // namespace corral::ctl
