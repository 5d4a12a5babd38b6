// What statfs says between two looks at the mount, while mounts come and go between the system calls.
#include "../fs_info.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <string>
#include <vector>

#include "intercept.h"
#include "walk_trees.h"

namespace {

using kvm::CallKind;
using kvm::CallResult;
using kvm::MountSeen;

constexpr std::uint64_t kRamfs = 0x858458f6;

CallResult Ask(const std::string& path) { return kvm::AskKernel(CallKind::kMountStatFs, path); }

MountSeen SeenBy(const CallResult& result) { return static_cast<MountSeen>(result.values[8]); }

void CheckSeen(const CallResult& result, MountSeen expected) {
  CHECK_EQ(result.error, 0);
  CHECK_EQ(static_cast<int>(SeenBy(result)), static_cast<int>(expected));
}

void Mount(const std::string& path, const char* type = "tmpfs") {
  REQUIRE(mount("kvm-test", path.c_str(), type, 0, nullptr) == 0);
}

void Unmount(const std::string& path) { REQUIRE(umount2(path.c_str(), MNT_DETACH) == 0); }

// Runs `body` in a child with mounts of its own.
template <typename Body>
void WithOwnMounts(Body body) {
  check::InChild([&] {
    REQUIRE(unshare(CLONE_NEWNS) == 0);
    REQUIRE(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    body();
  });
}

// Asks about a path, and calls `before(n)` ahead of its n-th system call, the first being 0. What that gives
// is the errno that the call fails with, or 0.
template <typename Before>
CallResult AskWith(const std::string& path, Before before, std::vector<int>* made = nullptr) {
  CallResult result;
  int count = 0;
  {
    Interception interception(
        {SYS_statx, SYS_statfs},
        [&](const PendingCall& call) {
          if (made != nullptr) made->push_back(call.number);
          return before(count++);
        },
        [&] { result = Ask(path); });
    interception.Join();
  }
  return result;
}

}  // namespace

TEST(GivesTheNumbersOfAMount) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  WithOwnMounts([] {
    const TempDir root;
    REQUIRE(mount("kvm-test", root.path.c_str(), "tmpfs", 0, "size=1m,nr_inodes=20") == 0);
    MakeFile(root / "file", 5000);
    for (const std::string& path : {root.path, root.path + "/"}) {
      const CallResult result = Ask(path);
      CheckSeen(result, MountSeen::kSame);
      const CallResult space = kvm::AskKernel(CallKind::kStatFs, path);
      for (std::size_t i = 0; i < 8; i++) CHECK_EQ(result.values[i], space.values[i]);
      CHECK_EQ(result.values[0], std::uint64_t{kTmpfs});
      CHECK_EQ(result.values[2], 256U);
      CHECK_EQ(result.values[3], 254U);
      CHECK_EQ(result.values[6], 18U);
      struct stat info {};
      REQUIRE(stat(root.path.c_str(), &info) == 0);
      CHECK_EQ(result.values[9], info.st_dev);
      CHECK_EQ(result.values[10], info.st_ino);
    }
    Unmount(root.path);
  });
}

TEST(AsksStatfsOnlyOfAMount) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  WithOwnMounts([] {
    const TempDir root;
    Mount(root.path);
    MakeDir(root / "dir");
    MakeFile(root / "file", 1);
    for (const char* name : {"dir", "file", "dir/"}) {
      std::vector<int> made;
      const CallResult result = AskWith(root / name, [](int) { return 0; }, &made);
      CheckSeen(result, MountSeen::kNone);
      CHECK_EQ(made.size(), 1U);
      CHECK_EQ(result.values[0], 0U);
    }
    std::vector<int> made;
    CheckSeen(AskWith(root.path, [](int) { return 0; }, &made), MountSeen::kSame);
    CHECK(made == (std::vector<int>{SYS_statx, SYS_statfs, SYS_statx}));
    Unmount(root.path);
  });
}

TEST(TellsAMountThatIsGoneAtTheSecondLook) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  WithOwnMounts([] {
    const TempDir root;
    // Before statfs, which then speaks of the filesystem beneath, and before the second look.
    for (const int when : {1, 2}) {
      Mount(root.path);
      const CallResult result = AskWith(root.path, [&](int call) {
        if (call == when) Unmount(root.path);
        return 0;
      });
      CheckSeen(result, MountSeen::kChanged);
      CheckSeen(Ask(root.path), MountSeen::kNone);
    }
  });
}

TEST(TellsAnotherMountInThePlaceOfTheFirst) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  WithOwnMounts([] {
    const TempDir root;
    for (const int when : {1, 2}) {
      Mount(root.path);
      const CallResult replaced = AskWith(root.path, [&](int call) {
        if (call == when) {
          Unmount(root.path);
          Mount(root.path);
        }
        return 0;
      });
      // Before Linux 6.8 the second one may have got the number of the first.
      const bool has_unique_ids = kvm::AskKernel(CallKind::kStat, root.path).values[7] != 0;
      CheckSeen(replaced, has_unique_ids ? MountSeen::kChanged : SeenBy(replaced));
      const CallResult covered = AskWith(root.path, [&](int call) {
        if (call == when) Mount(root.path, "ramfs");
        return 0;
      });
      CheckSeen(covered, MountSeen::kChanged);
      const CallResult now = Ask(root.path);
      CheckSeen(now, MountSeen::kSame);
      CHECK_EQ(now.values[0], kRamfs);
      for (int i = 0; i < 2; i++) Unmount(root.path);
    }
  });
}

TEST(KeepsTheNumbersOfAMountWhoseOptionsChange) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  WithOwnMounts([] {
    const TempDir root;
    Mount(root.path);
    const CallResult result = AskWith(root.path, [&](int call) {
      const unsigned long flags = MS_REMOUNT | MS_RDONLY;
      if (call == 1) REQUIRE(mount("kvm-test", root.path.c_str(), "tmpfs", flags, "size=2m") == 0);
      return 0;
    });
    CheckSeen(result, MountSeen::kSame);
    CHECK_EQ(result.values[2], 512U);
    CHECK_EQ(result.values[7], 1U);
    Unmount(root.path);
  });
}

TEST(SaysWhichCallFailed) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  WithOwnMounts([] {
    const TempDir root;
    const CallResult missing = Ask(root / "missing");
    CHECK_EQ(missing.error, ENOENT);
    CHECK(!missing.of_statfs);
    Mount(root.path);
    for (const int failing : {0, 1, 2}) {
      std::vector<int> made;
      const CallResult result =
          AskWith(root.path, [&](int call) { return call == failing ? ESTALE : 0; }, &made);
      CHECK_EQ(result.error, ESTALE);
      CHECK_EQ(result.of_statfs, failing == 1);
      CHECK_EQ(made.size(), static_cast<std::size_t>(failing) + 1);
    }
    Unmount(root.path);
  });
}

TEST(AsksAgainWhenInterruptedAndGivesUpInTheEnd) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  WithOwnMounts([] {
    const TempDir root;
    Mount(root.path);
    CheckSeen(AskWith(root.path, [](int call) { return call % 2 == 0 ? EINTR : 0; }), MountSeen::kSame);
    std::vector<int> made;
    CHECK_EQ(AskWith(root.path, [](int) { return EINTR; }, &made).error, EINTR);
    CHECK_EQ(made.size(), 100U);
    Unmount(root.path);
  });
}

TEST(TellsThatTheMountIsUnknownWhereStatxIsDenied) {
  for (const int error : {ENOSYS, EPERM}) {
    WithoutCall(SYS_statx, error, [] { CheckSeen(Ask("/"), MountSeen::kUnknown); });
  }
}
