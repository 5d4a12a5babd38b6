#include "../walk_seen.h"

#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "check.h"

using Insert = kvm::SeenSet::Insert;

TEST(KnowsWhatItHas) {
  kvm::SeenSet set;
  for (const std::uint64_t ino : {0ul, 1ul, 2ul, 1ul << 63, ~0ul}) {
    CHECK(set.Add(ino) == Insert::kNew);
    CHECK(set.Add(ino) == Insert::kKnown);
  }
}

TEST(AgreesWithASet) {
  std::mt19937_64 random(3);
  kvm::SeenSet set;
  std::set<std::uint64_t> model;
  for (int i = 0; i < 300000; i++) {
    // Numbers in sequence, in strides as filesystems number them, and anything.
    std::uint64_t ino = random() % 100000;
    if (i % 3 == 1) ino <<= 32;
    if (i % 3 == 2) ino *= 0x40000001;
    CHECK((set.Add(ino) == Insert::kNew) == model.insert(ino).second);
  }
}

TEST(CountsEachOnceOverAllThreads) {
  kvm::SeenSet set;
  std::atomic<int> added{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (std::uint64_t ino = 0; ino < 100000; ino++) {
        if (set.Add(ino) == Insert::kNew) added++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(added.load(), 100000);
}
