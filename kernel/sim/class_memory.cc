// SPDX-License-Identifier: Apache-2.0
#include "kernel/sim/class_memory.h"

#include <algorithm>

namespace corral::sim {
ghost_msg* Ring::Reserve() {
  if (count_ == slots_.size()) return nullptr;
  return &slots_[(first_ + count_) % slots_.size()];
}

int Ring::Drain(absl::FunctionRef<void(const ghost_msg&)> handle) {
  int drained = 0;
  for (; count_ > 0; ++drained) {
    const ghost_msg message = slots_[first_];
    first_ = (first_ + 1) % slots_.size();
    --count_;
    handle(message);
  }
  return drained;
}

void ClassMemory::Allocate(const ClassLayout& layout) {
  const absl::Span<const sim_map> maps(sim_maps, sim_nr_maps);
  const auto by_place = [](const sim_map& a, const sim_map& b) {
    return a.declaration < b.declaration;
  };
  first_map_ =
      static_cast<const char*>(std::min_element(maps.begin(), maps.end(), by_place)->declaration);
  rings_.resize(layout.info().nr_cores);
  ring_pointers_.assign(layout.info().nr_cores, nullptr);
  storage_.resize(maps.size());
  for (size_t i = 0; i < maps.size(); ++i) {
    const size_t place =
        (static_cast<const char*>(maps[i].declaration) - first_map_) / sizeof(void*);
    if (place >= arrays_.size()) arrays_.resize(place + 1);
    sim_array& array = arrays_[place];
    array.value_size = maps[i].value_size;
    const uint32_t entries = layout.EntriesOf(maps[i].name);
    array.entries = entries != 0 ? entries : maps[i].entries;
    index_[maps[i].name] = place;
    if (array.value_size == 0) {
      array.data = reinterpret_cast<char*>(ring_pointers_.data());
      continue;
    }
    const size_t bytes = static_cast<size_t>(array.value_size) * array.entries;
    // Most of it is never touched, and then costs nothing.
    storage_[i].reset(static_cast<char*>(calloc(bytes, 1)));
    array.data = storage_[i].get();
    bytes_ += bytes;
  }
  Array<ghost_class_info>("class_info")[0] = layout.info();
  std::copy(layout.cores().begin(), layout.cores().end(), Array<ghost_core_state>("cores").begin());
  std::copy(layout.cpus().begin(), layout.cpus().end(),
            Array<ghost_cpu_config>("cpu_configs").begin());
}

const sim_array& ClassMemory::ByName(const char* name) const { return arrays_[index_.at(name)]; }

void ClassMemory::MakeRing(uint32_t queue, uint32_t room) {
  rings_[queue] = std::make_unique<Ring>(room);
  ring_pointers_[queue] = rings_[queue].get();
}

}  // namespace corral::sim
