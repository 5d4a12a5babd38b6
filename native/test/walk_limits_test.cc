// Trees of any shape within few descriptors, whatever their number is limited to.
#include <sys/resource.h>

#include <atomic>
#include <thread>
#include <vector>

#include "../walk_kernel.h"
#include "walk_trees.h"

namespace {

constexpr int kMostDescriptors = 128;

// Measures with several numbers of threads, and samples the descriptors that are open meanwhile.
void CheckUsage(const std::string& root, const Usage& expected) {
  for (const unsigned threads : {1u, 2u, 5u, 48u, 64u}) {
    WalkRun run(root, threads);
    int most = 0;
    while (!run.Ended()) most = std::max(most, DescriptorsBelow(root));
    const kvm::WalkResult result = run.Wait();
    CHECK_EQ(result.error, 0);
    CHECK_EQ((Usage{result.used, result.inodes}), expected);
    CHECK(most <= kMostDescriptors);
    CHECK_EQ(DescriptorsBelow(root), 0);
  }
}

// A way down of `depth` levels, with `beside` more directories at each. Returns how many there are.
std::uint64_t MakeFishbone(const std::string& root, int depth, int beside, std::size_t name_bytes) {
  MakeChain(root, depth, "spine", [&](int dir, int) {
    for (int i = 0; i < beside; i++) {
      std::string name = std::to_string(i);
      name += std::string(name_bytes - name.size(), 'n');
      REQUIRE(mkdirat(dir, name.c_str(), 0755) == 0);
    }
  });
  return static_cast<std::uint64_t>(depth) * (beside + 1) + 1;
}

}  // namespace

TEST(WalksAChainOf10000) {
  const TempDir root;
  MakeChain(root.path, 10000, "d", [](int, int) {});
  CheckUsage(root.path, {0, 10001});
}

TEST(WalksAComb) {
  const TempDir root;
  for (int i = 0; i < 100; i++) {
    std::string name = std::to_string(i);
    name += std::string(200 - name.size(), 'n');
    MakeChain(root.path, 200, name.c_str(), [](int, int) {});
  }
  CheckUsage(root.path, {0, 100 * 200 + 1});
}

// More names than are read at once, on the way back too.
TEST(WalksAWideDirectory) {
  const TempDir root;
  for (int i = 0; i < 20000; i++) MakeDir(root / std::to_string(i) + "-subdirectory");
  for (int i = 0; i < 20000; i++) MakeFile(root / std::to_string(i) + "-file");
  CheckUsage(root.path, {0, 40001});
}

// Directories with work left all the way down: more of them than may be open.
TEST(ReturnsToDirectoriesItClosed) {
  for (const char* parent : {"/dev/shm", "/var/tmp"}) {
    const TempDir root(parent);
    const std::uint64_t inodes = MakeFishbone(root.path, 300, 3, 4);
    CHECK_EQ(UsageOf(root.path).inodes, inodes);
    CheckUsage(root.path, UsageOf(root.path));
  }
}

// So many names wait that less is read at a time, and directories are closed in the midst of being read.
TEST(WalksATreeBothWideAndDeep) {
  for (const char* parent : {"/dev/shm", "/var/tmp"}) {
    const TempDir root(parent);
    const std::uint64_t inodes = MakeFishbone(root.path, 100, 60, 250);
    CHECK_EQ(UsageOf(root.path).inodes, inodes);
    CheckUsage(root.path, UsageOf(root.path));
  }
}

TEST(ManagesWithFewDescriptors) {
  const TempDir root;
  const std::uint64_t inodes = MakeFishbone(root.path, 200, 3, 4);
  check::InChild([&] {
    const rlimit few{24, 24};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    for (const unsigned threads : {1u, 2u, 4u, 6u}) CHECK_EQ(UsageOf(root.path, threads), (Usage{0, inodes}));
    const bool has_openat2 = kvm::HasOpenat2(AT_FDCWD);
    // With none to be had it says so. It needs one for the directory it is in, and one to go on.
    std::vector<int> taken;
    for (int fd = dup(0); fd >= 0; fd = dup(0)) taken.push_back(fd);
    CHECK_EQ(Measure(root.path).error, EMFILE);
    // What the kernel can do does not depend on it.
    CHECK_EQ(kvm::HasOpenat2(AT_FDCWD), has_openat2);
    close(taken.back());
    CHECK_EQ(Measure(root.path).error, EMFILE);
    close(taken[taken.size() - 2]);
    close(taken[taken.size() - 3]);
    CHECK_EQ(UsageOf(root.path, 1), (Usage{0, inodes}));
  });
}
