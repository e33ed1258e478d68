// SPDX-License-Identifier: Apache-2.0
// Which CPU a waiting task gets, in a centralized policy that serves its tasks in some order: one
// that nobody has, where it ran last if it can be, or else one whose task gives way.
//
// Whoever is asked about first has the choice; so a task never gets a CPU that one before it could
// have had. Tasks of different trust domains never share a core, whatever the policy: where all
// cores belong to other domains, the one that will be free first is kept for the task, so that it
// gets it when those there have had their turn.
//
// A policy may say how far a CPU is from what the task left in caches: then a nearer CPU comes
// first, and what is out of its reach for now is no CPU for it.
//
// Begin, then Place for each waiting task, in order, or Serve for all of a queue. Nothing is
// changed but the transaction. No allocation after the construction. One thread.
#ifndef CORRAL_POLICIES_CENTRAL_ASSIGNER_H_
#define CORRAL_POLICIES_CENTRAL_ASSIGNER_H_

#include <vector>

#include "absl/functional/function_ref.h"
#include "agent/runtime/enclave_transaction.h"
#include "policies/central/board.h"

namespace corral::central {

class Assigner {
 public:
  // Whether a task that runs gives way to one that waits.
  using Yields = absl::FunctionRef<bool(const Entry& running, const Entry& waiting)>;

  // Of a core of which `crowd` siblings are busy, for a task that waits: the less the better;
  // kOutOfReach: not now.
  using Distance = absl::FunctionRef<int(const Entry& waiting, int core, int crowd)>;
  static constexpr int kOutOfReach = -1;

  // `board` must outlive it.
  explicit Assigner(const Board& board);

  void Begin(EnclaveTransaction& txn);
  // True if the task is to run now.
  bool Place(const Entry& waiting, Yields yields);
  bool Place(const Entry& waiting, Yields yields, Distance distance);
  // The same, but where it gets nothing no core is kept for it: it will be asked about again.
  bool TryPlace(const Entry& waiting, Yields yields, Distance distance);
  // Those that wait in `queue` get what there is for them, in its order.
  void Serve(const Queue& queue, Yields yields);
  // No CPU was idle and nobody gave way, whichever CPUs the task may use: so it is not worth while
  // to ask about more of its kind.
  bool hopeless() const { return hopeless_; }
  // How many siblings of the core will be busy, if only for the agent or threads of the host.
  int Crowd(int core) const;
  // That nobody runs there, or will.
  bool IsIdle(int core, int sibling) const;

 private:
  struct Spot {
    int core = -1;
    int sibling = -1;
    friend bool operator==(const Spot&, const Spot&) = default;
  };
  static constexpr int kDetours = 3;  // different ones
  enum class Fit { kNo, kIfOthersLeave, kYes };

  Spot Find(const Entry& waiting, Yields yields, Distance distance);
  static int Detour(const Spot& spot, const Spot& last);
  void Take(const Entry& waiting, const Spot& spot);
  void Reserve(const Entry& waiting);
  Fit Fits(const Entry& waiting, int core, Yields yields) const;
  bool MayUse(const Entry& waiting, const Spot& spot) const;
  Spot LastSpot(const Task& task) const;
  Time FreeAt(int core, DomainId domain) const;

  const Board& board_;
  EnclaveTransaction* txn_ = nullptr;
  std::vector<Spot> spots_;            // that may be given work
  std::vector<DomainId> kept_for_;     // by core; DomainId(0): for nobody
  std::vector<DomainId> last_domain_;  // by core: that we gave it to
  bool any_kept_ = false;
  // The last one that got nothing: there is not more to be had for others like it.
  struct {
    DomainId domain{0};  // 0: there is none
    int rank = 0;
    CpuSet affinity;
  } failed_;
  bool hopeless_ = false;
};

}  // namespace corral::central

#endif  // CORRAL_POLICIES_CENTRAL_ASSIGNER_H_
