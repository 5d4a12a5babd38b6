#include "walk_seen.h"

#include <cstdlib>

#include "walk_work.h"

namespace kvm {
namespace {

// Inode numbers run in sequences: multiplying by 2^64/phi spreads them over the high bits.
std::uint64_t Spread(std::uint64_t number) { return number * 0x9e3779b97f4a7c15u; }

// The slot that holds `number`, or the free one where it belongs. There is always a free one.
std::size_t Find(const std::uint64_t* slots, std::size_t capacity, std::uint64_t number) {
  std::size_t slot = (Spread(number) >> 16) & (capacity - 1);
  while (slots[slot] != 0 && slots[slot] != number) slot = (slot + 1) & (capacity - 1);
  return slot;
}

}  // namespace

SeenSet::~SeenSet() {
  for (Shard& shard : shards_) std::free(shard.slots);
}

SeenSet::Insert SeenSet::Add(std::uint64_t number) {
  Shard& shard = shards_[Spread(number) >> (64 - kShardBits)];
  const WorkLock lock(shard.lock);
  if (number == 0) {
    if (shard.has_zero) return Insert::kKnown;
    shard.has_zero = true;
    return Insert::kNew;
  }
  if (shard.capacity > 0 && shard.slots[Find(shard.slots, shard.capacity, number)] == number) return Insert::kKnown;
  if (shard.size >= shard.capacity / 4 * 3 && !Grow(shard)) return Insert::kNoMemory;
  shard.slots[Find(shard.slots, shard.capacity, number)] = number;
  shard.size++;
  return Insert::kNew;
}

bool SeenSet::Grow(Shard& shard) {
  const std::size_t capacity = shard.capacity == 0 ? 64 : shard.capacity * 2;
  auto* slots = static_cast<std::uint64_t*>(std::calloc(capacity, sizeof(std::uint64_t)));
  if (slots == nullptr) return false;
  for (std::size_t i = 0; i < shard.capacity; i++) {
    if (shard.slots[i] != 0) slots[Find(slots, capacity, shard.slots[i])] = shard.slots[i];
  }
  std::free(shard.slots);
  shard.slots = slots;
  shard.capacity = capacity;
  return true;
}

}  // namespace kvm
