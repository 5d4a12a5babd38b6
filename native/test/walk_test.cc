// What a walk counts, and how it fails.
#include <grp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "intercept.h"
#include "walk_trees.h"

namespace {

// A golden case of docs/kubelet-parity.md: four files beside a directory with one, one byte each.
void MakeSmallTree(const std::string& root) {
  for (const char* name : {"/a", "/b", "/c", "/d"}) MakeFile(root + name, 1);
  MakeDir(root + "/z");
  MakeFile(root + "/z/q", 1);
}

void BecomeNobody() {
  REQUIRE(setgroups(0, nullptr) == 0);
  REQUIRE(setgid(65534) == 0);
  REQUIRE(setuid(65534) == 0);
}

}  // namespace

// The kubelet's atomic writer: three keys of a projected volume.
TEST(CountsAProjectedVolume) {
  const TempDir root;
  const std::string data = MakeDir(root / "..2024_01_01");
  for (const std::string key : {"k1", "k2", "k3"}) {
    MakeFile(data + "/" + key, 1);
    REQUIRE(symlink(("..data/" + key).c_str(), (root / key).c_str()) == 0);
  }
  REQUIRE(symlink("..2024_01_01", (root / "..data").c_str()) == 0);
  if (FilesystemOf(root.path) == kTmpfs) CHECK_EQ(UsageOf(root.path), (Usage{12288, 9}));
  CHECK_EQ(UsageOf(root.path), Model::Of(root.path));
}

TEST(TellsOfSizesWithoutBlocks) {
  const TempDir root;
  MakeFile(root / "empty");
  MakeFile(root / "full", 1);
  REQUIRE(symlink("somewhere", (root / "symlink").c_str()) == 0);
  CHECK(!Measure(root.path).sized_without_blocks);
  const std::string below = MakeDir(root / "below");
  MakeFile(below + "/sparse", 0, 1);
  for (unsigned threads = 1; threads <= 4; threads++) CHECK(Measure(root.path, threads).sized_without_blocks);
  CHECK(Measure(below + "/sparse").sized_without_blocks);
  CHECK(!Measure(root / "empty").sized_without_blocks);
}

TEST(CountsAnInodeOnce) {
  const TempDir root;
  MakeFile(root / "f1", 1);
  REQUIRE(link((root / "f1").c_str(), (root / "f2").c_str()) == 0);
  CHECK_EQ(UsageOf(root.path).inodes, 2u);
  CHECK_EQ(UsageOf(root.path), Model::Of(root.path));
}

TEST(CountsALinkOutOfTheTree) {
  const TempDir top;
  const std::string root = MakeDir(top / "root");
  MakeFile(top / "outside", 1);
  REQUIRE(link((top / "outside").c_str(), (root + "/inside").c_str()) == 0);
  CHECK_EQ(UsageOf(root), Model::Of(root));
  CHECK_EQ(UsageOf(root).inodes, 2u);
}

