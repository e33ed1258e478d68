// SPDX-License-Identifier: Apache-2.0
#include "agent/trace/thread_story.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernel/abi/core_word.h"

namespace corral {
namespace {

constexpr size_t kMoments = 12;

std::string Ago(Duration time) {
  return absl::StrFormat("%.3f ms", static_cast<double>(time.count()) / 1e6);
}

// One stay on a CPU, as the rings have it.
struct Stint {
  const TraceEvent* came = nullptr;
  const TraceEvent* next = nullptr;      // who came there instead; nullptr: nobody yet
  const TraceEvent* message = nullptr;   // what its agent was told then
  const TraceEvent* decision = nullptr;  // the last one for that CPU that was not for this thread
};

class Teller {
 public:
  Teller(const ControlKernel& kernel, const std::vector<TraceEvent>& events, uint32_t slot,
         TraceNames& names)
      : kernel_(kernel),
        events_(events),
        word_(kernel.status_words()[slot]),
        tid_(static_cast<pid_t>(word_.tid)),
        names_(names),
        now_(kernel.Now()) {}

  ThreadStory Tell() {
    ThreadStory story{
        .tid = tid_, .name = names_.Thread(tid_), .domain = names_.Domain(word_.domain)};
    const Stint last = LastStint();
    const TraceEvent* const woke = LastMessage(GHOST_MSG_TASK_WAKEUP);
    const Time left = last.next != nullptr ? last.next->at : Time{};
    const bool slept = woke != nullptr && woke->at >= left;
    if ((word_.flags & GHOST_SW_ONCPU) != 0) {
      story.state = "runs";
      Begin(story, last.came,
            absl::StrCat("It runs on CPU ", word_.cpu, last.came != nullptr ? ", since " : "."));
    } else if ((word_.flags & GHOST_SW_RUNNABLE) != 0) {
      story.state = "waits";
      const TraceEvent* const from = slept ? woke : last.next;
      Begin(story, from,
            absl::StrCat("It wants a CPU and has none", from != nullptr ? ", since " : "."));
      story.obstacle = Obstacle();
    } else {
      story.state = "sleeps";
      Begin(story, last.next,
            absl::StrCat("It does not want a CPU", last.next != nullptr ? ", since " : "."));
    }
    if (last.next != nullptr) story.left = WhyLeft(last);
    story.moments = Moments();
    return story;
  }

 private:
  void Begin(ThreadStory& story, const TraceEvent* from, std::string sentence) const {
    if (from != nullptr) {
      story.for_so_long = now_ - from->at;
      absl::StrAppend(&sentence, Ago(story.for_so_long), ".");
    }
    story.since = std::move(sentence);
  }

  bool IsOurs(const TraceEvent& event) const { return event.tid == tid_; }

  const TraceEvent* LastMessage(uint32_t type) const {
    for (auto it = events_.rbegin(); it != events_.rend(); ++it) {
      if (it->type == GHOST_TRACE_MESSAGE && IsOurs(*it) && it->what == type) return &*it;
    }
    return nullptr;
  }

  Stint LastStint() const {
    Stint stint;
    for (const TraceEvent& event : events_) {
      if (event.type == GHOST_TRACE_SWITCH && IsOurs(event)) stint = {.came = &event};
      if (stint.came == nullptr) continue;
      const bool there = event.cpu == stint.came->cpu;
      const auto cpu = static_cast<uint32_t>(stint.came->cpu.value());
      if (stint.next == nullptr) {
        if (event.type == GHOST_TRACE_SWITCH && there && !IsOurs(event)) stint.next = &event;
        if (event.type == GHOST_TRACE_LATCH && event.arg == cpu && !IsOurs(event))
          stint.decision = &event;
      }
      if (event.type == GHOST_TRACE_MESSAGE && IsOurs(event) && stint.message == nullptr &&
          event.what != GHOST_MSG_TASK_ON_CPU && &event != stint.came)
        stint.message = &event;
    }
    return stint;
  }

  std::string Who(const TraceEvent& event) {
    return absl::StrCat(names_.Thread(event.tid), " of ", names_.Domain(event.domain));
  }

  std::string WhyLeft(const Stint& stint) {
    const std::string where =
        absl::StrCat("It lost CPU ", stint.came->cpu.value(), " ", Ago(now_ - stint.next->at),
                     " ago, after ", Ago(stint.next->at - stint.came->at), ": ");
    const uint32_t told = stint.message == nullptr ? 0 : stint.message->what;
    if (told == GHOST_MSG_TASK_BLOCKED) return where + "it went to sleep.";
    if (told == GHOST_MSG_TASK_YIELD) return where + "it yielded.";
    const TraceEvent& next = *stint.next;
    if (next.what == GHOST_CPU_BY_AGENT) return where + "its agent took the CPU to decide.";
    if (next.what == GHOST_CPU_BY_HOST) {
      return absl::StrCat(where, "a thread of the host took it, ", names_.Thread(next.tid),
                          "; those come before all of the class.");
    }
    const bool decided = stint.decision != nullptr && stint.decision->tid == next.tid;
    if (next.tid != 0) {
      return absl::StrCat(where, Who(next), " came in its place, ",
                          decided ? "as the agent had decided " : "by the class's own choice",
                          decided ? Ago(next.at - stint.decision->at) + " before." : ".");
    }
    return where + "its time there was over, and the CPU was left idle.";
  }

