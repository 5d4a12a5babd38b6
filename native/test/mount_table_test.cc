// The table of mounts that is kept between walks.
#include "../mount_table.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "intercept.h"
#include "walk_trees.h"

namespace {

constexpr std::chrono::milliseconds kForever{std::chrono::hours(1)};

template <typename Body>
void InOwnNamespace(Body body) {
  check::InChild([&] {
    REQUIRE(unshare(CLONE_NEWNS) == 0);
    REQUIRE(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    body();
  });
}

void MountTmpfs(const std::string& path) { REQUIRE(mount("tmpfs", path.c_str(), "tmpfs", 0, "size=64k") == 0); }

std::uint64_t MountIdOf(const std::string& path) {
  struct statx info {};
  REQUIRE(statx(AT_FDCWD, path.c_str(), 0, STATX_TYPE | STATX_MNT_ID, &info) == 0);
  return info.stx_mnt_id;
}

std::vector<std::string> PointsBelow(const kvm::MountIndex& index, const std::string& root, std::uint64_t mount_id) {
  std::vector<std::string> points;
  index.EachPointBelow(root, mount_id, [&](std::string_view point) { points.emplace_back(point); });
  return points;
}

bool ShowsMount(kvm::MountTable& table, const std::string& path) {
  int error = 0;
  const auto index = table.Now(&error);
  REQUIRE(index != nullptr && error == 0);
  return index->Has(MountIdOf(path));
}

kvm::WalkResult MeasureWith(const std::shared_ptr<kvm::MountTable>& table, const std::string& path, unsigned threads = 2) {
  kvm::WalkOptions options;
  options.path = path;
  options.threads = threads;
  options.mounts = table;
  return WalkRun(options).Wait();
}

}  // namespace

TEST(FindsWhatLiesBelowADirectoryOfAMount) {
  std::string text = "1 0 8:1 / / rw - ext4 d rw\n";
  std::map<std::string, int> expected;
  for (int i = 0; i < 5000; i++) {
    const std::string name = std::to_string(i * 7 % 5000);
    text += std::to_string(10 + i) + " 1 0:9 / /pods/" + name + "/v rw - tmpfs t rw\n";
    text += std::to_string(10'000 + i) + " " + std::to_string(10 + i) + " 0:9 / /pods/" + name + "/v/inner rw - tmpfs t rw\n";
  }
  text += "20000 1 0:9 / /pods/42/v/covered rw - tmpfs t rw\n20001 1 0:9 / /pods/42-other rw - tmpfs t rw\n";
  const kvm::MountIndex index(text);
  CHECK(index.Has(1) && index.Has(10) && index.Has(14'999) && index.Has(20'001));
  CHECK(!index.Has(0) && !index.Has(20'002));
  CHECK(index.HasPointsOn(0) && index.HasPointsOn(1) && index.HasPointsOn(5009) && !index.HasPointsOn(20'000));
  CHECK_EQ(PointsBelow(index, "/", 1).size(), 5002u);
  CHECK((PointsBelow(index, "/pods/42", 1) == std::vector<std::string>{"v", "v/covered"}));
  CHECK((PointsBelow(index, "/pods/42/v", 1) == std::vector<std::string>{"covered"}));
  CHECK(PointsBelow(index, "/pods/42/v/covered", 1).empty());
  CHECK(PointsBelow(index, "/pods/4", 1).size() == 1);
  CHECK(PointsBelow(index, "/nothing", 1).empty());
  CHECK(PointsBelow(index, "/pods", 77'777).empty());
  CHECK(kvm::MountIndex("").Has(1) == false);
}

TEST(IsReadAgainOnlyWhenItChanged) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir top;
    MakeDir(top / "a");
    kvm::MountTable table(kForever);
    int error = 0;
    const auto first = table.Now(&error);
    for (int i = 0; i < 100; i++) CHECK(table.Now(&error) == first);
    const auto reads = table.Reads();
    CHECK(reads >= 1);
    MountTmpfs(top / "a");
    CHECK(ShowsMount(table, top / "a"));
    CHECK_EQ(table.Reads(), reads + 1);
    const auto second = table.Now(&error);
    CHECK(second != first && table.Now(&error) == second);
    const std::uint64_t gone = MountIdOf(top / "a");
    REQUIRE(umount((top / "a").c_str()) == 0);
    CHECK(!table.Now(&error)->Has(gone));
    // Who still has an old one may go on using it.
    CHECK(second->Has(gone) && !first->Has(gone));
  });
}

// What the kernel says of a change, it says once.
TEST(WhatOneThreadIsToldAllKnow) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir top;
    MakeDir(top / "a");
    kvm::MountTable table(kForever);
    for (int round = 0; round < 50; round++) {
      MountTmpfs(top / "a");
      std::vector<std::thread> askers;
      for (int i = 0; i < 6; i++) askers.emplace_back([&] { CHECK(ShowsMount(table, top / "a")); });
      for (auto& asker : askers) asker.join();
      REQUIRE(umount((top / "a").c_str()) == 0);
    }
  });
}

// Another thread mounts and unmounts all the time. What was mounted before the question is in the answer.
TEST(MissesNoMountWhileOthersComeAndGo) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir top;
    for (const char* name : {"churn", "mine"}) MakeDir(top / name);
    kvm::MountTable table(kForever);
    std::atomic<bool> ends{false};
    std::thread churn([&] {
      while (!ends) {
        MountTmpfs(top / "churn");
        REQUIRE(umount2((top / "churn").c_str(), MNT_DETACH) == 0);
      }
    });
    std::vector<std::thread> askers;
    for (int t = 0; t < 3; t++) {
      const std::string point = MakeDir(top / ("mine/" + std::to_string(t)));
      askers.emplace_back([&table, point] {
        for (int i = 0; i < 40; i++) {
          MountTmpfs(point);
          CHECK(ShowsMount(table, point));
          const std::uint64_t id = MountIdOf(point);
          REQUIRE(umount(point.c_str()) == 0);
          // Its number may be another mount's by now, but not at that place.
          int error = 0;
          const auto index = table.Now(&error);
          REQUIRE(index != nullptr);
          const auto points = PointsBelow(*index, point.substr(0, point.rfind('/')), MountIdOf(point));
          CHECK(id != 0 && std::find(points.begin(), points.end(), point.substr(point.rfind('/') + 1)) == points.end());
        }
      });
    }
    for (auto& asker : askers) asker.join();
    ends = true;
    churn.join();
  });
}

