// The inodes with several links that a walk has met, so that each counts once.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

namespace kvm {

// A set of inode numbers of one device, used by all threads of a walk. 8 bytes an inode, at most three times that while
// growing. Only what has several links gets here, so a lock per shard costs ordinary files nothing.
class LinkSet {
 public:
  enum class Insert { kNew, kKnown, kNoMemory };

  LinkSet() = default;
  LinkSet(const LinkSet&) = delete;
  LinkSet& operator=(const LinkSet&) = delete;
  ~LinkSet();

  Insert Add(std::uint64_t ino);

 private:
  // Open addressing; 0 is a free slot, and inode 0 has a flag of its own.
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
