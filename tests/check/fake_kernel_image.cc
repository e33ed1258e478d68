// SPDX-License-Identifier: Apache-2.0
#include "tests/check/fake_kernel_image.h"

#include <archive.h>
#include <archive_entry.h>
#include <bpf/btf.h>
#include <libelf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "agent/check/kernel_btf.h"

namespace corral {
namespace {

void Must(bool done) {
  if (!done) abort();
}

void Put32(std::string& bytes, size_t at, uint32_t value) {
  for (int i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

la_ssize_t Append(archive* /*a*/, void* out, const void* bytes, size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

}  // namespace

std::string MakeBtf(const FakeBtf& what) {
  btf* const types = btf__new_empty();
  Must(types != nullptr);
  const int integer = btf__add_int(types, "int", 4, BTF_INT_SIGNED);
  if (what.sched_ext) {
    Must(btf__add_struct(types, "sched_ext_ops", 4) > 0);
    Must(btf__add_field(types, "flags", integer, 0, 0) == 0);
  }
  const int prototype = btf__add_func_proto(types, integer);
  for (const KfuncChoice& choice : NeededKfuncs()) {
    const std::string& name = choice.front();
    if (what.absent.count(name) != 0) continue;
    const int function = btf__add_func(types, name.c_str(), BTF_FUNC_GLOBAL, prototype);
    Must(function > 0);
    if (what.untagged.count(name) != 0) continue;
    Must(btf__add_decl_tag(types, "bpf_kfunc", function, -1) > 0);
  }
  uint32_t size = 0;
  const void* const raw = btf__raw_data(types, &size);
  std::string bytes(static_cast<const char*>(raw), size);
  btf__free(types);
  return bytes;
}

std::string MakeElf(const std::string& btf) {
  std::string names(1, '\0');
  names += std::string(".shstrtab") + '\0' + ".BTF" + '\0';
  const int fd = memfd_create("elf", MFD_CLOEXEC);
  Must(fd >= 0 && elf_version(EV_CURRENT) != EV_NONE);
  Elf* const elf = elf_begin(fd, ELF_C_WRITE, nullptr);
  Elf64_Ehdr* const header = elf64_newehdr(elf);
  header->e_machine = EM_X86_64;
  header->e_type = ET_EXEC;
  header->e_version = EV_CURRENT;
  const auto add = [elf](const std::string& bytes, size_t name, uint32_t type) {
    Elf_Scn* const section = elf_newscn(elf);
    Elf_Data* const data = elf_newdata(section);
    data->d_buf = const_cast<char*>(bytes.data());
    data->d_size = bytes.size();
    Elf64_Shdr* const head = elf64_getshdr(section);
    head->sh_name = static_cast<uint32_t>(name);
    head->sh_type = type;
    return elf_ndxscn(section);
  };
  if (!btf.empty()) add(btf, names.find(".BTF"), SHT_PROGBITS);
  header->e_shstrndx = static_cast<uint16_t>(add(names, 1, SHT_STRTAB));
  const off_t size = elf_update(elf, ELF_C_WRITE);
  Must(size > 0);
  elf_end(elf);
  std::string bytes(size, '\0');
  Must(pread(fd, bytes.data(), bytes.size(), 0) == size);
  close(fd);
  return bytes;
}

std::string Compress(const std::string& bytes, const char* how) {
  std::string out;
  archive* const a = archive_write_new();
  Must(archive_write_add_filter_by_name(a, how) == ARCHIVE_OK);
  Must(archive_write_set_format_raw(a) == ARCHIVE_OK);
  archive_write_set_bytes_in_last_block(a, 1);
  Must(archive_write_open(a, &out, nullptr, Append, nullptr) == ARCHIVE_OK);
  archive_entry* const entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  Must(archive_write_header(a, entry) == ARCHIVE_OK);
  Must(archive_write_data(a, bytes.data(), bytes.size()) == static_cast<la_ssize_t>(bytes.size()));
  archive_entry_free(entry);
  Must(archive_write_close(a) == ARCHIVE_OK);
  archive_write_free(a);
  return out;
}

std::string MakeBzImage(const std::string& elf, const char* how, const std::string& release) {
  constexpr size_t kSetup = 2 * 512;
  constexpr size_t kVersionAt = 0x300;
  std::string image(kSetup, '\0');
  image[0x1f1] = 1;  // sectors of set-up code after the first
  memcpy(image.data() + 0x202, "HdrS", 4);
  image[0x206] = 0x0f;
  image[0x207] = 0x02;
  image[0x20e] = static_cast<char>((kVersionAt - 512) & 0xff);
  image[0x20f] = static_cast<char>((kVersionAt - 512) >> 8);
  image.replace(kVersionAt, release.size() + 8, release + " (me) #1");
  std::string payload = Compress(elf, how);
  // gzip ends with the size already; the kernel's build appends it to the others.
  if (strcmp(how, "gzip") != 0) {
    payload.resize(payload.size() + 4);
    Put32(payload, payload.size() - 4, static_cast<uint32_t>(elf.size()));
  }
  constexpr uint32_t kCode = 64;
  Put32(image, 0x248, kCode);
  Put32(image, 0x24c, static_cast<uint32_t>(payload.size()));
  return image + std::string(kCode, '\x90') + payload + std::string(300, '\xcc');
}

}  // namespace corral