  // Of a thread that is runnable.
  std::string Obstacle() {
    if (word_.queue >= kernel_.info().nr_cores)
      return "No agent has taken it up yet; until one does, the class runs it where there is room.";
    const ghost_core_state& core = kernel_.cores()[word_.queue];
    std::vector<std::string> siblings;
    bool host = false;
    for (uint32_t i = 0; i < core.nr_cpus && i < GHOST_MAX_SIBLINGS; ++i) {
      const ghost_cpu_state& cpu = kernel_.cpu_states()[core.cpus[i]];
      const std::string who = cpu.taken == GHOST_CPU_BY_HOST    ? "has a thread of the host"
                              : cpu.taken == GHOST_CPU_BY_AGENT ? "has the agent"
                              : cpu.running_domain == GHOST_DOMAIN_HOST
                                  ? "idles"
                                  : absl::StrCat("runs ", names_.Domain(cpu.running_domain));
      host |= cpu.taken == GHOST_CPU_BY_HOST;
      siblings.push_back(absl::StrCat("CPU ", core.cpus[i], " ", who));
    }
    const std::string now = absl::StrJoin(siblings, ", ");
    if ((word_.flags & GHOST_SW_LATCHED) != 0) {
      return absl::StrCat("Its agent gave it a CPU of core ", word_.queue,
                          ", which has not come to it yet: ", now, ".");
    }
    const core_word_t w = __atomic_load_n(&core.word, __ATOMIC_RELAXED);
    const bool foreign = core_word_busy(w) != 0 && core_word_owner(w) != word_.domain;
    return absl::StrCat(
        "Its core, ", word_.queue, ", ",
        foreign ? absl::StrCat("is ", names_.Domain(core_word_owner(w)), "'s at this moment")
        : core_word_busy(w) != 0 ? "is its own domain's at this moment"
        : host                   ? "is the host's at this moment"
                                 : "is nobody's at this moment",
        ": ", now, ".");
  }

  std::string Describe(const TraceEvent& event) {
    switch (event.type) {
      case GHOST_TRACE_SWITCH:
        return absl::StrCat("runs on CPU ", event.cpu.value());
      case GHOST_TRACE_MESSAGE:
        return absl::StrCat(MessageName(event.what), " to the agent of core ", event.arg);
      case GHOST_TRACE_LATCH:
        return absl::StrCat("the agent decides: CPU ", event.arg, " shall run it");
      case GHOST_TRACE_COMMIT:
        break;
    }
    return "";
  }

  std::vector<ThreadStory::Moment> Moments() {
    std::vector<ThreadStory::Moment> moments;
    const TraceEvent* here = nullptr;  // where it runs
    for (const TraceEvent& event : events_) {
      if (IsOurs(event)) {
        moments.push_back({now_ - event.at, Describe(event)});
        if (event.type == GHOST_TRACE_SWITCH) here = &event;
      } else if (here != nullptr && event.type == GHOST_TRACE_SWITCH && event.cpu == here->cpu) {
        moments.push_back({now_ - event.at, absl::StrCat("leaves CPU ", event.cpu.value())});
        here = nullptr;
      }
    }
    if (moments.size() > kMoments)
      moments.erase(moments.begin(), moments.end() - static_cast<std::ptrdiff_t>(kMoments));
    return moments;
  }

  const ControlKernel& kernel_;
  const std::vector<TraceEvent>& events_;
  const ghost_status_word word_;
  const pid_t tid_;
  TraceNames& names_;
  const Time now_;
};

}  // namespace

absl::StatusOr<ThreadStory> TellStory(const ControlKernel& kernel,
                                      const std::vector<TraceEvent>& events, pid_t tid,
                                      TraceNames& names) {
  for (uint32_t slot = 0; slot < kernel.status_words().size(); ++slot) {
    const ghost_status_word& word = kernel.status_words()[slot];
    if ((word.flags & GHOST_SW_INUSE) == 0 || static_cast<pid_t>(word.tid) != tid) continue;
    return Teller(kernel, events, slot, names).Tell();
  }
  return absl::NotFoundError(
      absl::StrCat("thread ", tid,
                   " is not in the class; \"corralctl domains\" and \"ps -eLo "
                   "tid,cls,comm\" list those that are (class EXT, or #7)"));
}

nlohmann::json ToJson(const ThreadStory& story) {
  nlohmann::json json = {{"tid", story.tid},
                         {"name", story.name},
                         {"trust_domain", story.domain},
                         {"state", story.state},
                         {"state_ns", story.for_so_long.count()},
                         {"since", story.since},
                         {"left", story.left},
                         {"obstacle", story.obstacle},
                         {"moments", nlohmann::json::array()}};
  for (const ThreadStory::Moment& moment : story.moments)
    json["moments"].push_back({{"ago_ns", moment.ago.count()}, {"what", moment.what}});
  return json;
}

}  // namespace corral
