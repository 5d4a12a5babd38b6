// What is mounted below the root is neither counted nor touched.
#include "../walk_mounts.h"

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <future>
#include <random>

#include "../detached_thread.h"
#include "intercept.h"
#include "walk_trees.h"

namespace {

// Runs `body` in a child with a mount namespace of its own, so that no mount outlives it.
template <typename Body>
void InOwnNamespace(Body body) {
  check::InChild([&] {
    REQUIRE(unshare(CLONE_NEWNS) == 0);
    REQUIRE(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    body();
  });
}

void MountTmpfs(const std::string& path) { REQUIRE(mount("tmpfs", path.c_str(), "tmpfs", 0, "size=1m") == 0); }
void Bind(const std::string& from, const std::string& to) {
  REQUIRE(mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) == 0);
}
// A filesystem that never answers: a FUSE mount that nobody serves. Whoever touches it is blocked for ever.
void MountSilent(const std::string& path) {
  const int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  REQUIRE(fuse >= 0);
  const std::string options = "fd=" + std::to_string(fuse) + ",rootmode=40000,user_id=0,group_id=0";
  REQUIRE(mount("silent", path.c_str(), "fuse", 0, options.c_str()) == 0);
}

// a, b, c, d and z/q, one byte each.
void MakeSmallTree(const std::string& root) {
  for (const char* name : {"/a", "/b", "/c", "/d"}) MakeFile(root + name, 1);
  MakeDir(root + "/z");
  MakeFile(root + "/z/q", 1);
}

// Everything is to hold on kernels with openat2 and without.
template <typename Body>
void BothWays(Body body) {
  body();
  WithoutCall(SYS_openat2, ENOSYS, body);
}

const char* const kMountInfo =
    "25 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    "30 25 0:25 / /proc rw - proc proc rw\n"
    "31 25 0:26 / /data/vol/a rw,relatime shared:1 master:2 - tmpfs tmpfs rw\n"
    "32 31 0:27 / /data/vol/a/inner rw - tmpfs tmpfs rw\n"
    "33 25 254:0 /x /data/vol/deep/er/file rw - ext4 /dev/vda rw\n"
    "34 25 0:28 / /data/volume rw - tmpfs tmpfs rw\n"
    "35 25 0:29 / /data/vol rw - tmpfs tmpfs rw\n"
    "36 25 0:30 / /data/vol/odd\\040\\011\\012\\134\\043name rw - tmpfs tmpfs rw\n";

}  // namespace

TEST(ReadsTheTableOfMounts) {
  kvm::MountNode root;
  CHECK(kvm::AddMountPoints(kvm::MountIndex(kMountInfo), "/data/vol", 25, &root));
  CHECK(root.HasChildren() && !root.IsMountPoint());
  REQUIRE(root.Child("a") != nullptr && root.Child("deep") != nullptr);
  CHECK(root.Child("a")->IsMountPoint());
  CHECK(!root.Child("a")->HasChildren());
  CHECK(!root.Child("deep")->IsMountPoint());
  REQUIRE(root.Child("deep")->Child("er") != nullptr && root.Child("deep")->Child("er")->Child("file") != nullptr);
  CHECK(root.Child("deep")->Child("er")->Child("file")->IsMountPoint());
  REQUIRE(root.Child("odd \t\n\\#name") != nullptr);
  CHECK(root.Child("odd \t\n\\#name")->IsMountPoint());
  CHECK(root.Child("ume") == nullptr && root.Child("") == nullptr && root.Child("de") == nullptr);
}

TEST(KnowsMountsBelowTheRootDirectory) {
  kvm::MountNode root;
  CHECK(kvm::AddMountPoints(kvm::MountIndex(kMountInfo), "/", 25, &root));
  REQUIRE(root.Child("proc") != nullptr && root.Child("data") != nullptr);
  CHECK(root.Child("proc")->IsMountPoint());
  CHECK(root.Child("data")->Child("vol")->IsMountPoint());
  CHECK(root.Child("data")->Child("volume")->IsMountPoint());
}

