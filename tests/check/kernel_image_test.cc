// SPDX-License-Identifier: Apache-2.0
// Kernels' files, whole, wrong and broken: kernel_image.h and kernel_btf.h.
#include "agent/check/kernel_image.h"

#include <gtest/gtest.h>

#include <random>

#include "agent/check/decompress.h"
#include "agent/check/kernel_btf.h"
#include "tests/check/fake_kernel_image.h"

namespace corral {
namespace {

BtfVerdict Judge(const std::string& btf) {
  const absl::StatusOr<BtfVerdict> verdict = JudgeBtf(btf, NeededKfuncs());
  EXPECT_TRUE(verdict.ok()) << verdict.status();
  return verdict.value_or(BtfVerdict());
}

std::string ErrorOf(const std::string& image) {
  const absl::StatusOr<KernelImage> parsed = ParseKernelImage(image);
  return parsed.ok() ? "no error" : std::string(parsed.status().message());
}

bool Says(const std::string& text, const char* what) {
  return text.find(what) != std::string::npos;
}

TEST(KfuncList, HasWhatTheClassNeeds) {
  const std::vector<KfuncChoice> list = NeededKfuncs();
  EXPECT_GT(list.size(), 10u);
  EXPECT_EQ(list[0], KfuncChoice({"scx_bpf_kick_cpu"}));
  EXPECT_EQ(ParseKfuncList("# no\n a | b # c\n\nd"), std::vector<KfuncChoice>({{"a", "b"}, {"d"}}));
}

TEST(Btf, OfAGoodKernelLacksNothing) {
  const BtfVerdict verdict = Judge(MakeBtf());
  EXPECT_TRUE(verdict.has_sched_ext);
  EXPECT_TRUE(verdict.absent.empty());
  EXPECT_TRUE(verdict.untagged.empty());
}

TEST(Btf, TellsAbsentFromUntagged) {
  const BtfVerdict verdict =
      Judge(MakeBtf({.absent = {"scx_bpf_task_cpu"}, .untagged = {"scx_bpf_kick_cpu"}}));
  EXPECT_EQ(verdict.absent, std::vector<std::string>({"scx_bpf_task_cpu"}));
  EXPECT_EQ(verdict.untagged, std::vector<std::string>({"scx_bpf_kick_cpu"}));
  EXPECT_FALSE(Judge(MakeBtf({.sched_ext = false})).has_sched_ext);
}

TEST(Btf, AnAlternativeWillDo) {
  const absl::StatusOr<BtfVerdict> verdict =
      JudgeBtf(MakeBtf(), {{"no_such_function", "scx_bpf_kick_cpu"}, {"neither", "nor"}});
  ASSERT_TRUE(verdict.ok());
  EXPECT_EQ(verdict->absent, std::vector<std::string>({"neither|nor"}));
}

TEST(Btf, GarbageIsAnError) {
  const std::string good = MakeBtf();
  for (const std::string& bad : {std::string(), std::string("BTF"), std::string(4096, '\xff'),
                                 good.substr(0, 20), good.substr(0, good.size() - 1)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(JudgeBtf(bad, NeededKfuncs()).status())) << bad.size();
  }
}

TEST(Image, EveryCompressionIsUnpacked) {
  // Larger than any buffer on the way.
  const std::string elf = MakeElf(MakeBtf() + std::string(3 << 20, 'x'));
  const std::string btf = MakeBtf();
  for (const char* how : {"gzip", "bzip2", "xz", "lzma", "zstd", "lz4"}) {
    const absl::StatusOr<KernelImage> image = ParseKernelImage(MakeBzImage(elf, how));
    ASSERT_TRUE(image.ok()) << how << ": " << image.status();
    EXPECT_EQ(image->release, "7.3.4-fake") << how;
    EXPECT_EQ(image->btf.substr(0, btf.size()), btf) << how;
  }
}

TEST(Image, AnUnpackedKernelIsReadToo) {
  const absl::StatusOr<KernelImage> image = ParseKernelImage(MakeElf(MakeBtf()));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->btf, MakeBtf());
  EXPECT_EQ(image->release, "");
}

TEST(Image, WithoutBtfIsToldApartFromABrokenOne) {
  const absl::Status status = ParseKernelImage(MakeBzImage(MakeElf(""), "gzip")).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_TRUE(Says(std::string(status.message()), "CONFIG_DEBUG_INFO_BTF")) << status;
}

TEST(Image, GarbageIsAClearError) {
  EXPECT_TRUE(Says(ErrorOf(""), "neither"));
  EXPECT_TRUE(Says(ErrorOf("#!/bin/sh\n"), "neither"));
  EXPECT_TRUE(Says(ErrorOf(std::string(100000, '\0')), "neither"));
  EXPECT_TRUE(Says(ErrorOf("\177ELF"), "ELF is truncated or damaged"));
  EXPECT_TRUE(Says(ErrorOf("\177ELF" + std::string(5000, '\xff')), "ELF is truncated or damaged"));
  std::string old = MakeBzImage(MakeElf(MakeBtf()), "gzip");
  old[0x206] = 1;
  old[0x207] = 2;
  EXPECT_TRUE(Says(ErrorOf(old), "header is damaged"));
  std::string plain = MakeBzImage(MakeElf(MakeBtf()), "gzip");
  for (size_t i = 1024 + 64; i < plain.size(); ++i) plain[i] = 'z';
  EXPECT_TRUE(Says(ErrorOf(plain), "compressed in no way")) << ErrorOf(plain);
}

TEST(Image, TruncatedAnywhereItIsAnError) {
  for (const char* how : {"gzip", "xz", "zstd", "lz4"}) {
    const std::string elf = MakeElf(MakeBtf());
    const std::string image = MakeBzImage(elf, how);
    // The last 300 bytes are no part of the kernel.
    for (size_t size = 0; size + 301 < image.size(); size += 7) {
      EXPECT_NE(ErrorOf(image.substr(0, size)), "no error") << how << " " << size;
    }
    EXPECT_EQ(ErrorOf(image.substr(0, image.size() - 300)), "no error");
    // The same with a header that does not tell.
    for (const size_t cut : {elf.size() / 2, elf.size() - 1, size_t{100}}) {
      EXPECT_TRUE(Says(ErrorOf(MakeBzImage(elf.substr(0, cut), how)), "ELF is truncated"))
          << ErrorOf(MakeBzImage(elf.substr(0, cut), how));
    }
  }
}

TEST(Image, AWrongSizeIsNoticed) {
  std::string image = MakeBzImage(MakeElf(MakeBtf()), "zstd");
  image[image.size() - 300 - 4] ^= 1;
  EXPECT_TRUE(Says(ErrorOf(image), "instead of")) << ErrorOf(image);
}

TEST(Image, ABombIsStopped) {
  const absl::StatusOr<std::string> unpacked =
      Decompress(Compress(std::string(8 << 20, '\0'), "zstd"), 1 << 20);
  EXPECT_TRUE(Says(std::string(unpacked.status().message()), "more than")) << unpacked.status();
}

// Whatever is in the file: an answer or an error, no crash. (Sanitizers see more.)
TEST(Image, DamagedOnesNeverCrash) {
  std::mt19937 random(1);
  const std::string elf = MakeElf(MakeBtf());
  const std::string image = MakeBzImage(elf, "gzip");
  int errors = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string bad = round % 2 == 0 ? elf : image;
    for (int i = 0; i < 1 + round % 5; ++i)
      bad[random() % bad.size()] = static_cast<char>(random());
    const absl::StatusOr<KernelImage> parsed = ParseKernelImage(bad);
    if (!parsed.ok() || !JudgeBtf(parsed->btf, NeededKfuncs()).ok()) ++errors;
  }
  EXPECT_GT(errors, 100);
}

#ifdef CORRAL_REAL_KERNEL
TEST(RealKernel, IsReadAndHasWhatTheClassNeeds) {
  const absl::StatusOr<KernelImage> image = ReadKernelImage(CORRAL_REAL_KERNEL);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_NE(image->release, "");
  const BtfVerdict verdict = Judge(image->btf);
  EXPECT_TRUE(verdict.has_sched_ext);
  EXPECT_TRUE(verdict.absent.empty());
  EXPECT_TRUE(verdict.untagged.empty());
}
#endif

}  // namespace
}  // namespace corral
