// SPDX-License-Identifier: Apache-2.0
// What VMs had, wanted and waited for in a stretch of time, and what keeping them apart cost: the
// one type that corrald records of a host and that a simulation gives, so that plan and reality
// can be laid side by side.
//
// Plain values; any thread. Shares are in CPUs, as a mean over the stretch: 1 is a whole one.
#ifndef CORRAL_AGENT_REPORT_SAMPLE_H_
#define CORRAL_AGENT_REPORT_SAMPLE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "kernel/abi/ghost.h"
#include "kernel/abi/tally.h"
#include "kernel/types.h"

namespace corral::report {

struct DomainSample {
  uint32_t id = 0;
  std::string name;          // shorter than GHOST_DOMAIN_NAME_LEN; any bytes
  uint32_t vcpus = 0;        // threads in the class, at the end
  uint32_t refused = 0;      // of these, those whose budget is not promised
  uint32_t unprotected = 0;  // of these, those that no core of their enclave may run
  uint32_t cores = 0;        // that they live on
  double guaranteed = 0;
  double used = 0;
  std::array<double, GHOST_NR_WAITS> waited = {};
  // How often its vCPUs waited for a CPU, by how long: up to ghost_wait_bound(), and more than the
  // bound before.
  std::array<uint32_t, GHOST_WAIT_BUCKETS> waits = {};
  // Of what was guaranteed: wanted, and not had, for whatever reason but a cap.
  double missed = 0;
  // Of `used`, where the node of the memory is known: on that node, and on others.
  double local = 0;
  double remote = 0;

  double all_waited() const {
    double sum = 0;
    for (const double share : waited) sum += share;
    return sum;
  }
  friend bool operator==(const DomainSample&, const DomainSample&) = default;
};

struct CoreSample {
  uint8_t enclave = 0;  // GHOST_NO_ENCLAVE: of none
  uint8_t node = 0;
  uint8_t cpus = 0;
  bool agent = false;
  bool stalled = false;    // it has one that decides nothing
  double forced_idle = 0;  // vCPUs that waited here beside a sibling that had to idle
  uint32_t switches = 0;   // of owner
  uint32_t rescues = 0;
  uint32_t breaches = 0;

  friend bool operator==(const CoreSample&, const CoreSample&) = default;
};

// What the auditor, which shares nothing with the class, saw in the stretch.
struct AuditSample {
  Duration enforced{0};     // two VMs shared a core although both are in the class: must be 0
  Duration exposed{0};      // likewise, with one that is not in it
  Duration forced_idle{0};  // siblings that idled beside a VM
  bool complete = true;     // it has missed nothing

  friend bool operator==(const AuditSample&, const AuditSample&) = default;
};

// Something that corrald told: agent/events/event.h.
struct Told {
  absl::Time at;
  std::string event;  // its name
  std::string text;

  friend bool operator==(const Told&, const Told&) = default;
};

struct Sample {
  absl::Time at;       // the end of the stretch, by the wall clock
  Duration window{0};  // how long it was
  bool simulated = false;
  bool in_charge = true;  // the class, at the end
  std::optional<AuditSample> audit;
  std::vector<DomainSample> domains;  // by id
  uint32_t omitted = 0;               // domains that there was no room for
  std::vector<CoreSample> cores;      // by the class's ids
  std::vector<Told> told;

  friend bool operator==(const Sample&, const Sample&) = default;
};

}  // namespace corral::report

#endif  // CORRAL_AGENT_REPORT_SAMPLE_H_
