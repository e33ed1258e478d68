// SPDX-License-Identifier: Apache-2.0
#include "agent/check/kernel_image.h"

#include <gelf.h>

#include <cstdint>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/check/decompress.h"
#include "agent/check/host_tree.h"

namespace corral {
namespace {

// Distributions' kernels are 10 to 20 MiB, unpacked 50 to 100; one with debug information is more.
constexpr size_t kMaxFile = size_t{2} << 30;
constexpr size_t kMaxUnpacked = size_t{1} << 30;
constexpr absl::string_view kElfMagic("\177ELF", 4);
constexpr absl::string_view kGzipMagic("\x1f\x8b", 2);

// The set-up header of a bzImage: Documentation/arch/x86/boot.rst.
constexpr size_t kSetupSectors = 0x1f1;
constexpr size_t kHeaderMagic = 0x202;
constexpr size_t kProtocol = 0x206;
constexpr size_t kVersionOffset = 0x20e;
constexpr size_t kPayloadOffset = 0x248;
constexpr size_t kPayloadLength = 0x24c;
constexpr size_t kHeaderEnd = 0x250;
constexpr size_t kSector = 512;
constexpr uint16_t kPayloadProtocol = 0x0208;  // from which on the payload is told

uint32_t Little32(absl::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}
uint16_t Little16(absl::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<unsigned char>(bytes[at]) |
                               static_cast<unsigned char>(bytes[at + 1]) << 8);
}

bool IsBzImage(absl::string_view bytes) {
  return bytes.size() >= kHeaderEnd && bytes.substr(kHeaderMagic, 4) == "HdrS";
}

std::string ReleaseOf(absl::string_view image) {
  const size_t offset = Little16(image, kVersionOffset);
  if (offset == 0 || offset + kSector >= image.size()) return "";
  const absl::string_view text = image.substr(offset + kSector, 200);
  return std::string(text.substr(0, text.find_first_of(absl::string_view(" \0", 2))));
}

absl::StatusOr<std::string> UnpackBzImage(absl::string_view image) {
  if (Little16(image, kProtocol) < kPayloadProtocol) {
    return absl::InvalidArgumentError("its header is damaged, or of a kernel before 2.6.26");
  }
  const size_t sectors =
      image[kSetupSectors] == 0 ? 4 : static_cast<unsigned char>(image[kSetupSectors]);
  const size_t begin = (sectors + 1) * kSector + Little32(image, kPayloadOffset);
  const size_t length = Little32(image, kPayloadLength);
  if (length < 8 || begin > image.size() || length > image.size() - begin) {
    return absl::InvalidArgumentError(
        absl::StrCat("it is truncated: its kernel should end at byte ", begin + length,
                     ", but the file has ", image.size()));
  }
  absl::string_view payload = image.substr(begin, length);
  // The last word is the unpacked size. gzip has it of itself; to the others it was appended.
  const size_t unpacked_size = Little32(payload, length - 4);
  if (!absl::StartsWith(payload, kGzipMagic)) payload.remove_suffix(4);
  absl::StatusOr<std::string> unpacked = Decompress(payload, kMaxUnpacked);
  if (!unpacked.ok()) return unpacked;
  if (unpacked->size() != unpacked_size) {
    return absl::InvalidArgumentError(absl::StrCat(
        "it is damaged: it unpacks to ", unpacked->size(), " bytes instead of ", unpacked_size));
  }
  return unpacked;
}

struct ElfDeleter {
  void operator()(Elf* elf) const { elf_end(elf); }
};

absl::Status DamagedElf() { return absl::InvalidArgumentError("its ELF is truncated or damaged"); }

// libelf takes a file that ends before its table of sections for one without any.
bool HasItsSections(Elf* elf, size_t size) {
  GElf_Ehdr header;
  if (gelf_getehdr(elf, &header) == nullptr) return false;
  const size_t table = size_t{header.e_shnum} * header.e_shentsize;
  return header.e_shoff != 0 && header.e_shoff <= size && table <= size - header.e_shoff;
}

// `bytes` is not changed; libelf's interface wants it writable.
absl::StatusOr<std::string> BtfOf(std::string& bytes) {
  if (elf_version(EV_CURRENT) == EV_NONE) return absl::InternalError("libelf is too old");
  const std::unique_ptr<Elf, ElfDeleter> elf(elf_memory(bytes.data(), bytes.size()));
  size_t names = 0;
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF ||
      !HasItsSections(elf.get(), bytes.size()) || elf_getshdrstrndx(elf.get(), &names) != 0) {
    return DamagedElf();
  }
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf.get(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) return DamagedElf();
    const char* const name = elf_strptr(elf.get(), names, header.sh_name);
    if (name == nullptr) return DamagedElf();
    if (absl::string_view(name) != ".BTF") continue;
    const Elf_Data* const data = elf_rawdata(section, nullptr);
    if (data == nullptr || data->d_buf == nullptr) return DamagedElf();
    return std::string(static_cast<const char*>(data->d_buf), data->d_size);
  }
  return absl::NotFoundError("it has no BTF (CONFIG_DEBUG_INFO_BTF)");
}

}  // namespace

absl::StatusOr<KernelImage> ParseKernelImage(absl::string_view bytes) {
  KernelImage image;
  std::string elf;
  if (absl::StartsWith(bytes, kElfMagic)) {
    elf = std::string(bytes);
  } else if (IsBzImage(bytes)) {
    image.release = ReleaseOf(bytes);
    absl::StatusOr<std::string> unpacked = UnpackBzImage(bytes);
    if (!unpacked.ok()) return unpacked.status();
    elf = *std::move(unpacked);
  } else {
    return absl::InvalidArgumentError("it is neither an x86 bzImage nor an ELF kernel");
  }
  absl::StatusOr<std::string> btf = BtfOf(elf);
  if (!btf.ok()) return btf.status();
  image.btf = *std::move(btf);
  return image;
}

absl::StatusOr<KernelImage> ReadKernelImage(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadWholeFile(path, kMaxFile);
  return bytes.ok() ? ParseKernelImage(*bytes) : bytes.status();
}

}  // namespace corral
