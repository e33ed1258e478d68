// SPDX-License-Identifier: Apache-2.0
// Kernels for tests of `corralctl check`, made from nothing: BTF with chosen functions, the ELF
// around it, the bzImage around that. They do not boot.
#ifndef CORRAL_TESTS_CHECK_FAKE_KERNEL_IMAGE_H_
#define CORRAL_TESTS_CHECK_FAKE_KERNEL_IMAGE_H_

#include <set>
#include <string>

namespace corral {

struct FakeBtf {
  bool sched_ext = true;
  std::set<std::string> absent;    // of the kfuncs that Corral needs
  std::set<std::string> untagged;  // there, but without the tag
};

// Has every kfunc that is needed, in its best form, unless told otherwise.
std::string MakeBtf(const FakeBtf& what = {});
// An ELF file with that section; "" for none.
std::string MakeElf(const std::string& btf);
// libarchive's name of a compression: gzip, bzip2, xz, lzma, zstd, lz4.
std::string Compress(const std::string& bytes, const char* how);
std::string MakeBzImage(const std::string& elf, const char* how,
                        const std::string& release = "7.3.4-fake");

}  // namespace corral

#endif  // CORRAL_TESTS_CHECK_FAKE_KERNEL_IMAGE_H_
