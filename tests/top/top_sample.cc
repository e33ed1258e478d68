// SPDX-License-Identifier: Apache-2.0
// top on a simulated host of so many CPUs, for tests/top/terminal: the real screen, with keys.
#include <cstdlib>
#include <iostream>

#include "agent/top/screen.h"
#include "tests/top/sample.h"

int main(int argc, char** argv) {
  using std::chrono::milliseconds;
  if (argc != 2) return 2;
  corral::top::SampleHost host(atoi(argv[1]) / 2);
  for (int i = 0; i < 30; ++i) host.Pass(milliseconds(100));
  const absl::Status status = corral::top::RunScreen(
      [&host]() -> absl::StatusOr<corral::top::Page> {
        host.Pass(milliseconds(100));
        return host.Show();
      },
      milliseconds(50));
  if (!status.ok()) std::cerr << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
