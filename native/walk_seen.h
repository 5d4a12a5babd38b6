// Numbers that a walk has met, so that what they stand for counts once.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

namespace kvm {

// A set of numbers, used by all threads of a walk. It takes 11 to 22 bytes a number. A walk keeps inodes with
// several links and directories in such sets, so that the lock of a shard costs ordinary files nothing.
class SeenSet {
 public:
  enum class Insert { kNew, kKnown, kNoMemory };

  SeenSet() = default;
  SeenSet(const SeenSet&) = delete;
  SeenSet& operator=(const SeenSet&) = delete;
  ~SeenSet();

  Insert Add(std::uint64_t number);

 private:
  // Open addressing; 0 is a free slot, and the number 0 has a flag of its own.
  struct alignas(64) Shard {
    std::mutex lock;
    std::uint64_t* slots = nullptr;
    std::size_t capacity = 0;  // a power of two, or 0
    std::size_t size = 0;
    bool has_zero = false;
  };
  static constexpr unsigned kShardBits = 5;

  static bool Grow(Shard& shard);

  std::array<Shard, 1 << kShardBits> shards_;
};

}  // namespace kvm
