// SPDX-License-Identifier: Apache-2.0
#include "config/value.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "agent/runtime/options.h"
#include "config/error_list.h"
#include "kernel/cpu_set.h"

namespace corral {
namespace {

// "a", "a or b", "a, b or c".
std::string OneOf(absl::Span<const absl::string_view> words) {
  if (words.size() < 2) return absl::StrJoin(words, "");
  return absl::StrCat(absl::StrJoin(words.first(words.size() - 1), ", "), " or ", words.back());
}

bool Has(absl::Span<const absl::string_view> words, absl::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool IsName(absl::string_view name) {
  return !name.empty() && absl::ascii_islower(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '_';
         });
}

bool IsSwitch(absl::string_view text) { return text == "true" || text == "false"; }

// "" if it is one; otherwise what it is not.
std::string NotAName(const KeySpec& spec, absl::string_view label, const std::string& text,
                     bool quoted) {
  if (!IsName(text) || text.size() > spec.max_length) {
    return absl::StrCat(label, " ", Quoted(text), " must begin with a letter and have up to ",
                        spec.max_length, " small letters, digits, - and _");
  }
  if (IsSwitch(text) && !quoted)
    return absl::StrCat(label, " ", text, " is a switch to YAML; take another name");
  return "";
}

std::string NotCpus(const KeySpec& spec, absl::string_view label, const std::string& text) {
  if (Has(spec.choices, text)) return "";
  const absl::StatusOr<CpuSet> cpus = CpuSet::Parse(text);
  // The kernel's files end in white space, and a number may have a sign; nobody writes that here.
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(c) || c == '-' || c == ',';
  });
  if (cpus.ok() && plain && !cpus->empty()) return "";
  return absl::StrCat(label, ": ", Quoted(text), " is not ", OneOf(spec.choices),
                      spec.choices.empty() ? "" : " or ", "a list of CPUs from 0 to ",
                      CpuSet::kMaxCpus - 1, "; write for example ", spec.example);
}

std::string NotAUri(const KeySpec& spec, absl::string_view label, const std::string& text) {
  const size_t scheme = text.find("://");
  if (scheme != std::string::npos && scheme > 0) return "";
  return absl::StrCat(label, " ", Quoted(text), " is not a URI; write for example ", spec.example);
}

std::string NotACgroup(const KeySpec& spec, absl::string_view label, const std::string& text) {
  // "..", could lead out of the file system.
  if (!CgroupPath(text).empty() && !absl::StrContains(text, "..")) return "";
  return absl::StrCat(label, " ", Quoted(text),
                      " is not a path below the cgroup file system; write for example ",
                      spec.example);
}

std::string NotAUnit(const KeySpec& spec, absl::string_view label, const std::string& text) {
  const size_t dot = text.rfind('.');
  const std::string kind = dot == std::string::npos || dot == 0 ? "" : text.substr(dot);
  const bool known = kind == ".service" || kind == ".scope" || kind == ".slice";
  if (known && text.find('/') == std::string::npos) return "";
  return absl::StrCat(label, " ", Quoted(text),
                      " is not the name of a service, scope or slice; write for example ",
                      spec.example);
}

std::string NotAGlob(const KeySpec& spec, absl::string_view label, const std::string& text) {
  // The shell's other special characters would say something else than their author thinks.
  if (!text.empty() && text.find_first_of("[]\\") == std::string::npos) return "";
  return absl::StrCat(label, " ", Quoted(text), " is not a ", spec.argument,
                      "'s name; it may have * and ? for any characters, but no [, ] "
                      "or \\");
}

std::string NotATime(const KeySpec& spec, absl::string_view label, const std::string& text) {
  if (Has(spec.choices, text)) return "";
  const absl::StatusOr<Duration> time = ParseDuration(text);
  if (time.ok() && *time >= *ParseDuration(spec.min) && *time <= *ParseDuration(spec.max))
    return "";
  return absl::StrCat(label, " ", Quoted(text), " is not a time from ", spec.min, " to ", spec.max,
                      spec.choices.empty() ? "" : " or ", OneOf(spec.choices),
                      "; write for example ", spec.example);
}

std::string NotAChoice(const KeySpec& spec, absl::string_view label, const std::string& text) {
  if (Has(spec.choices, text)) return "";
  return absl::StrCat(label, " ", Quoted(text), " is not ", OneOf(spec.choices),
                      spec.advice.empty() ? "" : "; ", spec.advice);
}

std::string NotABool(absl::string_view label, const std::string& text, bool quoted) {
  if (!IsSwitch(text)) return absl::StrCat(label, " ", Quoted(text), " is not true or false");
  if (!quoted) return "";
  return absl::StrCat(label, " ", Quoted(text), " is text; write ", text,
                      " without quotation marks");
}

std::string NotTheVersion(absl::string_view label, const std::string& text, bool quoted) {
  if (text != "1") return "this Corral reads version 1 only";
  return quoted ? absl::StrCat(label, " \"1\" is text; write 1 without quotation marks") : "";
}

}  // namespace

std::string CgroupPath(absl::string_view text) { return std::string(absl::StripPrefix(text, "/")); }

absl::Status CheckValue(const KeySpec& spec, absl::string_view label, const std::string& text,
                        bool quoted) {
  std::string wrong;
  switch (spec.type) {
    case KeyType::kVersion:
      wrong = NotTheVersion(label, text, quoted);
      break;
    case KeyType::kBool:
      wrong = NotABool(label, text, quoted);
      break;
    case KeyType::kChoice:
      wrong = NotAChoice(spec, label, text);
      break;
    case KeyType::kName:
      wrong = NotAName(spec, label, text, quoted);
      break;
    case KeyType::kCpus:
      wrong = NotCpus(spec, label, text);
      break;
    case KeyType::kUri:
      wrong = NotAUri(spec, label, text);
      break;
    case KeyType::kCgroup:
      wrong = NotACgroup(spec, label, text);
      break;
    case KeyType::kUnit:
      wrong = NotAUnit(spec, label, text);
      break;
    case KeyType::kGlob:
      wrong = NotAGlob(spec, label, text);
      break;
    case KeyType::kTime:
      wrong = NotATime(spec, label, text);
      break;
    case KeyType::kPolicy:
    case KeyType::kOptions:
    case KeyType::kMap:
      break;
  }
  return wrong.empty() ? absl::OkStatus() : absl::InvalidArgumentError(wrong);
}

}  // namespace corral
