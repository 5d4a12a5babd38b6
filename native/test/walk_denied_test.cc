// Old kernels and seccomp filters deny system calls, with ENOSYS or EPERM: the numbers stay.
#include <sys/mount.h>

#include <random>
#include <sched.h>
#include <vector>

#include "../fs_info.h"
#include "intercept.h"
#include "walk_trees.h"

namespace {

// What a walk and a stat would rather use, or could do without.
constexpr int kCalls[] = {SYS_statx, SYS_openat2, SYS_ioprio_set, SYS_setpriority, SYS_name_to_handle_at};

// Runs `body` with every combination of these calls denied, by either errno.
template <typename Body>
void WithAnyDenied(Body body) {
  for (const int error : {EPERM, ENOSYS}) {
    for (unsigned which = 0; which < 1u << std::size(kCalls); which++) {
      std::vector<int> denied;
      for (std::size_t i = 0; i < std::size(kCalls); i++) {
        if ((which >> i & 1) != 0) denied.push_back(kCalls[i]);
      }
      WithoutCalls(denied, error, body);
    }
  }
}

// Directories, files with several links, holes and symlinks.
void MakeRandomTree(const std::string& root, std::mt19937& random) {
  std::vector<std::string> dirs = {root};
  std::vector<std::string> files;
  for (int i = 0; i < 60; i++) {
    const std::string path = dirs[random() % dirs.size()] + "/" + std::to_string(i);
    switch (random() % 6) {
      case 0:
      case 1:
        dirs.push_back(MakeDir(path));
        break;
      case 2:
        REQUIRE(symlink("/", path.c_str()) == 0);
        break;
      case 3:
        if (!files.empty() && link(files[random() % files.size()].c_str(), path.c_str()) == 0) break;
        [[fallthrough]];
      default:
        MakeFile(path, random() % 9000, static_cast<off_t>(random() % 50000));
        files.push_back(path);
    }
  }
}

}  // namespace

TEST(CountsTheSameWhateverIsDenied) {
  std::mt19937 random(77);
  for (const char* parent : {"/dev/shm", "/var/tmp"}) {
    const TempDir root(parent);
    MakeRandomTree(root.path, random);
    const Usage all = Model::Of(root.path);
    WithAnyDenied([&] { CHECK_EQ(UsageOf(root.path, 1 + random() % 4), all); });
  }
}

TEST(LeavesOutMountsWhateverIsDenied) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  check::InChild([] {
    REQUIRE(unshare(CLONE_NEWNS) == 0);
    REQUIRE(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    const TempDir root;
    MakeDir(root / "dir");
    MakeDir(root / "bound");
    MakeFile(root / "dir/file", 1);
    MakeFile(root / "file", 1);
    MakeFile(root / "hidden");
    REQUIRE(mount("tmpfs", (root / "dir").c_str(), "tmpfs", 0, "size=1m") == 0);
    MakeFile(root / "dir/foreign", 1);
    // Of the same filesystem, so that no device number tells.
    REQUIRE(mount((root / "file").c_str(), (root / "hidden").c_str(), nullptr, MS_BIND, nullptr) == 0);
    REQUIRE(mount(root.path.c_str(), (root / "bound").c_str(), nullptr, MS_BIND, nullptr) == 0);
    WithAnyDenied([&] { CHECK_EQ(UsageOf(root.path), (Usage{4096, 2})); });
    for (const char* name : {"dir", "bound", "hidden"}) REQUIRE(umount2((root / name).c_str(), MNT_DETACH) == 0);
  });
}

TEST(NamesTheErrorOfARootWhateverIsDenied) {
  const TempDir root;
  WithAnyDenied([&] { CHECK_EQ(Measure(root / "missing").error, ENOENT); });
}

TEST(StatsTheSameWhateverIsDenied) {
  const TempDir root;
  MakeFile(root / "file", 5000);
  const std::string path = root / "file";
  const kvm::CallResult all = kvm::AskKernel(kvm::CallKind::kStat, path);
  const kvm::CallResult space = kvm::AskKernel(kvm::CallKind::kStatFs, path);
  WithAnyDenied([&] {
    const kvm::CallResult stat = kvm::AskKernel(kvm::CallKind::kStat, path);
    CHECK_EQ(stat.error, 0);
    // The mount is known by statx only.
    for (std::size_t i = 0; i < 5; i++) CHECK_EQ(stat.values[i], all.values[i]);
    const kvm::CallResult statfs = kvm::AskKernel(kvm::CallKind::kStatFs, path);
    CHECK_EQ(statfs.error, 0);
    // What is free changes: other programs write there too.
    for (const std::size_t i : {0, 1, 2, 5, 7}) CHECK_EQ(statfs.values[i], space.values[i]);
  });
}
