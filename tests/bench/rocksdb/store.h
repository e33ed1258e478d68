// SPDX-License-Identifier: Apache-2.0
// RocksDB in memory: its files are in an Env of its own that has no disk, and all of them fit into
// its cache, which takes no locks. So a read computes, and waits for nobody.
//
// Any thread may read.
#ifndef CORRAL_TESTS_BENCH_ROCKSDB_STORE_H_
#define CORRAL_TESTS_BENCH_ROCKSDB_STORE_H_

#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace corral::bench {

class Store {
 public:
  // With that many keys, written, compacted, and read once. Internal: what RocksDB says.
  static absl::StatusOr<std::unique_ptr<Store>> Open(uint32_t keys);

  // Reads some keys, drawn from `seed`. Internal: one was not there.
  absl::Status Get(uint32_t keys, uint64_t seed) const;
  // Reads keys in their order, from one drawn from `seed` on, and from the first one again behind
  // the last.
  absl::Status Scan(uint32_t keys, uint64_t seed) const;

 private:
  explicit Store(uint32_t keys) : keys_(keys) {}
  absl::Status Fill();

  const uint32_t keys_;
  std::unique_ptr<rocksdb::Env> env_;  // outlives the database
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace corral::bench

#endif  // CORRAL_TESTS_BENCH_ROCKSDB_STORE_H_
