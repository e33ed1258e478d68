// SPDX-License-Identifier: Apache-2.0
#include "agent/report/record.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernel/text_field.h"

namespace corral::report {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr char kMagic[8] = {'C', 'o', 'r', 'r', 'a', 'l', 'S', '2'};
constexpr size_t kCoresInCell = 4;
constexpr double kMillion = 1e6;
constexpr double kMostMillionths = std::numeric_limits<uint32_t>::max();
// A stretch; corrald's take some minutes at most.
constexpr Duration kLongest = std::chrono::hours(24 * 7);

enum Flag : uint32_t {
  kSimulated = 1u << 0,
  kInCharge = 1u << 1,
  kAudited = 1u << 2,
  kAuditComplete = 1u << 3,
};

struct HeaderCells {
  char magic[8];
  uint64_t sequence;
  uint32_t lap;
  uint32_t flags;
  uint32_t domains;
  uint32_t cores;
  uint32_t told;
  uint32_t omitted;
  int64_t at_ns;  // since 1970
  int64_t window_ns;
  int64_t enforced_ns;
  int64_t exposed_ns;
  int64_t forced_idle_ns;
  uint32_t reserved[10];
  uint32_t body_checksum;
  uint32_t checksum;  // of the header up to here
};
static_assert(sizeof(HeaderCells) == 2 * kCell);

// The name, which a guest's owner chooses, does not stand where a header could begin.
struct DomainCells {
  uint32_t id;
  uint16_t vcpus, refused, unprotected, cores;
  uint32_t guaranteed, used, missed, local, remote;
  uint16_t waited[GHOST_NR_WAITS];    // with 11 bits
  uint8_t waits[GHOST_WAIT_BUCKETS];  // with 3 bits
  uint16_t reserved;
  char name[64];  // the file's own length, whatever the class's is
};
static_assert(sizeof(DomainCells) == 2 * kCell);

struct CoreCell {
  uint8_t enclave, node, cpus, flags;
  uint32_t forced_idle;
  uint32_t switches;
  uint16_t rescues, breaches;
};
static_assert(sizeof(CoreCell) * kCoresInCell == kCell);
constexpr uint8_t kAgent = 1, kStalled = 2;

struct ToldCells {
  int64_t at_ns;
  char event[32];
  char text[4 * kCell - 40];
};
static_assert(sizeof(ToldCells) == 4 * kCell);

template <typename Small>
Small Most(uint64_t value) {
  return static_cast<Small>(std::min<uint64_t>(value, std::numeric_limits<Small>::max()));
}

uint32_t Millionths(double share) {
  const double rounded = std::round(share * kMillion);
  if (!(rounded > 0)) return 0;
  return static_cast<uint32_t>(std::min(rounded, kMostMillionths));
}

double Share(uint32_t millionths) { return millionths / kMillion; }

// A number by its first `bits` bits, and where they stand.
template <int bits, typename Small>
Small Rounded(uint32_t value) {
  const int shift = std::max(static_cast<int>(std::bit_width(value)) - bits, 0);
  return static_cast<Small>(shift << bits | value >> shift);
}
// In the middle of those that are rounded so.
template <int bits>
uint32_t Unrounded(uint32_t rounded) {
  const uint32_t shift = std::min(rounded >> bits, 31u - bits);
  const uint32_t first = rounded & ((1u << bits) - 1);
  return first << shift | (shift > 0 ? 1u << (shift - 1) : 0);
}

uint32_t Checksum(const void* bytes, size_t size) {
  return static_cast<uint32_t>(
      crc32_z(crc32_z(0, nullptr, 0), static_cast<const Bytef*>(bytes), size));
}

uint32_t HeaderChecksum(const HeaderCells& header) {
  return Checksum(&header, offsetof(HeaderCells, checksum));
}

size_t CoreCells(size_t cores) { return (cores + kCoresInCell - 1) / kCoresInCell; }

size_t BodyBytes(const HeaderCells& header) {
  return header.domains * sizeof(DomainCells) + CoreCells(header.cores) * kCell +
         header.told * sizeof(ToldCells);
}

template <typename Cells>
void Put(const Cells& cells, std::string& out) {
  out.append(reinterpret_cast<const char*>(&cells), sizeof(cells));
}

template <typename Cells>
Cells Take(absl::string_view& bytes) {
  Cells cells;
  memcpy(&cells, bytes.data(), sizeof(cells));
  bytes.remove_prefix(sizeof(cells));
  return cells;
}

DomainCells ToCells(const DomainSample& domain) {
  DomainCells cells = {};
  SetText(domain.name, cells.name);
  cells.id = domain.id;
  cells.vcpus = Most<uint16_t>(domain.vcpus);
  cells.refused = Most<uint16_t>(domain.refused);
  cells.unprotected = Most<uint16_t>(domain.unprotected);
  cells.cores = Most<uint16_t>(domain.cores);
  cells.guaranteed = Millionths(domain.guaranteed);
  cells.used = Millionths(domain.used);
  cells.missed = Millionths(domain.missed);
  cells.local = Millionths(domain.local);
  cells.remote = Millionths(domain.remote);
  for (int why = 0; why < GHOST_NR_WAITS; ++why)
    cells.waited[why] = Rounded<11, uint16_t>(Most<uint32_t>(Millionths(domain.waited[why])));
  for (int i = 0; i < GHOST_WAIT_BUCKETS; ++i)
    cells.waits[i] = Rounded<3, uint8_t>(domain.waits[i]);
  return cells;
}

DomainSample FromCells(const DomainCells& cells) {
  DomainSample domain = {.id = cells.id,
                         .name = std::string(TextOf(cells.name)),
                         .vcpus = cells.vcpus,
                         .refused = cells.refused,
                         .unprotected = cells.unprotected,
                         .cores = cells.cores,
                         .guaranteed = Share(cells.guaranteed),
                         .used = Share(cells.used),
                         .missed = Share(cells.missed),
                         .local = Share(cells.local),
                         .remote = Share(cells.remote)};
  for (int why = 0; why < GHOST_NR_WAITS; ++why)
    domain.waited[why] = Share(Unrounded<11>(cells.waited[why]));
  for (int i = 0; i < GHOST_WAIT_BUCKETS; ++i) domain.waits[i] = Unrounded<3>(cells.waits[i]);
  return domain;
}

CoreCell ToCell(const CoreSample& core) {
  return {.enclave = core.enclave,
          .node = core.node,
          .cpus = core.cpus,
          .flags = static_cast<uint8_t>((core.agent ? kAgent : 0) | (core.stalled ? kStalled : 0)),
          .forced_idle = Millionths(core.forced_idle),
          .switches = core.switches,
          .rescues = Most<uint16_t>(core.rescues),
          .breaches = Most<uint16_t>(core.breaches)};
}

CoreSample FromCell(const CoreCell& cell) {
  return {.enclave = cell.enclave,
          .node = cell.node,
          .cpus = cell.cpus,
          .agent = (cell.flags & kAgent) != 0,
          .stalled = (cell.flags & kStalled) != 0,
          .forced_idle = Share(cell.forced_idle),
          .switches = cell.switches,
          .rescues = cell.rescues,
          .breaches = cell.breaches};
}

// Those that are written, by id.
std::vector<DomainSample> MostUsed(std::vector<DomainSample> domains) {
  if (domains.size() <= kMostDomains) return domains;
  std::sort(domains.begin(), domains.end(),
            [](const DomainSample& a, const DomainSample& b) { return a.used > b.used; });
  domains.resize(kMostDomains);
  std::sort(domains.begin(), domains.end(),
            [](const DomainSample& a, const DomainSample& b) { return a.id < b.id; });
  return domains;
}

std::string EncodeBody(const Sample& sample, HeaderCells& header) {
  const std::vector<DomainSample> domains = MostUsed(sample.domains);
  header.domains = static_cast<uint32_t>(domains.size());
  header.cores = static_cast<uint32_t>(std::min<size_t>(sample.cores.size(), 1024));
  header.told = static_cast<uint32_t>(std::min(sample.told.size(), kMostTold));
  header.omitted = sample.omitted + static_cast<uint32_t>(sample.domains.size() - domains.size());
  std::string body;
  body.reserve(BodyBytes(header));
  for (const DomainSample& domain : domains) Put(ToCells(domain), body);
  for (uint32_t i = 0; i < header.cores; ++i) Put(ToCell(sample.cores[i]), body);
  body.append((kCell - body.size() % kCell) % kCell, '\0');
  for (uint32_t i = 0; i < header.told; ++i) {
    ToldCells cells = {.at_ns = absl::ToUnixNanos(sample.told[i].at)};
    SetText(sample.told[i].event, cells.event);
    SetText(sample.told[i].text, cells.text);
    Put(cells, body);
  }
  return body;
}

Sample DecodeBody(const HeaderCells& header, absl::string_view body) {
  Sample sample = {.at = absl::FromUnixNanos(header.at_ns),
                   .window = Duration(header.window_ns),
                   .simulated = (header.flags & kSimulated) != 0,
                   .in_charge = (header.flags & kInCharge) != 0,
                   .omitted = header.omitted};
  if ((header.flags & kAudited) != 0) {
    sample.audit = {.enforced = Duration(header.enforced_ns),
                    .exposed = Duration(header.exposed_ns),
                    .forced_idle = Duration(header.forced_idle_ns),
                    .complete = (header.flags & kAuditComplete) != 0};
  }
  for (uint32_t i = 0; i < header.domains; ++i)
    sample.domains.push_back(FromCells(Take<DomainCells>(body)));
  absl::string_view cores = body.substr(0, CoreCells(header.cores) * kCell);
  body.remove_prefix(cores.size());
  for (uint32_t i = 0; i < header.cores; ++i)
    sample.cores.push_back(FromCell(Take<CoreCell>(cores)));
  for (uint32_t i = 0; i < header.told; ++i) {
    const ToldCells cells = Take<ToldCells>(body);
    sample.told.push_back({absl::FromUnixNanos(cells.at_ns), std::string(TextOf(cells.event)),
                           std::string(TextOf(cells.text))});
  }
  return sample;
}

}  // namespace

