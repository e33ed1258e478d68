// SPDX-License-Identifier: Apache-2.0
// The file of samples: what is read is what was written, a day fits, and whatever becomes of the
// bytes, what is whole is found and nothing else.
#include "agent/report/ring.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/report/made_samples.h"

namespace corral::report {
namespace {

class Ring : public testing::Test {
 protected:
  Ring() : path_(absl::StrCat(testing::TempDir(), "/", getpid(), "-samples.ring")) {}
  ~Ring() override { unlink(path_.c_str()); }

  std::string Bytes() const {
    std::ostringstream all;
    all << std::ifstream(path_, std::ios::binary).rdbuf();
    return all.str();
  }
  void Write(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }
  size_t Size() const {
    struct stat status = {};
    EXPECT_EQ(stat(path_.c_str(), &status), 0);
    return status.st_size;
  }
  std::vector<Sample> Samples() const {
    absl::StatusOr<RingContents> contents = ReadRing(path_);
    EXPECT_TRUE(contents.ok()) << contents.status();
    return contents.ok() ? contents->samples : std::vector<Sample>();
  }

  const std::string path_;
};

// Shares are kept to a millionth of a CPU, what was waited for to a thousandth, and numbers of
// waits to an eighth.
void ExpectAlike(const Sample& got, const Sample& wanted) {
  EXPECT_EQ(got.at, wanted.at);
  EXPECT_EQ(got.window, wanted.window);
  EXPECT_EQ(got.in_charge, wanted.in_charge);
  EXPECT_EQ(got.audit, wanted.audit);
  EXPECT_EQ(got.told, wanted.told);
  ASSERT_EQ(got.domains.size(), wanted.domains.size());
  for (size_t i = 0; i < got.domains.size(); ++i) {
    const DomainSample &a = got.domains[i], &b = wanted.domains[i];
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.vcpus, b.vcpus);
    EXPECT_EQ(a.cores, b.cores);
    EXPECT_NEAR(a.used, b.used, 1e-6);
    EXPECT_NEAR(a.guaranteed, b.guaranteed, 1e-6);
    EXPECT_NEAR(a.missed, b.missed, 1e-6);
    EXPECT_NEAR(a.local, b.local, 1e-6);
    EXPECT_NEAR(a.remote, b.remote, 1e-6);
    for (int why = 0; why < GHOST_NR_WAITS; ++why)
      EXPECT_NEAR(a.waited[why], b.waited[why], 1e-6 + b.waited[why] / 1000);
    for (int k = 0; k < GHOST_WAIT_BUCKETS; ++k)
      EXPECT_NEAR(a.waits[k], b.waits[k], b.waits[k] / 8.0);
  }
  ASSERT_EQ(got.cores.size(), wanted.cores.size());
  for (size_t i = 0; i < got.cores.size(); ++i) {
    EXPECT_NEAR(got.cores[i].forced_idle, wanted.cores[i].forced_idle, 1e-6);
    EXPECT_EQ(got.cores[i].node, wanted.cores[i].node);
    EXPECT_EQ(got.cores[i].stalled, wanted.cores[i].stalled);
    EXPECT_EQ(got.cores[i].switches, wanted.cores[i].switches);
    EXPECT_EQ(got.cores[i].breaches, wanted.cores[i].breaches);
  }
}

TEST_F(Ring, GivesBackWhatWasWritten) {
  const std::vector<Sample> samples = MadeSamples({.cpus = 14}, 70);
  {
    absl::StatusOr<RingWriter> ring = RingWriter::Open(path_);
    ASSERT_TRUE(ring.ok()) << ring.status();
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(ring->Append(samples[i]).ok());
  }
  // As by the next corrald.
  absl::StatusOr<RingWriter> ring = RingWriter::Open(path_);
  ASSERT_TRUE(ring.ok()) << ring.status();
  for (int i = 30; i < 70; ++i) ASSERT_TRUE(ring->Append(samples[i]).ok());
  const std::vector<Sample> got = Samples();
  ASSERT_EQ(got.size(), samples.size());
  for (size_t i = 0; i < got.size(); ++i) ExpectAlike(got[i], samples[i]);
  const absl::StatusOr<RingContents> last = ReadRing(path_, samples[60].at);
  ASSERT_TRUE(last.ok());
  EXPECT_EQ(last->samples.size(), 10u);
  struct stat status = {};
  stat(path_.c_str(), &status);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Ring, PutsTheNewestInThePlaceOfTheOldest) {
  const size_t capacity = 64 * 1024;
  absl::StatusOr<RingWriter> ring = RingWriter::Open(path_, capacity);
  ASSERT_TRUE(ring.ok());
  for (int i = 0; i < 1000; ++i) {
    // Of different sizes, so that laps end in different places.
    const Sample sample = MadeSample({.cpus = 8, .domains = 1 + i % 7}, i);
    ASSERT_TRUE(ring->Append(sample).ok());
    ASSERT_LE(Size(), capacity);
    if (i % 97 != 0) continue;
    const std::vector<Sample> got = Samples();
    ASSERT_FALSE(got.empty());
    EXPECT_EQ(got.back().at, sample.at);
    for (size_t k = 1; k < got.size(); ++k)
      ASSERT_EQ(got[k].at - got[k - 1].at, absl::Seconds(10)) << i << ": " << k;
    if (i > 300) {
      EXPECT_GT(got.size(), 60u);
    }
  }
  // Where the last one had ended, the next corrald goes on.
  const size_t before = Samples().size();
  absl::StatusOr<RingWriter> again = RingWriter::Open(path_, capacity);
  ASSERT_TRUE(again.ok());
  ASSERT_TRUE(again->Append(MadeSample({}, 1000)).ok());
  EXPECT_GE(Samples().size() + 8, before);
  EXPECT_EQ(Samples().back().at, MadeSample({}, 1000).at);
}

// The law by which corrald paces itself: 64 MiB hold a day, of whatever sizes samples are.
TEST_F(Ring, HoldsADayOfTheLargestHost) {
  const MadeHost host{.cpus = 256, .domains = 200};
  const size_t bytes = Encode(MadeSample(host, 0), {.sequence = 1, .lap = 0}).size();
  EXPECT_LT(LeastInterval(bytes), std::chrono::seconds(42)) << "corral.yaml(5) says 41 s";
  EXPECT_GT(LeastInterval(bytes), std::chrono::seconds(40));
  absl::StatusOr<RingWriter> ring = RingWriter::Open(path_);
  ASSERT_TRUE(ring.ok());
  // Encoding is most of the work, so the time of one sample is moved.
  Sample sample = MadeSample(host, 0);
  absl::Time now = host.begin;
  for (const absl::Time end = now + absl::Hours(30); now < end;) {
    sample.at = now;
    ASSERT_TRUE(ring->Append(sample).ok());
    now += absl::FromChrono(std::max<Duration>(std::chrono::seconds(10), ring->least_interval()));
  }
  EXPECT_LE(Size(), kMostRingBytes);
  EXPECT_GT(Size(), kMostRingBytes * 3 / 4);
  const std::vector<Sample> got = Samples();
  EXPECT_GE(got.back().at - got.front().at, absl::Hours(24));
}

TEST_F(Ring, HoldsADayWhateverSizesSamplesHave) {
  const size_t capacity = 1024 * 1024;
  std::mt19937 random(1);
  absl::StatusOr<RingWriter> ring = RingWriter::Replace(path_, capacity);
  ASSERT_TRUE(ring.ok());
  absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const absl::Time begin = now;
  for (int i = 0; now < begin + absl::Hours(100); ++i) {
    const int domains =
        i % 50 < 45 ? static_cast<int>(random() % 5) : static_cast<int>(random() % 400);
    Sample sample = MadeSample({.cpus = 8, .domains = 1 + domains}, 0);
    sample.at = now;
    ASSERT_TRUE(ring->Append(sample).ok());
    if (i % 100 == 0 && now > begin + absl::Hours(25)) {
      const std::vector<Sample> got = Samples();
      ASSERT_GE(got.back().at - got.front().at, absl::Hours(24)) << i;
    }
    now += absl::FromChrono(std::max<Duration>(std::chrono::seconds(10), ring->least_interval()));
  }
  EXPECT_LE(Size(), capacity);
}

TEST_F(Ring, LosesOneSampleToPowerLoss) {
  absl::StatusOr<RingWriter> ring = RingWriter::Open(path_);
  ASSERT_TRUE(ring.ok());
  std::vector<size_t> ends;
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(ring->Append(MadeSample({}, i)).ok());
    ends.push_back(Size());
  }
  const std::string whole = Bytes();
  for (size_t size = ends[6]; size < whole.size(); size += 7) {
    // What the disk never got is missing, or it is zeros.
    for (const bool zeros : {false, true}) {
      std::string torn = whole.substr(0, size);
      if (zeros) torn.resize(whole.size());
      if (torn == whole) continue;  // it ends in zeros
      Write(torn);
      ASSERT_EQ(Samples().size(), 7u) << size;
      absl::StatusOr<RingWriter> next = RingWriter::Open(path_);
      ASSERT_TRUE(next.ok()) << next.status();
      ASSERT_TRUE(next->Append(MadeSample({}, 8)).ok());
      const std::vector<Sample> got = Samples();
      ASSERT_EQ(got.size(), 8u);
      EXPECT_EQ(got.back().at, MadeSample({}, 8).at);
    }
  }
}

