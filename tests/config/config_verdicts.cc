// SPDX-License-Identifier: Apache-2.0
// What the parser says of texts: reads a JSON list of texts on stdin, writes a JSON list with the
// list of errors of each. For schema_test.
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "agent/ctl/corral_yaml.h"

int main() {
  const nlohmann::json texts = nlohmann::json::parse(std::cin);
  nlohmann::json verdicts = nlohmann::json::array();
  for (const nlohmann::json& text : texts) {
    const std::vector<corral::ConfigText> file = {{"f", text.get<std::string>()}};
    const corral::ConfigCheck check =
        corral::CheckConfigTexts(file, corral::ctl::AllPolicies(), /*host=*/{});
    nlohmann::json errors = nlohmann::json::array();
    for (const corral::ConfigError& error : check.errors) errors.push_back(error.what);
    verdicts.push_back(errors);
  }
  std::cout << verdicts.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}
