// SPDX-License-Identifier: Apache-2.0
// Domains in the test host, as an operator makes them.
#ifndef CORRAL_TESTS_LIBVIRT_VIRSH_H_
#define CORRAL_TESTS_LIBVIRT_VIRSH_H_

#include <sys/types.h>

#include <map>
#include <string>

namespace corral {

// Runs a shell command and returns what it prints, without the last newline; a failure fails the
// test.
std::string Shell(const std::string& command);

struct DomainSpec {
  std::string name;
  int vcpus = 1;
  int max_vcpus = 1;
  std::string guest;  // tests/demo/guest: its file and what it is told, as "guest.elf spin"
  std::string disk;   // a qcow2 file, if any
};
// Writes its XML to a file, whose name it returns.
std::string WriteDomain(const DomainSpec& spec);

// A VM of that many vCPUs of at most `max_vcpus`, with nothing to boot. Runs until destroyed.
void DefineDomain(const std::string& name, int vcpus, int max_vcpus);
std::string UuidOf(const std::string& name);
// Thread by vCPU, from the names that QEMU gives its threads.
std::map<int, pid_t> VcpusInProc(pid_t pid);
// As the kernel kills it when memory is short.
void KillLibvirtd();
// CPU time in ns; 0 if the thread has gone.
uint64_t RunTime(pid_t pid, pid_t tid);

}  // namespace corral

#endif  // CORRAL_TESTS_LIBVIRT_VIRSH_H_