std::string Encode(const Sample& sample, const Place& place) {
  HeaderCells header = {};
  memcpy(header.magic, kMagic, sizeof(kMagic));
  header.sequence = place.sequence;
  header.lap = place.lap;
  header.flags = (sample.simulated ? kSimulated : 0u) | (sample.in_charge ? kInCharge : 0u);
  header.at_ns = absl::ToUnixNanos(sample.at);
  header.window_ns = sample.window.count();
  if (sample.audit) {
    header.flags |= kAudited | (sample.audit->complete ? kAuditComplete : 0u);
    header.enforced_ns = sample.audit->enforced.count();
    header.exposed_ns = sample.audit->exposed.count();
    header.forced_idle_ns = sample.audit->forced_idle.count();
  }
  const std::string body = EncodeBody(sample, header);
  header.body_checksum = Checksum(body.data(), body.size());
  header.checksum = HeaderChecksum(header);
  std::string out;
  out.reserve(sizeof(header) + body.size());
  Put(header, out);
  return out + body;
}

absl::StatusOr<Record> Decode(absl::string_view bytes) {
  if (bytes.size() < sizeof(kMagic) || memcmp(bytes.data(), kMagic, sizeof(kMagic)) != 0)
    return absl::NotFoundError("no sample begins here");
  if (bytes.size() < sizeof(HeaderCells)) return absl::DataLossError("a sample is cut off");
  const HeaderCells header = Take<HeaderCells>(bytes);
  if (header.checksum != HeaderChecksum(header) || header.domains > kMostDomains ||
      header.cores > 1024 || header.told > kMostTold || header.at_ns < 0 ||
      header.enforced_ns < 0 || header.exposed_ns < 0 || header.forced_idle_ns < 0 ||
      header.window_ns < 0 || header.window_ns > kLongest.count())
    return absl::DataLossError("a sample's header is damaged");
  const size_t size = BodyBytes(header);
  if (bytes.size() < size) return absl::DataLossError("a sample is cut off");
  const absl::string_view body = bytes.substr(0, size);
  if (header.body_checksum != Checksum(body.data(), body.size()))
    return absl::DataLossError("a sample is damaged");
  return Record{.sample = DecodeBody(header, body),
                .place = {.sequence = header.sequence, .lap = header.lap},
                .bytes = sizeof(header) + size};
}

}  // namespace corral::report
