// SPDX-License-Identifier: Apache-2.0
#include "agent/top/model.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "agent/views/forced_idle.h"
#include "agent/views/protection.h"

namespace corral::top {
namespace {

double Cpus(Duration part, Duration whole) {
  return whole > Duration(0)
             ? static_cast<double>(part.count()) / static_cast<double>(whole.count())
             : 0;
}

const DomainView* Find(const ClassView& view, uint32_t id) {
  for (const DomainView& domain : view.domains) {
    if (domain.id == id) return &domain;
  }
  return nullptr;
}

}  // namespace

void Model::Look() {
  Sample look{.at = kernel_.Now(), .view = ViewClass(kernel_), .waits = WaitsByDomain(kernel_)};
  look.forced_idle = ForcedIdleCpus(kernel_, look.view);
  samples_.push_back(std::move(look));
  while (samples_.size() > 2 && samples_.back().at - samples_[1].at >= kWindow)
    samples_.pop_front();
}

Page Model::Show() const {
  Page page;
  if (samples_.empty()) return page;
  page.view = samples_.back().view;
  page.forced_idle_cpus = samples_.back().forced_idle;
  Describe(samples_.front(), samples_.back(), page);
  AddTasks(page.domains);
  for (const DomainRow& row : page.domains) page.busy += row.used;
  page.breaches = BreachesOf(page.view);
  for (const CoreView& core : page.view.cores) {
    if (core.enclave != GHOST_NO_ENCLAVE) page.cpus += static_cast<double>(core.siblings.size());
  }
  // How many idle is known at each look only.
  page.forced_idle = std::accumulate(samples_.begin(), samples_.end(), 0.0,
                                     [](double sum, const Sample& look) {
                                       return sum + static_cast<double>(look.forced_idle.size());
                                     }) /
                     static_cast<double>(samples_.size());
  return page;
}

void Model::Describe(const Sample& first, const Sample& last, Page& page) const {
  page.window = last.at - first.at;
  for (const DomainView& domain : last.view.domains) {
    DomainRow row{.id = domain.id,
                  .name = domain.name,
                  .enclave = NameOfEnclave(last.view, domain.enclave),
                  .vcpus = domain.vcpus,
                  .running = domain.running,
                  .waiting = domain.waiting};
    // What a vCPU had is gone with it, so a sum can fall.
    const DomainView* const before = Find(first.view, domain.id);
    const Duration since = before == nullptr ? Duration(0) : before->runtime;
    row.used = Cpus(std::max(domain.runtime - since, Duration(0)), page.window);
    const auto now = last.waits.find(domain.id), then = first.waits.find(domain.id);
    for (int why = 0; why < GHOST_NR_WAITS; ++why) {
      if (now == last.waits.end()) break;
      const Duration had = then == first.waits.end() ? Duration(0) : then->second[why];
      row.waited[why] = std::max(now->second[why] - had, Duration(0));
      row.waits += Cpus(row.waited[why], page.window);
    }
    row.forced_idle = Cpus(row.waited[GHOST_WAIT_FORCED_IDLE], page.window);
    page.domains.push_back(std::move(row));
  }
}

void Model::AddTasks(std::vector<DomainRow>& rows) const {
  std::map<uint32_t, DomainRow*> by_id;
  for (DomainRow& row : rows) by_id[row.id] = &row;
  for (uint32_t slot = 0; slot < kernel_.status_words().size(); ++slot) {
    const ghost_status_word& word = kernel_.status_words()[slot];
    const auto row = by_id.find(word.domain);
    if (word.gtid == 0 || row == by_id.end()) continue;
    if (word.queue < kernel_.info().nr_cores)
      row->second->cores.Insert(CpuId(static_cast<int>(word.queue)));
    row->second->guaranteed += Cpus(Duration(word.granted_ns), Duration(word.period_ns));
    row->second->refused += !WhyNotPromised(kernel_, slot).empty();
  }
}

}  // namespace corral::top
