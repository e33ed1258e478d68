// SPDX-License-Identifier: Apache-2.0
// Where the vCPUs of a domain go: siblings of one core first, then balanced, within one NUMA node
// as long as it fits.
//
// A core is filled with a domain's vCPUs before another core is begun, because siblings run in
// parallel only within a domain. Otherwise the core with the fewest vCPUs is taken, then the one
// with the fewest domains (each of them is a wait of one tenure). A domain fits a node as long as
// it has no more vCPUs there than the node has CPUs. One thread.
#ifndef CORRAL_POLICIES_SECURE_VM_PLACEMENT_H_
#define CORRAL_POLICIES_SECURE_VM_PLACEMENT_H_

#include <map>
#include <vector>

#include "agent/runtime/topology.h"
#include "kernel/types.h"

namespace corral::secure_vm {

class Placement {
 public:
  explicit Placement(const Topology& topology);

  // The core for one more vCPU of `domain`, as a position in the topology. Changes nothing.
  int Choose(DomainId domain) const;
  void Add(DomainId domain, int core);
  // Takes back one Add.
  void Remove(DomainId domain, int core);

  int vcpus_on(int core) const { return load_[core].vcpus; }
  int domains_on(int core) const { return static_cast<int>(load_[core].by_domain.size()); }

 private:
  struct Load {
    int vcpus = 0;
    std::map<DomainId, int> by_domain;
    int Of(DomainId domain) const {
      const auto it = by_domain.find(domain);
      return it == by_domain.end() ? 0 : it->second;
    }
  };
  struct Node {
    int cpus = 0;
    int vcpus = 0;
    int of_domain = 0;
  };

  int ChooseNode(DomainId domain) const;

  Topology topology_;
  std::vector<Load> load_;
};

}  // namespace corral::secure_vm

#endif  // CORRAL_POLICIES_SECURE_VM_PLACEMENT_H_
