// SPDX-License-Identifier: Apache-2.0
// `corralctl audit statement`: what can be said to a tenant, with the audit log as evidence.
#ifndef CORRAL_AGENT_CTL_STATEMENT_COMMAND_H_
#define CORRAL_AGENT_CTL_STATEMENT_COMMAND_H_

#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "agent/ctl/command.h"
#include "agent/ledger/statement.h"

namespace corral::ctl {

nlohmann::ordered_json StatementJson(const ledger::Statement& statement);
std::string StatementText(const ledger::Statement& statement);

// Below `audit`.
void AddStatementCommand(CLI::App& audit, Action& action);

}  // namespace corral::ctl

#endif  // CORRAL_AGENT_CTL_STATEMENT_COMMAND_H_
