// Entries that appear and vanish under a walk: no error, and a result between the least and the most that
// existed.
#include <atomic>
#include <random>
#include <thread>

#include "walk_trees.h"

namespace {

// Makes and removes files and directories, each under a name of its own, in directories that stay.
class Churn {
 public:
  Churn(const std::string& root, int dirs, unsigned seed) : thread_([this, root, dirs, seed] { Run(root, dirs, seed); }) {}
  ~Churn() {
    stop_ = true;
    thread_.join();
  }

 private:
  void Run(const std::string& root, int dirs, unsigned seed) {
    std::mt19937 random(seed);
    const std::string mine = "/churn" + std::to_string(seed);
    while (!stop_) {
      const std::string path = root + "/" + std::to_string(random() % dirs) + mine;
      const std::string inside = path + "/inside";
      switch (random() % 4) {
        case 0:
          MakeFile(path, 1);
          unlink(path.c_str());
          break;
        case 1:
          MakeDir(path);
          MakeFile(inside, 1);
          unlink(inside.c_str());
          rmdir(path.c_str());
          break;
        case 2:
          // From a file to a directory and back.
          MakeFile(path, 1);
          unlink(path.c_str());
          MakeDir(path);
          rmdir(path.c_str());
          break;
        default:
          REQUIRE(symlink("/", path.c_str()) == 0);
          unlink(path.c_str());
      }
    }
  }

  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace

TEST(CountsBetweenLeastAndMost) {
  for (const char* parent : {"/dev/shm", "/var/tmp"}) {
    const TempDir root(parent);
    constexpr int kDirs = 30;
    constexpr unsigned kChurners = 3;
    for (int i = 0; i < kDirs; i++) {
      const std::string dir = MakeDir(root / std::to_string(i));
      for (int j = 0; j < 20; j++) MakeFile(dir + "/stays" + std::to_string(j), 1);
      MakeDir(dir + "/below");
    }
    const Usage least = Model::Of(root.path);
    const Churn churn[kChurners] = {{root.path, kDirs, 1}, {root.path, kDirs, 2}, {root.path, kDirs, 3}};
    for (int i = 0; i < 150; i++) {
      const kvm::WalkResult result = Measure(root.path, i % 2 == 0 ? 2 : 64);
      CHECK_EQ(result.error, 0);
      CHECK(result.inodes >= least.inodes);
      // While a walk is under way a churner may be met in every directory once, with at most two entries
      // there.
      CHECK(result.inodes <= least.inodes + kChurners * kDirs * 2);
    }
  }
}

// Whole subtrees that vanish while the walk is in them, and come back.
TEST(SurvivesSubtreesThatVanish) {
  const TempDir root;
  const auto make = [](const std::string& top) {
    MakeDir(top);
    std::string path = top;
    for (int depth = 0; depth < 10; depth++) {
      path += "/deeper";
      MakeDir(path);
      for (int i = 0; i < 5; i++) MakeDir(path + "/" + std::to_string(i));
    }
  };
  const auto remove = [](const std::string& top) {
    std::vector<std::string> paths;
    std::string path = top;
    for (int depth = 0; depth < 10; depth++) {
      path += "/deeper";
      paths.push_back(path);
    }
    for (; !paths.empty(); paths.pop_back()) {
      for (int i = 0; i < 5; i++) rmdir((paths.back() + "/" + std::to_string(i)).c_str());
      rmdir(paths.back().c_str());
    }
    rmdir(top.c_str());
  };
  std::atomic<bool> stop{false};
  std::thread churner([&] {
    while (!stop) {
      for (const char* name : {"/x", "/y", "/z"}) make(root.path + name);
      for (const char* name : {"/x", "/y", "/z"}) remove(root.path + name);
    }
  });
  for (int i = 0; i < 300; i++) {
    const kvm::WalkResult result = Measure(root.path, i % 2 == 0 ? 3 : 64);
    CHECK_EQ(result.error, 0);
    CHECK(result.inodes >= 1 && result.inodes <= 1 + 3 * 2 * 61);
  }
  stop = true;
  churner.join();
}
