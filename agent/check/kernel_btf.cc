// SPDX-License-Identifier: Apache-2.0
#include "agent/check/kernel_btf.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "agent/check/needed_kfuncs.h"

namespace corral {
namespace {

struct BtfDeleter {
  void operator()(btf* b) const { btf__free(b); }
};

// libbpf complains on stderr otherwise; the error says it all.
class QuietLibbpf {
 public:
  QuietLibbpf() : previous_(libbpf_set_print(nullptr)) {}
  ~QuietLibbpf() { libbpf_set_print(previous_); }
  QuietLibbpf(const QuietLibbpf&) = delete;

 private:
  const libbpf_print_fn_t previous_;
};

struct Functions {
  std::set<std::string> all;
  std::set<std::string> kfuncs;
};

Functions FunctionsOf(const btf& types) {
  Functions functions;
  const __u32 count = btf__type_cnt(&types);
  for (__u32 id = 1; id < count; ++id) {
    const btf_type* const type = btf__type_by_id(&types, id);
    const char* const name = btf__name_by_offset(&types, type->name_off);
    if (name == nullptr) continue;
    if (btf_is_func(type)) functions.all.insert(name);
    if (!btf_is_decl_tag(type) || strcmp(name, "bpf_kfunc") != 0) continue;
    const btf_type* const tagged = btf__type_by_id(&types, type->type);
    if (tagged == nullptr || !btf_is_func(tagged)) continue;
    const char* const kfunc = btf__name_by_offset(&types, tagged->name_off);
    if (kfunc != nullptr) functions.kfuncs.insert(kfunc);
  }
  return functions;
}

}  // namespace

std::vector<KfuncChoice> ParseKfuncList(absl::string_view text) {
  std::vector<KfuncChoice> list;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = line.substr(0, line.find('#'));
    KfuncChoice choice;
    for (const absl::string_view name :
         absl::StrSplit(line, absl::ByAnyChar("| \t\r"), absl::SkipEmpty())) {
      choice.emplace_back(name);
    }
    if (!choice.empty()) list.push_back(std::move(choice));
  }
  return list;
}

std::vector<KfuncChoice> NeededKfuncs() { return ParseKfuncList(kNeededKfuncs); }

absl::StatusOr<BtfVerdict> JudgeBtf(absl::string_view btf_bytes,
                                    const std::vector<KfuncChoice>& needed) {
  if (btf_bytes.size() > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError("it is larger than any BTF");
  }
  const QuietLibbpf quiet;
  const std::unique_ptr<btf, BtfDeleter> types(
      btf__new(btf_bytes.data(), static_cast<__u32>(btf_bytes.size())));
  if (types == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("it is damaged, or newer than this libbpf: ", strerror(errno)));
  }
  BtfVerdict verdict;
  verdict.has_sched_ext = btf__find_by_name_kind(types.get(), "sched_ext_ops", BTF_KIND_STRUCT) > 0;
  const Functions functions = FunctionsOf(*types);
  const auto any_in = [](const KfuncChoice& choice, const std::set<std::string>& names) {
    return std::any_of(choice.begin(), choice.end(),
                       [&](const std::string& name) { return names.count(name) != 0; });
  };
  for (const KfuncChoice& choice : needed) {
    if (any_in(choice, functions.kfuncs)) continue;
    (any_in(choice, functions.all) ? verdict.untagged : verdict.absent)
        .push_back(absl::StrJoin(choice, "|"));
  }
  return verdict;
}

}  // namespace corral
