// SPDX-License-Identifier: Apache-2.0
// A folder that looks like the root of a host, for tests of `corralctl check`.
#ifndef CORRAL_TESTS_CHECK_FAKE_HOST_H_
#define CORRAL_TESTS_CHECK_FAKE_HOST_H_

#include <string>
#include <vector>

#include "agent/check/host_tree.h"

namespace corral {

class FakeHost {
 public:
  // Two cores of two siblings, a kernel that was tested, libvirt, no VM, corral.yaml as given:
  // everything is as it should be.
  explicit FakeHost(const std::string& yaml);
  FakeHost(const FakeHost&) = delete;
  ~FakeHost();  // removes it

  HostTree tree() const { return HostTree(root_); }
  void Write(const std::string& path, const std::string& text);
  void Remove(const std::string& path);
  // Every file there is, as Write names it.
  std::vector<std::string> Files() const;

 private:
  std::string root_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_CHECK_FAKE_HOST_H_
