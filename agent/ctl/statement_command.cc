// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/statement_command.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "agent/report/ring.h"

namespace corral::ctl {
namespace {

struct Options {
  std::string tenant;
  std::string last = "24h";
  std::string expect;
  std::string log = absl::StrCat(report::kStateDir, "/", ledger::kName);
  bool json = false;
};

std::string TextOf(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", time, absl::UTCTimeZone());
}

std::string TextOf(Duration duration) { return absl::FormatDuration(absl::FromChrono(duration)); }

// Never more than it is, unlike figures.h: 100 % is all of it.
std::string PercentRoundedDown(Duration part, Duration whole) {
  if (whole <= Duration(0)) return "-";
  const double share = static_cast<double>(part.count()) / static_cast<double>(whole.count());
  return absl::StrFormat("%.2f %%", std::floor(std::min(share, 1.0) * 10000) / 100);
}

absl::Status CheckExpected(const std::vector<ledger::Entry>& entries, const std::string& hash) {
  const bool there = std::any_of(entries.begin(), entries.end(),
                                 [&](const ledger::Entry& entry) { return entry.hash == hash; });
  if (hash.empty() || there) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("no entry has the hash ", hash,
                   ": the log was written anew or cut off since that was noted down"));
}

int RunStatement(const Options& options) {
  absl::Duration last;
  if (!absl::ParseDuration(options.last, &last) || last <= absl::ZeroDuration() ||
      last > absl::Hours(24 * 366)) {
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("\"", options.last, "\" is no length of time; write 1h, 24h or 720h")));
  }
  const absl::StatusOr<std::vector<ledger::Entry>> entries = ledger::Read(options.log);
  if (!entries.ok()) return Fail(entries.status());
  if (const absl::Status found = CheckExpected(*entries, options.expect); !found.ok())
    return Fail(found);
  const absl::Time now = absl::Now();
  const ledger::Statement statement = ledger::State(*entries, options.tenant, now - last, now);
  if (options.json) {
    Print(StatementJson(statement));
  } else {
    std::cout << StatementText(statement);
  }
  if (statement.shared > Duration(0)) return kBreach;
  return statement.Proves() ? kOk : kIncomplete;
}

}  // namespace

nlohmann::ordered_json StatementJson(const ledger::Statement& statement) {
  return {{"tenant", statement.tenant},
          {"from", absl::FormatTime(absl::RFC3339_sec, statement.from, absl::UTCTimeZone())},
          {"to", absl::FormatTime(absl::RFC3339_sec, statement.to, absl::UTCTimeZone())},
          {"covered_ns", statement.covered.count()},
          {"in_charge_ns", statement.in_charge.count()},
          {"watched_ns", statement.watched.count()},
          {"shared_ns", statement.shared.count()},
          {"exposed_ns", statement.exposed.count()},
          {"bypassed", statement.bypassed},
          {"complete", statement.complete},
          {"proven", statement.Proves()},
          {"entries", statement.entries},
          {"head", statement.head}};
}

std::string StatementText(const ledger::Statement& s) {
  std::string text = absl::StrCat(
      s.tenant.empty() ? "All tenants" : s.tenant, ", ", TextOf(s.from), " to ", TextOf(s.to), "\n",
      "  on this host, by the audit log     ", TextOf(s.covered), "\n",
      "  of that, the class was in charge   ", PercentRoundedDown(s.in_charge, s.covered), "\n",
      "  of that, the auditor watched       ", PercentRoundedDown(s.watched, s.covered), "\n",
      "  a core was shared by two VMs       ", s.shared.count(), " ns\n",
      "  likewise, by one not yet attached  ", s.exposed.count(), " ns\n");
  if (s.bypassed > 0)
    absl::StrAppend(&text, "  threads run past the class         ", s.bypassed, "\n");
  if (!s.complete) absl::StrAppend(&text, "  the auditor missed something, so there may be more\n");
  if (s.head.empty()) return absl::StrCat(text, "evidence: none\n");
  return absl::StrCat(text, "evidence: ", s.entries,
                      " entries, none changed since; the last hash is\n", "  ", s.head, "\n");
}

void AddStatementCommand(CLI::App& audit, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* const statement = audit.add_subcommand(
      "statement", "What can be said to a tenant, from the audit log that corrald keeps");
  statement->add_option("--tenant", options->tenant, "A trust domain; all of the host without it");
  statement->add_option("--last", options->last, "How far back: 1h, 24h, 720h")
      ->type_name("TIME")
      ->capture_default_str();
  statement
      ->add_option("--expect", options->expect,
                   "A hash that was noted down before: an entry must have it")
      ->type_name("HASH");
  statement->add_option("--log", options->log, "The audit log")
      ->type_name("FILE")
      ->capture_default_str();
  statement->add_flag("--json", options->json, "Print JSON instead of a text");
  statement->footer("Example: corralctl audit statement --tenant alpha --last 24h\n");
  statement->callback(
      [&action, options] { action = [options] { return RunStatement(*options); }; });
}

}  // namespace corral::ctl