TEST(KnowsNothingOfOtherNamespaces) {
  kvm::MountNode root;
  CHECK(!kvm::AddMountPoints(kvm::MountIndex(kMountInfo), "/data/vol", 99, &root));
  CHECK(!root.HasChildren());
  CHECK(kvm::AddMountPoints(kvm::MountIndex(kMountInfo), "/data/vol/a", 31, &root));
  CHECK(root.Child("inner")->IsMountPoint());
}

TEST(SurvivesAnyTable) {
  for (const char* text : {"", "\n", "\n\n", "1", "1 2 3 4 /x\\0", "1 1 0:1 / /r/\\04\\", "  1 1 /r/x / /r/x", "x y z"}) {
    kvm::MountNode root;
    kvm::AddMountPoints(kvm::MountIndex(text), "/r", 1, &root);
  }
}

// The depth of a mount point is up to its volume's owner, and the stack of a walk's thread is small.
TEST(TakesNoMoreStackForADeeperMountPoint) {
  for (const int depth : {1, 2'000, 100'000}) {
    std::string point = "/r";
    for (int i = 0; i < depth; i++) point += i % 1000 == 7 ? "/other" : "/a";
    const std::string table = "1 0 0:1 / / rw\n2 1 0:2 / " + point + " rw\n3 1 0:2 / " + point + "/below rw\n";
    struct Job {
      const std::string* table;
      int depth;
      std::promise<void> done;
    } job{&table, depth, {}};
    const auto reads = [](void* argument) -> void* {
      auto* const job = static_cast<Job*>(argument);
      {
        kvm::MountNode root;
        CHECK(kvm::AddMountPoints(kvm::MountIndex(*job->table), "/r", 1, &root));
        const kvm::MountNode* node = &root;
        int met = 0;
        for (int i = 0; node != nullptr && node->HasChildren(); i++) {
          if (node->IsMountPoint()) met = i;
          const char* name = i % 1000 == 7 ? "other" : "a";
          node = i == job->depth ? node->Child("below") : node->Child(name);
        }
        CHECK_EQ(met, job->depth);
        CHECK(node != nullptr && node->IsMountPoint());
      }
      job->done.set_value();
      return nullptr;
    };
    REQUIRE(kvm::StartDetached(reads, &job) == 0);
    job.done.get_future().wait();
  }
}

TEST(LeavesOutAMountHoweverDeep) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  std::mt19937 random(20);
  for (const int depth : {1'000 + static_cast<int>(random() % 4'000), 100'000}) {
    InOwnNamespace([&] {
      const TempDir root;
      int innermost = -1;
      MakeChain(root.path, depth, "a", [&](int dir, int i) {
        if (i == depth - 1) innermost = fcntl(dir, F_DUPFD_CLOEXEC, 0);
      });
      REQUIRE(fchdir(innermost) == 0);
      close(innermost);
      MakeDir("m");
      MountTmpfs("m");
      MakeFile("m/foreign", 1);
      MakeFile("ours", 1);
      for (const unsigned threads : {1u, 4u}) {
        CHECK_EQ(UsageOf(root.path, threads), (Usage{4096, static_cast<std::uint64_t>(depth) + 2}));
      }
      REQUIRE(umount2("m", MNT_DETACH) == 0);
      REQUIRE(chdir("/") == 0);
    });
  }
}

TEST(LeavesOutMounts) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir top;
    const std::string root = MakeDir(top / "root");
    MakeSmallTree(root);
    MountTmpfs(root + "/z");
    MakeFile(root + "/z/foreign", 1);
    BothWays([&] { CHECK_EQ(UsageOf(root), (Usage{16384, 5})); });
    MountTmpfs(root + "/z");
    BothWays([&] { CHECK_EQ(UsageOf(root), (Usage{16384, 5})); });
    // The mounted filesystem itself can be measured.
    CHECK_EQ(UsageOf(root + "/z"), (Usage{0, 1}));
    umount((root + "/z").c_str());
    CHECK_EQ(UsageOf(root + "/z"), (Usage{4096, 2}));
    umount((root + "/z").c_str());
    CHECK_EQ(UsageOf(root), (Usage{20480, 7}));
  });
}