TEST(WalksDuringChurnCountNothingThatIsMounted) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir root;
    for (int d = 0; d < 20; d++) {
      MakeDir(root / std::to_string(d));
      for (int f = 0; f < 10; f++) MakeFile(root / (std::to_string(d) + "/" + std::to_string(f)), 1);
    }
    // The mount point is counted as the directory that it is while nothing is mounted there.
    const Usage whole = Model::Of(root.path);
    const std::string source = MakeDir("/dev/shm/kvm-churn-" + std::to_string(getpid()));
    for (int f = 0; f < 50; f++) MakeFile(source + "/" + std::to_string(f), 1);
    const auto table = std::make_shared<kvm::MountTable>(kForever);
    std::atomic<bool> ends{false};
    std::thread churn([&] {
      const std::string point = root / "7";
      while (!ends) {
        REQUIRE(mount(source.c_str(), point.c_str(), nullptr, MS_BIND, nullptr) == 0);
        REQUIRE(umount2(point.c_str(), MNT_DETACH) == 0);
      }
    });
    for (int i = 0; i < 200; i++) {
      const kvm::WalkResult result = MeasureWith(table, root.path, 1 + i % 3);
      CHECK_EQ(result.error, 0);
      // All of it, or without directory 7 and what it holds.
      CHECK(result.inodes == whole.inodes || result.inodes == whole.inodes - 11);
    }
    ends = true;
    churn.join();
    REQUIRE(std::system(("rm -r " + source).c_str()) == 0);
  });
}

