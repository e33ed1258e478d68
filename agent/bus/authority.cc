// SPDX-License-Identifier: Apache-2.0
#include "agent/bus/authority.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "agent/bus/names.h"

namespace corral {
namespace {

constexpr char kPolkit[] = "org.freedesktop.PolicyKit1";
constexpr char kPolkitPath[] = "/org/freedesktop/PolicyKit1/Authority";
constexpr char kPolkitInterface[] = "org.freedesktop.PolicyKit1.Authority";
// Of CheckAuthorization.
constexpr uint32_t kAllowUserInteraction = 1;

absl::Status Denied(absl::string_view why) {
  return absl::PermissionDeniedError(absl::StrCat(why, "; call as root, or allow the action ",
                                                  bus::kManageAction, " in polkit's rules"));
}

absl::StatusOr<uid_t> CallerOf(sd_bus_message* call) {
  sd_bus_creds* creds = nullptr;
  uid_t uid = 0;
  int error = sd_bus_query_sender_creds(call, SD_BUS_CREDS_EUID, &creds);
  if (error >= 0) error = sd_bus_creds_get_euid(creds, &uid);
  sd_bus_creds_unref(creds);
  if (error < 0) return Denied(absl::StrCat("who calls cannot be told (", strerror(-error), ")"));
  return uid;
}

absl::Status VerdictOf(sd_bus_message* answer) {
  if (sd_bus_message_is_method_error(answer, nullptr) > 0)
    return Denied(
        absl::StrCat("polkit cannot be asked (", sd_bus_message_get_error(answer)->message, ")"));
  int authorized = 0, challenge = 0;
  if (sd_bus_message_enter_container(answer, SD_BUS_TYPE_STRUCT, "bba{ss}") < 0 ||
      sd_bus_message_read(answer, "bb", &authorized, &challenge) < 0)
    return Denied("polkit gave an answer that cannot be read");
  if (authorized != 0) return absl::OkStatus();
  return Denied(challenge != 0 ? "polkit wants a person to be asked, and none could be"
                               : "polkit does not allow it");
}

}  // namespace

Authority::~Authority() {
  for (const Question& question : questions_) sd_bus_slot_unref(question.slot);
}

void Authority::Judge(sd_bus_message* call, Verdict then) {
  const absl::StatusOr<uid_t> caller = CallerOf(call);
  if (!caller.ok()) return then(caller.status());
  if (*caller == 0) return then(absl::OkStatus());
  if (questions_.size() >= kMaxWaiting)
    return then(Denied("too many callers wait for polkit already"));
  questions_.push_back({.authority = this, .then = std::move(then)});
  if (const int error = Ask(call, questions_.back()); error < 0) {
    const Verdict verdict = std::move(questions_.back().then);
    questions_.pop_back();
    verdict(Denied(absl::StrCat("polkit cannot be asked (", strerror(-error), ")")));
  }
}

int Authority::Ask(sd_bus_message* call, Question& question) {
  sd_bus_message* message = nullptr;
  int error = sd_bus_message_new_method_call(sd_bus_message_get_bus(call), &message, kPolkit,
                                             kPolkitPath, kPolkitInterface, "CheckAuthorization");
  if (error >= 0) {
    const bool may_ask = sd_bus_message_get_allow_interactive_authorization(call) > 0;
    error = sd_bus_message_append(message, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                  sd_bus_message_get_sender(call), bus::kManageAction, 0,
                                  may_ask ? kAllowUserInteraction : 0, "");
  }
  // A person may take long; the caller's own patience ends before the bus's does.
  if (error >= 0)
    error = sd_bus_call_async(sd_bus_message_get_bus(call), &question.slot, message, &OnAnswer,
                              &question, UINT64_MAX);
  sd_bus_message_unref(message);
  return error;
}

int Authority::OnAnswer(sd_bus_message* answer, void* question, sd_bus_error*) {
  auto* const asked = static_cast<Question*>(question);
  Questions& all = asked->authority->questions_;
  const Verdict then = std::move(asked->then);
  sd_bus_slot_unref(asked->slot);
  for (auto it = all.begin(); it != all.end(); ++it) {
    if (&*it != asked) continue;
    all.erase(it);
    break;
  }
  then(VerdictOf(answer));
  return 1;
}

}  // namespace corral