TEST(LeavesOutAFileThatIsMounted) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir top;
    const std::string root = MakeDir(top / "root");
    MakeSmallTree(root);
    MakeFile(top / "outside", 1);
    Bind(top / "outside", root + "/b");
    BothWays([&] { CHECK_EQ(UsageOf(root), (Usage{16384, 6})); });
    Bind("/proc/self/status", root + "/c");
    BothWays([&] { CHECK_EQ(UsageOf(root), (Usage{12288, 5})); });
    umount((root + "/b").c_str());
    umount((root + "/c").c_str());
  });
}

// The same device, so that nothing but the table of mounts tells.
TEST(CountsABindMountedTreeOnce) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir top;
    const std::string root = MakeDir(top / "root");
    MakeSmallTree(root);
    MakeDir(root + "/deep");
    MakeDir(root + "/deep/again");
    MakeDir(root + "/deep/odd \t\n\\ name");
    Bind(root + "/z", root + "/deep/again");
    Bind(root + "/z", root + "/deep/odd \t\n\\ name");
    BothWays([&] { CHECK_EQ(UsageOf(root), (Usage{20480, 8})); });
    // From below the mount point, or through a symlink to it.
    CHECK_EQ(UsageOf(root + "/deep/again"), (Usage{4096, 2}));
    REQUIRE(symlink((root + "/deep").c_str(), (top / "link").c_str()) == 0);
    CHECK_EQ(UsageOf(top / "link"), (Usage{0, 1}));
    umount((root + "/deep/again").c_str());
    umount((root + "/deep/odd \t\n\\ name").c_str());
  });
}

TEST(WalksTheRootDirectoryOfTheNamespace) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir top;
    MountTmpfs(top.path);
    MakeSmallTree(top.path);
    MakeDir(top / "proc");
    REQUIRE(mount("proc", (top / "proc").c_str(), "proc", 0, nullptr) == 0);
    MountTmpfs(top / "z");
    check::InChild([&] {
      REQUIRE(chroot(top.path.c_str()) == 0 && chdir("/") == 0);
      BothWays([] {
        CHECK_EQ(UsageOf("/"), (Usage{16384, 5}));
        CHECK_EQ(UsageOf("/.."), (Usage{16384, 5}));
        CHECK_EQ(UsageOf("//"), (Usage{16384, 5}));
      });
    });
    umount((top / "z").c_str());
    umount((top / "proc").c_str());
    umount(top.path.c_str());
  });
}

TEST(TouchesNoMountThatIsSilent) {
  SKIP_UNLESS(geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0, "needs root and FUSE");
  InOwnNamespace([] {
    const TempDir top;
    const std::string root = MakeDir(top / "root");
    MakeSmallTree(root);
    MakeDir(root + "/z/silent");
    MountSilent(root + "/z/silent");
    BothWays([&] {
      for (const unsigned threads : {1u, 2u, 64u}) CHECK_EQ(UsageOf(root, threads), (Usage{20480, 7}));
    });
    umount2((root + "/z/silent").c_str(), MNT_DETACH);
  });
}