TEST(ReadsALongTable) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir top;
    MountTmpfs(top.path);
    constexpr int kMounts = 1200;
    for (int i = 0; i < kMounts; i++) MountTmpfs(MakeDir(top / ("mount-" + std::to_string(i))));
    const auto table = std::make_shared<kvm::MountTable>(kForever);
    int error = 0;
    const auto index = table->Now(&error);
    REQUIRE(index != nullptr);
    CHECK_EQ(PointsBelow(*index, top.path, MountIdOf(top.path)).size(), static_cast<std::size_t>(kMounts));
    for (int i = 0; i < kMounts; i += 100) CHECK(index->Has(MountIdOf(top / ("mount-" + std::to_string(i)))));
    CHECK_EQ(MeasureWith(table, top.path).inodes, 1u);
    for (int i = 0; i < 50; i++) CHECK_EQ(MeasureWith(table, top / ("mount-" + std::to_string(i))).inodes, 1u);
    CHECK_EQ(table->Reads(), 1u);
    REQUIRE(umount2(top.path.c_str(), MNT_DETACH) == 0);
  });
}

// That a directory above a mount point was renamed, the kernel does not tell.
TEST(IsReadAgainWhenItIsOld) {
  kvm::MountTable table(std::chrono::milliseconds(0));
  int error = 0;
  for (int i = 1; i <= 3; i++) {
    CHECK(table.Now(&error) != nullptr);
    CHECK(table.Reads() >= static_cast<std::uint64_t>(i));
  }
}

// A thread in another mount namespace, or with another root directory, never gets the list of this one's.
TEST(KeepsNoListForAnotherNamespaceOrRoot) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  InOwnNamespace([] {
    const TempDir top;
    const std::string point = MakeDir(top / "point");
    kvm::MountTable table(kForever);
    const auto shows_point = [&table, &point] {
      int error = 0;
      const auto index = table.Now(&error);
      REQUIRE(index != nullptr);
      return index->Has(MountIdOf(point));
    };
    CHECK(shows_point());
    std::thread([&] {
      REQUIRE(unshare(CLONE_NEWNS) == 0);
      MountTmpfs(point);
      CHECK(shows_point());
      // This thread alone is in the namespace.
      std::thread([&] { CHECK(shows_point()); }).join();
    }).join();
    CHECK(shows_point());
    MountTmpfs(point);
    MakeDir(point + "/proc");
    REQUIRE(mount("proc", (point + "/proc").c_str(), "proc", 0, nullptr) == 0);
    std::thread([&] {
      REQUIRE(unshare(CLONE_FS) == 0 && chroot(point.c_str()) == 0 && chdir("/") == 0);
      int error = 0;
      const auto index = table.Now(&error);
      REQUIRE(index != nullptr);
      CHECK((PointsBelow(*index, "/", MountIdOf("/")) == std::vector<std::string>{"proc"}));
    }).join();
    int error = 0;
    CHECK_EQ(PointsBelow(*table.Now(&error), point, MountIdOf(point)).size(), 1u);
    REQUIRE(umount2(point.c_str(), MNT_DETACH) == 0);
  });
}

TEST(SaysWhyThereIsNoTable) {
  for (const int number : {ENOENT, EMFILE, EACCES}) {
    kvm::MountTable table(kForever);
    int error = 0;
    WithoutCalls({SYS_openat, SYS_open}, number, [&] { CHECK(table.Now(&error) == nullptr); });
    CHECK_EQ(error, number);
    // And the next one gets it.
    CHECK(table.Now(&error) != nullptr);
    CHECK_EQ(error, 0);
  }
}

// Once it is open, a lack of descriptors does not hide it.
TEST(NeedsNoDescriptorOnceItIsOpen) {
  kvm::MountTable table(kForever);
  int error = 0;
  const auto index = table.Now(&error);
  WithoutCalls({SYS_openat, SYS_open}, EMFILE, [&] { CHECK(table.Now(&error) == index); });
  CHECK_EQ(error, 0);
}

TEST(AReadThatFailsIsNotKept) {
  kvm::MountTable table(kForever);
  int error = 0;
  WithoutCalls({SYS_pread64}, EIO, [&] { CHECK(table.Now(&error) == nullptr); });
  CHECK_EQ(error, EIO);
  CHECK(table.Now(&error) != nullptr);
}

// Where statx does not tell mount ids, nothing tells whose list it is.
TEST(IsReadEachTimeWithoutMountIds) {
  kvm::MountTable table(kForever);
  WithoutCalls({SYS_statx}, ENOSYS, [&] {
    int error = 0;
    for (std::uint64_t i = 1; i <= 3; i++) {
      CHECK(table.Now(&error) != nullptr);
      CHECK(table.Reads() >= i);
    }
  });
}