TEST_F(Ring, SkipsWhatIsDamaged) {
  absl::StatusOr<RingWriter> ring = RingWriter::Open(path_);
  ASSERT_TRUE(ring.ok());
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(ring->Append(MadeSample({}, i)).ok());
  const std::string whole = Bytes();
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = whole;
    const size_t at = kCell + random() % (whole.size() - kCell);
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    const absl::StatusOr<RingContents> contents = ParseRing(damaged);
    ASSERT_TRUE(contents.ok());
    // A bit that no checksum covers would be one that says nothing: there is none.
    ASSERT_EQ(contents->samples.size(), 7u) << at;
  }
}

TEST_F(Ring, RefusesWhatIsNone) {
  struct Case {
    std::string bytes;
    absl::StatusCode code;
    const char* says;
  };
  absl::StatusOr<RingWriter> ring = RingWriter::Open(path_);
  ASSERT_TRUE(ring.ok());
  ASSERT_TRUE(ring->Append(MadeSample({}, 0)).ok());
  const std::string whole = Bytes();
  std::string damaged = whole;
  damaged[20] ^= 1;
  for (const Case& c :
       {Case{"", absl::StatusCode::kDataLoss, "shorter than the beginning"},
        Case{whole.substr(0, 63), absl::StatusCode::kDataLoss, "shorter than the beginning"},
        Case{std::string(4096, 'x'), absl::StatusCode::kFailedPrecondition,
             "no file of Corral's samples"},
        Case{damaged, absl::StatusCode::kDataLoss, "beginning of the file is damaged"}}) {
    Write(c.bytes);
    const absl::Status status = ReadRing(path_).status();
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), c.says)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), path_)) << status;
    EXPECT_EQ(RingWriter::Open(path_).status().code(), c.code);
    absl::StatusOr<RingWriter> replaced = RingWriter::Replace(path_);
    ASSERT_TRUE(replaced.ok()) << replaced.status();
    ASSERT_TRUE(replaced->Append(MadeSample({}, 1)).ok());
    EXPECT_EQ(Samples().size(), 1u);
  }
  EXPECT_EQ(RingWriter::Open(path_, kMostRingBytes / 2).status().code(),
            absl::StatusCode::kFailedPrecondition);
  unlink(path_.c_str());
  EXPECT_TRUE(absl::IsNotFound(ReadRing(path_).status()));
}

TEST_F(Ring, LeavesOutTheLeastUsedDomainsWhereThereAreTooMany) {
  const Sample sample = MadeSample({.cpus = 8, .domains = static_cast<int>(kMostDomains) + 5}, 0);
  const std::string bytes = Encode(sample, {.sequence = 1, .lap = 0});
  EXPECT_LE(bytes.size(), kMostBytes);
  const absl::StatusOr<Record> record = Decode(bytes);
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->sample.domains.size(), kMostDomains);
  EXPECT_EQ(record->sample.omitted, 5u);
}

TEST_F(Ring, SaysWhereItCannotWrite) {
  const absl::Status status = RingWriter::Open("/nonexistent/samples.ring").status();
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(absl::StrContains(status.message(), "/nonexistent/samples.ring")) << status;
}

}  // namespace
}  // namespace corral::report