// Mounted when the table has already been read.
TEST(LeavesOutWhatIsMountedMeanwhile) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    for (const bool openat2 : {true, false}) {
      const TempDir top;
      const std::string root = MakeDir(top / "root");
      MakeSmallTree(root);
      MakeFile(top / "outside", 1);
      const auto decide = [&, done = false](const PendingCall& call) mutable {
        if (!openat2 && call.number == SYS_openat2) return ENOSYS;
        if (!done && call.Reads()) {
          done = true;
          MountTmpfs(root + "/z");
          Bind(top / "outside", root + "/b");
        }
        return kPass;
      };
      {
        const Interception interception({SYS_getdents64, SYS_openat2}, decide,
                                        [&] { CHECK_EQ(UsageOf(root), (Usage{12288, 4})); });
      }
      umount((root + "/z").c_str());
      umount((root + "/b").c_str());
    }
  });
}

// No mount, but a device of its own.
TEST(LeavesOutASubvolume) {
  SKIP_UNLESS(geteuid() == 0 && std::system("command -v mkfs.btrfs btrfs losetup >/dev/null") == 0, "needs root and btrfs");
  InOwnNamespace([] {
    const TempDir top;
    const std::string root = MakeDir(top / "root");
    const std::string image = top / "image";
    REQUIRE(truncate((MakeFile(image), image).c_str(), 128 << 20) == 0);
    REQUIRE(std::system(("mkfs.btrfs -q " + image + " >/dev/null 2>&1 && mount -o loop " + image + " " + root).c_str()) == 0);
    MakeDir(root + "/dir");
    MakeFile(root + "/dir/file", 1);
    const Usage expected = Model::Of(root);
    REQUIRE(std::system(("btrfs subvolume create " + root + "/dir/subvolume >/dev/null").c_str()) == 0);
    MakeFile(root + "/dir/subvolume/file", 1);
    BothWays([&] { CHECK_EQ(UsageOf(root).inodes, expected.inodes); });
    CHECK_EQ(UsageOf(root + "/dir/subvolume").inodes, 2u);
    // Not even whether it can be read matters.
    REQUIRE(chmod((root + "/dir/subvolume").c_str(), 0) == 0);
    check::InChild([&] {
      REQUIRE(setgroups(0, nullptr) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
      CHECK_EQ(UsageOf(root).inodes, expected.inodes);
    });
    REQUIRE(umount(root.c_str()) == 0);
  });
}

// Without /proc a kernel that tells mount points when they are met is enough; otherwise there is no result.
TEST(NeedsTheTableOrANewKernel) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir top;
    MountTmpfs(top.path);
    MakeSmallTree(top.path);
    MountTmpfs(top / "z");
    Bind(top / "a", top / "b");
    check::InChild([&] {
      REQUIRE(chroot(top.path.c_str()) == 0 && chdir("/") == 0);
      CHECK_EQ(UsageOf("/"), (Usage{12288, 4}));
      WithoutCall(SYS_openat2, ENOSYS, [] {
        const kvm::WalkResult result = Measure("/");
        CHECK_EQ(result.error, ENOENT);
        CHECK_EQ(result.path, "/proc/self/mountinfo");
      });
    });
    umount((top / "z").c_str());
    umount((top / "b").c_str());
    umount(top.path.c_str());
  });
}

// A directory that the kernel would mount something on as soon as it is opened stays as it is.
TEST(StartsNoAutomount) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir top;
    SKIP_UNLESS(mount("debugfs", top.path.c_str(), "debugfs", 0, nullptr) == 0, "needs debugfs");
    const std::string tracing = top / "tracing";
    const auto is_trap = [&] {
      struct statx info {};
      REQUIRE(statx(AT_FDCWD, tracing.c_str(), AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW, STATX_TYPE, &info) == 0);
      return (info.stx_attributes & STATX_ATTR_AUTOMOUNT) != 0;
    };
    const bool has_trap = access(tracing.c_str(), F_OK) == 0 && is_trap();
    if (has_trap) {
      BothWays([&] {
        CHECK_EQ(Measure(top.path).error, 0);
        CHECK(is_trap());
      });
    }
    umount2(top.path.c_str(), MNT_DETACH);
    SKIP_UNLESS(has_trap, "needs the automount of debugfs");
  });
}
