// SPDX-License-Identifier: Apache-2.0
#include "agent/pictures/svg.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace corral::pictures {

std::string Px(int64_t tenths) {
  if (tenths < 0) return absl::StrCat("-", Px(-tenths));
  const int64_t rest = tenths % kPx;
  return rest == 0 ? absl::StrCat(tenths / kPx) : absl::StrCat(tenths / kPx, ".", rest);
}

std::string Escape(absl::string_view text) {
  using nlohmann::json;
  const std::string valid =
      json(std::string(text)).dump(-1, ' ', false, json::error_handler_t::replace);
  std::string out = json::parse(valid).get<std::string>();
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return absl::StrReplaceAll(out, {{"&", "&amp;"},
                                   {"<", "&lt;"},
                                   {">", "&gt;"},
                                   {"\"", "&quot;"},
                                   {"\xef\xbf\xbe", "?"},
                                   {"\xef\xbf\xbf", "?"}});
}

int64_t StepOf(int64_t span, int64_t most) {
  int64_t step = 1;
  for (int i = 0; span / step > most; ++i) step = i % 3 == 1 ? step / 2 * 5 : step * 2;
  return step;
}

}  // namespace corral::pictures
