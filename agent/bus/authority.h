// SPDX-License-Identifier: Apache-2.0
// Who may change something: root always, and others if polkit says so. Where there is no polkit,
// root alone.
//
// Asks polkit without waiting for it, because it may ask a person. Used from the thread that
// processes the bus.
#ifndef CORRAL_AGENT_BUS_AUTHORITY_H_
#define CORRAL_AGENT_BUS_AUTHORITY_H_

#include <systemd/sd-bus.h>

#include <functional>
#include <list>

#include "absl/status/status.h"

namespace corral {

class Authority {
 public:
  // OK, or PermissionDenied with the reason.
  using Verdict = std::function<void(const absl::Status&)>;

  // How many callers may wait for polkit at a time; more are refused.
  static constexpr size_t kMaxWaiting = 32;

  Authority() = default;
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  // Judges whoever sent `call`, which must be kept by `then`. Calls `then` once, at once or when
  // polkit has answered; never after this object is gone.
  void Judge(sd_bus_message* call, Verdict then);

 private:
  struct Question {
    Authority* authority = nullptr;
    Verdict then;
    sd_bus_slot* slot = nullptr;
  };
  using Questions = std::list<Question>;

  static int OnAnswer(sd_bus_message* answer, void* question, sd_bus_error*);
  int Ask(sd_bus_message* call, Question& question);

  Questions questions_;
};

}  // namespace corral

#endif  // CORRAL_AGENT_BUS_AUTHORITY_H_
