// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/rocksdb/store.h"

#include <rocksdb/cache.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <cstdio>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"

namespace corral::bench {
namespace {

constexpr size_t kValueBytes = 100;
constexpr size_t kBlockBytes = 4096;
constexpr size_t kCacheBytes = size_t{64} << 20;
constexpr uint32_t kBatch = 1000;

std::string KeyOf(uint32_t number) {
  char text[sizeof("key-4294967295")];
  const int length = snprintf(text, sizeof(text), "key-%010u", number);
  return {text, static_cast<size_t>(length)};
}

absl::Status StatusOf(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("RocksDB: ", status.ToString()));
}

rocksdb::Options OptionsFor(rocksdb::Env* env) {
  rocksdb::BlockBasedTableOptions table;
  table.block_size = kBlockBytes;
  table.block_cache = rocksdb::HyperClockCacheOptions(kCacheBytes, kBlockBytes).MakeSharedCache();
  rocksdb::Options options;
  options.env = env;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(uint32_t keys) {
  std::unique_ptr<Store> store(new Store(keys));
  store->env_.reset(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  rocksdb::DB* db = nullptr;
  absl::Status status =
      StatusOf(rocksdb::DB::Open(OptionsFor(store->env_.get()), "/requests", &db));
  store->db_.reset(db);
  if (status.ok()) status = store->Fill();
  if (status.ok()) status = store->Scan(keys, 0);
  if (!status.ok()) return status;
  return store;
}

absl::Status Store::Fill() {
  for (uint32_t first = 0; first < keys_; first += kBatch) {
    rocksdb::WriteBatch batch;
    for (uint32_t key = first; key < std::min(first + kBatch, keys_); ++key) {
      if (absl::Status s = StatusOf(batch.Put(KeyOf(key), std::string(kValueBytes, 'v'))); !s.ok())
        return s;
    }
    if (absl::Status s = StatusOf(db_->Write({}, &batch)); !s.ok()) return s;
  }
  if (absl::Status s = StatusOf(db_->Flush({})); !s.ok()) return s;
  return StatusOf(db_->CompactRange({}, nullptr, nullptr));
}

absl::Status Store::Get(uint32_t keys, uint64_t seed) const {
  std::minstd_rand random(static_cast<uint32_t>(seed));
  std::string value;
  for (uint32_t i = 0; i < keys; ++i) {
    if (absl::Status s = StatusOf(db_->Get({}, KeyOf(random() % keys_), &value)); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Store::Scan(uint32_t keys, uint64_t seed) const {
  const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}));
  at->Seek(KeyOf(std::minstd_rand(static_cast<uint32_t>(seed))() % keys_));
  size_t bytes = 0;
  for (uint32_t i = 0; i < keys && at->status().ok(); ++i) {
    if (!at->Valid()) at->SeekToFirst();
    bytes += at->value().size();
    at->Next();
  }
  if (at->status().ok() && bytes != keys * kValueBytes)
    return absl::InternalError(absl::StrCat("a scan of ", keys, " keys read ", bytes, " bytes"));
  return StatusOf(at->status());
}

}  // namespace corral::bench