TEST(CountsEveryKindOfEntry) {
  for (const char* parent : {"/dev/shm", "/tmp"}) {
    const TempDir root(parent);
    MakeFile(root / "sparse", 0, 1 << 30);
    REQUIRE(mkfifo((root / "fifo").c_str(), 0644) == 0);
    REQUIRE(symlink("/", (root / "symlink").c_str()) == 0);
    MakeDir(root / "empty");
    Usage expected = Model::Of(root.path);
    if (FilesystemOf(root.path) == kTmpfs) CHECK_EQ(expected, (Usage{0, 5}));
    CHECK_EQ(UsageOf(root.path), expected);

    const int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (root / "socket").c_str());
    REQUIRE(bind(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    close(socket_fd);
    MakeFile(root / "hole", 11, 1 << 20);
    CHECK_EQ(UsageOf(root.path), Model::Of(root.path));
    CHECK_EQ(UsageOf(root.path).inodes, 7u);
  }
}

TEST(CountsFilesAndDirectories) {
  for (const char* parent : {"/dev/shm", "/tmp"}) {
    const TempDir root(parent);
    CHECK_EQ(UsageOf(root.path), Model::Of(root.path));
    CHECK_EQ(UsageOf(root.path).inodes, 1u);
    MakeSmallTree(root.path);
    if (FilesystemOf(root.path) == kTmpfs) CHECK_EQ(UsageOf(root.path), (Usage{20480, 7}));
    if (FilesystemOf(root.path) == kExt4) CHECK_EQ(UsageOf(root.path), (Usage{28672, 7}));
    CHECK_EQ(UsageOf(root.path), Model::Of(root.path));
  }
}

TEST(MeasuresAFile) {
  const TempDir top;
  MakeFile(top / "file", 1);
  CHECK_EQ(UsageOf(top / "file"), (Usage{4096, 1}));
  REQUIRE(mkfifo((top / "fifo").c_str(), 0644) == 0);
  CHECK_EQ(UsageOf(top / "fifo"), (Usage{0, 1}));
}

TEST(FollowsTheRootOnly) {
  const TempDir top;
  const std::string root = MakeDir(top / "root");
  MakeSmallTree(root);
  REQUIRE(symlink("root", (top / "symlink").c_str()) == 0);
  REQUIRE(symlink("..", (root + "/up").c_str()) == 0);
  CHECK_EQ(UsageOf(top / "symlink"), UsageOf(root));
  CHECK_EQ(UsageOf(top / "symlink/"), UsageOf(root));
  REQUIRE(symlink("root/a", (top / "file").c_str()) == 0);
  CHECK_EQ(UsageOf(top / "file").inodes, 1u);
}

TEST(SaysWhyThereIsNoRoot) {
  const TempDir top;
  MakeFile(top / "file");
  REQUIRE(symlink("loop", (top / "loop").c_str()) == 0);
  REQUIRE(symlink("gone", (top / "dangling").c_str()) == 0);
  const struct {
    std::string path;
    int error;
  } cases[] = {
      {top / "missing", ENOENT}, {top / "dangling", ENOENT},           {top / "loop", ELOOP},
      {top / "file/", ENOTDIR},  {top / "file/below", ENOTDIR},        {"", ENOENT},
      {top / std::string(300, 'n'), ENAMETOOLONG},
  };
  for (const auto& [path, error] : cases) {
    for (const bool allow_partial : {false, true}) {
      const kvm::WalkResult result = Measure(path, 2, allow_partial);
      CHECK_EQ(result.error, error);
      CHECK_EQ(result.path, path);
      CHECK_EQ(result.inodes, 0u);
    }
  }
}

TEST(AcceptsAnyNumberOfThreads) {
  const TempDir root;
  for (int i = 0; i < 40; i++) {
    const std::string dir = MakeDir(root / std::to_string(i));
    for (int j = 0; j < 40; j++) MakeFile(dir + "/" + std::to_string(j));
    MakeDir(dir + "/below");
  }
  for (unsigned threads = 0; threads <= 64; threads++) CHECK_EQ(UsageOf(root.path, threads), (Usage{0, 1 + 40 * 42}));
  CHECK_EQ(UsageOf(root.path, 10000), (Usage{0, 1 + 40 * 42}));
}

TEST(NamesWhatCannotBeRead) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  const TempDir root("/tmp");
  MakeSmallTree(root.path);
  const std::string closed = MakeDir(root / "odd \n\xff name");
  MakeFile(closed + "/hidden", 1);
  const std::string listed = MakeDir(root / "listed only");
  MakeFile(listed + "/a", 1);
  MakeFile(listed + "/b", 1);
  REQUIRE(chmod(closed.c_str(), 0) == 0);
  REQUIRE(chmod(listed.c_str(), 0744) == 0);
  check::InChild([&] {
    BecomeNobody();
    const kvm::WalkResult failed = Measure(root.path);
    CHECK_EQ(failed.error, EACCES);
    CHECK(failed.path == closed || failed.path == listed + "/a" || failed.path == listed + "/b");

    // The directories themselves count, what is in them is missing.
    const kvm::WalkResult partial = Measure(root.path, 1, true);
    CHECK_EQ(partial.error, 0);
    CHECK_EQ(partial.errors, 3u);
    CHECK_EQ(partial.first_error, EACCES);
    CHECK_EQ(partial.inodes, 9u);

    const kvm::WalkResult as_root = Measure(closed, 2, true);
    CHECK_EQ(as_root.error, 0);
    CHECK_EQ(as_root.errors, 1u);
    CHECK_EQ(as_root.first_path, closed);
    CHECK_EQ(as_root.inodes, 1u);
    CHECK_EQ(Measure(closed).error, EACCES);
  });
  REQUIRE(chmod(closed.c_str(), 0755) == 0);
  CHECK_EQ(UsageOf(root.path), Model::Of(root.path));
}

// O_NOATIME is refused to those who do not own the directory.
TEST(ReadsDirectoriesOfOthers) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  const TempDir root("/tmp");
  MakeSmallTree(root.path);
  const Usage expected = UsageOf(root.path);
  check::InChild([&] {
    BecomeNobody();
    CHECK_EQ(UsageOf(root.path), expected);
  });
}

TEST(LeavesTheTimeOfAccess) {
  const TempDir root("/tmp");
  MakeSmallTree(root.path);
  const timespec long_ago[] = {{1000, 0}, {2000, 0}};
  for (const std::string& path : {root.path, root / "z"}) {
    REQUIRE(utimensat(AT_FDCWD, path.c_str(), long_ago, 0) == 0);
  }
  UsageOf(root.path);
  for (const std::string& path : {root.path, root / "z"}) {
    struct stat info {};
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK_EQ(info.st_atim.tv_sec, 1000);
  }
}

// Linux before 5.6, and seccomp profiles that know nothing of openat2.
TEST(WorksWithoutOpenat2) {
  const TempDir root;
  MakeSmallTree(root.path);
  for (const int error : {ENOSYS, EPERM}) {
    WithoutCall(SYS_openat2, error, [&] { CHECK_EQ(UsageOf(root.path), Model::Of(root.path)); });
  }
}

TEST(CountsWhileItWalks) {
  const TempDir root;
  for (int i = 0; i < 100; i++) MakeFile(root / std::to_string(i), 1);
  WalkRun run(root.path, 1);
  kvm::WalkProgress last;
  while (!run.Ended()) {
    const kvm::WalkProgress now = run.walk.Progress();
    CHECK(now.inodes >= last.inodes && now.used >= last.used && now.calls >= last.calls);
    last = now;
  }
  last = run.walk.Progress();
  CHECK_EQ(last.inodes, 101u);
  CHECK_EQ(last.used, 409600u);
  CHECK(last.calls >= 102);
}

// The threads are guests: nice 19, and the lowest best-effort I/O priority.
TEST(WalksAtTheLowestPriority) {
  const TempDir root;
  MakeFile(root / "file", 1);
  int nice = 0;
  int io = 0;
  {
    const Interception interception(
        {SYS_statx},
        [&](const PendingCall& call) {
          if (call.Name() == "file") {
            nice = getpriority(PRIO_PROCESS, static_cast<unsigned>(call.thread));
            io = static_cast<int>(syscall(SYS_ioprio_get, 1, call.thread));
          }
          return kPass;
        },
        [&] { CHECK_EQ(UsageOf(root.path), (Usage{4096, 2})); });
  }
  CHECK_EQ(nice, 19);
  CHECK_EQ(io, 2 << 13 | 7);
}
