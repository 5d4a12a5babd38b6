// Thousands of random trees against the model.
#include <sys/socket.h>
#include <sys/syscall.h>

#include <random>
#include <vector>

#include "intercept.h"
#include "walk_trees.h"

namespace {

class RandomTree {
 public:
  RandomTree(const std::string& top, unsigned seed) : random_(seed) {
    outside_ = MakeDir(top + "/outside");
    directories_.push_back(MakeDir(top + "/root"));
    const unsigned entries = Below(10) == 0 ? Below(600) : Below(60);
    for (unsigned i = 0; i < entries; i++) AddEntry();
  }
  const std::string& root() const { return directories_[0]; }

 private:
  void AddEntry() {
    // Late directories are chosen more often now and then: trees differ in depth.
    const std::size_t late = directories_.size() - 1 - Below(std::min<std::size_t>(directories_.size(), 3));
    const std::string parent = directories_[Below(3) == 0 ? late : Below(directories_.size())];
    const std::string path = parent + "/" + Name();
    if (path.size() > 3500) return;
    switch (Below(12)) {
      case 0: case 1: case 2: case 3:
        directories_.push_back(MakeDir(path));
        break;
      case 4: case 5:
        MakeFile(path, Below(2) * Below(20000));
        files_.push_back(path);
        break;
      case 6:
        MakeFile(path, Below(2) * Below(9000), 1 << Below(24));
        break;
      case 7:
        REQUIRE(symlink(Below(2) == 0 ? "/" : "missing", path.c_str()) == 0);
        if (Below(3) == 0) files_.push_back(path);
        break;
      case 8:
        REQUIRE(mknod(path.c_str(), S_IFIFO | 0644, 0) == 0);
        break;
      case 9:
        REQUIRE(mknod(path.c_str(), S_IFSOCK | 0644, 0) == 0);
        break;
      case 10:
        // A second name, within the tree or for something outside.
        if (files_.empty() || Below(4) == 0) {
          MakeFile(outside_ + "/" + std::to_string(names_), 100);
          files_.push_back(outside_ + "/" + std::to_string(names_));
        }
        REQUIRE(link(files_[Below(files_.size())].c_str(), path.c_str()) == 0);
        break;
      default:
        AddChain(path);
    }
  }
  void AddChain(std::string path) {
    for (unsigned depth = Below(40) + 1; depth > 0 && path.size() < 3500; depth--) {
      directories_.push_back(MakeDir(path));
      path += "/" + Name();
    }
  }
  std::string Name() {
    const std::string unique = std::to_string(names_++);
    switch (Below(8)) {
      case 0:
        return unique + std::string(255 - unique.size(), 'n');
      case 1:
        return "-" + unique + " \n\t\\040\x01\xff\xfe";
      case 2:
        return "..." + unique;
      default:
        return unique;
    }
  }
  std::size_t Below(std::size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  std::mt19937 random_;
  std::string outside_;
  std::vector<std::string> directories_;
  std::vector<std::string> files_;
  unsigned names_ = 0;
};

void Compare(const char* parent, unsigned first_seed, unsigned count) {
  const TempDir top(parent);
  for (unsigned seed = first_seed; seed < first_seed + count; seed++) {
    const RandomTree tree(MakeDir(top / std::to_string(seed)), seed);
    const Usage expected = Model::Of(tree.root());
    // With 64 threads each keeps one directory open, and opens all others again on its way back.
    for (const unsigned threads : {1u, 2u, 3u, 64u}) {
      if (!CHECK_EQ(UsageOf(tree.root(), threads), expected)) std::printf("seed %u, %u threads\n", seed, threads);
    }
  }
}

}  // namespace

TEST(AgreesWithTheModelOnTmpfs) { Compare("/dev/shm", 1, 1500); }

TEST(AgreesWithTheModelOnDisk) { Compare("/var/tmp", 10001, 60); }

TEST(AgreesWithTheModelWithoutOpenat2) {
  WithoutCall(SYS_openat2, ENOSYS, [] { Compare("/dev/shm", 20001, 200); });
}

TEST(AgreesOnTreesThatManyThreadsShare) {
  const TempDir top;
  std::mt19937 random(7);
  std::vector<std::string> directories = {MakeDir(top / "root")};
  for (int i = 0; i < 3000; i++) {
    directories.push_back(MakeDir(directories[random() % directories.size()] + "/" + std::to_string(i)));
  }
  for (int i = 0; i < 20000; i++) {
    const std::string path = directories[random() % directories.size()] + "/f" + std::to_string(i);
    REQUIRE(mknod(path.c_str(), S_IFREG | 0644, 0) == 0);
    const std::string other = directories[random() % directories.size()] + "/l" + std::to_string(i);
    if (i % 4 == 0) REQUIRE(link(path.c_str(), other.c_str()) == 0);
  }
  const Usage expected = Model::Of(directories[0]);
  for (int round = 0; round < 3; round++) {
    for (const unsigned threads : {1u, 2u, 4u, 7u, 16u, 33u, 64u}) CHECK_EQ(UsageOf(directories[0], threads), expected);
  }
}
