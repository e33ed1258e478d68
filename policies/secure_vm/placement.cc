// SPDX-License-Identifier: Apache-2.0
#include "policies/secure_vm/placement.h"

#include <tuple>

namespace corral::secure_vm {

Placement::Placement(const Topology& topology) : topology_(topology), load_(topology.nr_cores()) {}

// Where the domain has most vCPUs already and room for one more; else the least loaded node.
int Placement::ChooseNode(DomainId domain) const {
  std::vector<Node> nodes(topology_.nr_nodes());
  for (int c = 0; c < topology_.nr_cores(); ++c) {
    Node& node = nodes[topology_.core(c).node];
    node.cpus += topology_.core(c).nr_cpus;
    node.vcpus += load_[c].vcpus;
    node.of_domain += load_[c].Of(domain);
  }
  int best = -1;
  for (int n = 0; n < static_cast<int>(nodes.size()); ++n) {
    if (nodes[n].cpus == 0) continue;
    const auto rank = [&](const Node& node) {
      const int here = node.of_domain < node.cpus ? node.of_domain : -1;
      return std::make_tuple(-here, static_cast<double>(node.vcpus) / node.cpus);
    };
    if (best < 0 || rank(nodes[n]) < rank(nodes[best])) best = n;
  }
  return best;
}

int Placement::Choose(DomainId domain) const {
  const int node = ChooseNode(domain);
  int best = 0;
  auto rank = [&](int c) {
    const Core& core = topology_.core(c);
    const int here = load_[c].Of(domain);
    const bool begun = here > 0 && here < core.nr_cpus;
    return std::make_tuple(core.node != node, !begun, load_[c].vcpus, domains_on(c));
  };
  for (int c = 1; c < topology_.nr_cores(); ++c) {
    if (rank(c) < rank(best)) best = c;
  }
  return best;
}

void Placement::Add(DomainId domain, int core) {
  ++load_[core].vcpus;
  ++load_[core].by_domain[domain];
}

void Placement::Remove(DomainId domain, int core) {
  const auto it = load_[core].by_domain.find(domain);
  if (it == load_[core].by_domain.end()) return;
  --load_[core].vcpus;
  if (--it->second == 0) load_[core].by_domain.erase(it);
}

}  // namespace corral::secure_vm
