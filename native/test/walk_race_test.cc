// What changes or fails under a walk, each at the moment that matters.
#include <sched.h>
#include <sys/mount.h>

#include "intercept.h"
#include "walk_trees.h"

namespace {

// Threads of a walk share few open directories; with as many as these each keeps only the innermost open, and
// opens the others again on its way back.
constexpr unsigned kClosesDirectories = 64;

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Measures `root` while `decide` has its say over the walk's calls.
kvm::WalkResult MeasureUnder(Interception::Decide decide, const std::string& root, unsigned threads = 2,
                             bool allow_partial = false) {
  kvm::WalkResult result;
  Interception interception({SYS_openat, SYS_openat2, SYS_statx, SYS_getdents64}, std::move(decide),
                            [&] { result = Measure(root, threads, allow_partial); });
  interception.Join();
  return result;
}

// Does something once, just before the first call of which `matches` is true.
template <typename Matches, typename Action>
Interception::Decide Once(Matches matches, Action action) {
  return [matches, action, done = false](const PendingCall& call) mutable {
    if (!done && matches(call)) {
      done = true;
      action();
    }
    return kPass;
  };
}

auto Opening(const std::string& name) {
  return [name](const PendingCall& call) { return call.Opens() && call.Name() == name; };
}
auto Looking(const std::string& name) {
  return [name](const PendingCall& call) { return call.Stats() && call.Name() == name; };
}
auto Reading(const std::string& end) {
  return [end](const PendingCall& call) { return call.Reads() && EndsWith(call.Directory(), end); };
}

// Fails every call of which `matches` is true.
template <typename Matches>
Interception::Decide Fails(Matches matches, int error) {
  return [matches, error](const PendingCall& call) { return matches(call) ? error : kPass; };
}

Usage Counted(const kvm::WalkResult& result) {
  CHECK_EQ(result.error, 0);
  CHECK_EQ(result.errors, 0u);
  return {result.used, result.inodes};
}

void Remove(const std::string& path) { REQUIRE(remove(path.c_str()) == 0); }
void Rename(const std::string& from, const std::string& to) { REQUIRE(rename(from.c_str(), to.c_str()) == 0); }

}  // namespace

TEST(IgnoresAFileThatVanishes) {
  const TempDir root;
  MakeFile(root / "a", 1);
  MakeFile(root / "b", 1);
  const auto decide = Once(Looking("a"), [&] { Remove(root / "a"); });
  CHECK_EQ(Counted(MeasureUnder(decide, root.path)), (Usage{4096, 2}));
}

TEST(IgnoresADirectoryThatVanishes) {
  const TempDir root;
  MakeDir(root / "x");
  CHECK_EQ(Counted(MeasureUnder(Once(Opening("x"), [&] { Remove(root / "x"); }), root.path)), (Usage{0, 1}));
  MakeDir(root / "x");
  // It was there when it was counted.
  CHECK_EQ(Counted(MeasureUnder(Once(Reading("/x"), [&] { Remove(root / "x"); }), root.path)), (Usage{0, 2}));
}

TEST(FailsWhenTheRootVanishes) {
  const TempDir top;
  for (const bool allow_partial : {false, true}) {
    const std::string root = MakeDir(top / "root");
    const kvm::WalkResult result = MeasureUnder(Once(Reading("/root"), [&] { Remove(root); }), root, 2, allow_partial);
    CHECK_EQ(result.error, ENOENT);
    CHECK_EQ(result.path, root);
  }
}

TEST(CountsAFileThatReplacesADirectory) {
  const TempDir root;
  MakeDir(root / "x");
  const auto decide = Once(Opening("x"), [&] {
    Remove(root / "x");
    MakeFile(root / "x", 1);
  });
  CHECK_EQ(Counted(MeasureUnder(decide, root.path)), (Usage{4096, 2}));
}

TEST(CountsADirectoryThatReplacesAFile) {
  const TempDir root;
  MakeFile(root / "x", 1);
  const auto decide = Once(Looking("x"), [&] {
    Remove(root / "x");
    MakeDir(root / "x");
    MakeFile(root / "x/below", 1);
  });
  CHECK_EQ(Counted(MeasureUnder(decide, root.path)), (Usage{4096, 3}));
}

TEST(FollowsNoSymlinkThatReplacesADirectory) {
  const TempDir top;
  MakeDir(top / "secret");
  MakeFile(top / "secret/file", 1);
  const std::string root = MakeDir(top / "root");
  MakeDir(root + "/x");
  const auto decide = Once(Opening("x"), [&] {
    Remove(root + "/x");
    REQUIRE(symlink("../secret", (root + "/x").c_str()) == 0);
  });
  CHECK_EQ(Counted(MeasureUnder(decide, root)), (Usage{0, 2}));
}

TEST(GivesUpWhatChangesForEver) {
  const TempDir root;
  MakeDir(root / "x");
  const kvm::WalkResult result = MeasureUnder(Fails(Opening("x"), ENOTDIR), root.path);
  CHECK_EQ(result.error, ENOTDIR);
  CHECK_EQ(result.path, root / "x");
}

TEST(NamesTheEntryThatFails) {
  const TempDir root;
  MakeDir(root / "dir");
  MakeFile(root / "dir/bad", 1);
  MakeFile(root / "dir/good", 1);
  for (const int error : {EIO, ESTALE, ELOOP, ENOMEM, EACCES}) {
    const kvm::WalkResult failed = MeasureUnder(Fails(Looking("bad"), error), root.path);
    CHECK_EQ(failed.error, error);
    CHECK_EQ(failed.path, root / "dir/bad");
    const kvm::WalkResult partial = MeasureUnder(Fails(Looking("bad"), error), root.path, 2, true);
    CHECK_EQ(partial.error, 0);
    CHECK_EQ(partial.errors, 1u);
    CHECK_EQ(partial.first_error, error);
    CHECK_EQ(partial.first_path, root / "dir/bad");
    CHECK_EQ(partial.inodes, 3u);
  }
}

TEST(NamesTheDirectoryThatFails) {
  const TempDir root;
  MakeDir(root / "dir");
  MakeFile(root / "dir/file", 1);
  MakeFile(root / "file", 1);
  for (const int error : {EIO, ESTALE}) {
    const kvm::WalkResult opening = MeasureUnder(Fails(Opening("dir"), error), root.path);
    CHECK_EQ(opening.error, error);
    CHECK_EQ(opening.path, root / "dir");
    const kvm::WalkResult reading = MeasureUnder(Fails(Reading("/dir"), error), root.path);
    CHECK_EQ(reading.error, error);
    CHECK_EQ(reading.path, root / "dir");
    const kvm::WalkResult partial = MeasureUnder(Fails(Reading("/dir"), error), root.path, 2, true);
    CHECK_EQ(partial.error, 0);
    CHECK_EQ(partial.errors, 1u);
    CHECK_EQ(partial.first_path, root / "dir");
    CHECK_EQ(partial.inodes, 3u);
  }
  const kvm::WalkResult at_root = MeasureUnder(Fails(Reading(root.path), EIO), root.path);
  CHECK_EQ(at_root.error, EIO);
  CHECK_EQ(at_root.path, root.path);
  CHECK_EQ(MeasureUnder(Fails(Reading(root.path), EIO), root.path + "//").path, root.path + "//");
  CHECK_EQ(MeasureUnder(Fails(Reading("/dir"), EIO), root.path + "//").path, root / "dir");
}

TEST(NamesAnEntryBeyondPathMax) {
  const TempDir root;
  constexpr int kDepth = 1500;
  MakeChain(root.path, kDepth, "level", [](int dir, int depth) {
    if (depth == kDepth - 1) REQUIRE(mknodat(dir, "bad", S_IFREG | 0644, 0) == 0);
  });
  std::string path = root.path;
  for (int i = 0; i < kDepth; i++) path += "/level";
  const kvm::WalkResult result = MeasureUnder(Fails(Looking("bad"), EIO), root.path);
  CHECK_EQ(result.error, EIO);
  CHECK(result.path == path + "/bad");
}

TEST(RepeatsAnInterruptedCall) {
  const TempDir root;
  MakeDir(root / "dir");
  MakeFile(root / "dir/file", 1);
  const auto interrupts = [left = 30](const PendingCall&) mutable { return left-- > 0 ? EINTR : kPass; };
  CHECK_EQ(Counted(MeasureUnder(interrupts, root.path)), (Usage{4096, 3}));
  const kvm::WalkResult result = MeasureUnder(Fails(Looking("file"), EINTR), root.path);
  CHECK_EQ(result.error, EINTR);
  CHECK_EQ(result.path, root / "dir/file");
}

TEST(WaitsForDescriptors) {
  const TempDir root;
  MakeDir(root / "dir");
  MakeFile(root / "dir/file", 1);
  for (const int error : {EMFILE, ENFILE}) {
    const auto runs_out = [error, left = 4](const PendingCall& call) mutable {
      return call.Opens() && call.Name() == "dir" && left-- > 0 ? error : kPass;
    };
    CHECK_EQ(Counted(MeasureUnder(runs_out, root.path)), (Usage{4096, 3}));
    const kvm::WalkResult result = MeasureUnder(Fails(Opening("dir"), error), root.path);
    CHECK_EQ(result.error, error);
    CHECK_EQ(result.path, root / "dir");
    // The table of mounts is not done without, though this kernel could.
    const kvm::WalkResult blind = MeasureUnder(Fails(Opening("/proc/thread-self/mountinfo"), error), root.path);
    CHECK_EQ(blind.error, error);
    CHECK_EQ(blind.path, "/proc/self/mountinfo");
  }
}

// It waits once for them, not for each directory again.
TEST(WaitsForDescriptorsOnce) {
  const TempDir root;
  constexpr int kDirs = 20;
  for (int i = 0; i < kDirs; i++) MakeDir(root / "dir" + std::to_string(i));
  int refused = 0;
  const auto runs_out = [&refused](const PendingCall& call) {
    if (!call.Opens() || call.Name().compare(0, 3, "dir") != 0) return kPass;
    refused++;
    return EMFILE;
  };
  const kvm::WalkResult partial = MeasureUnder(runs_out, root.path, 1, true);
  CHECK_EQ(partial.error, 0);
  CHECK_EQ(partial.errors, static_cast<unsigned>(kDirs));
  CHECK_EQ(partial.first_error, EMFILE);
  CHECK(refused < 10 * kDirs);
}

// The filesystem's own, not that of another mount.
TEST(FailsOnADirectoryThatAnswersExdev) {
  const TempDir root;
  MakeDir(root / "dir");
  const auto decide = [](const PendingCall& call) {
    constexpr std::uint64_t kPathOnly = O_PATH;
    return call.Opens() && call.Name() == "dir" && (call.OpenFlags() & kPathOnly) == 0 ? EXDEV : kPass;
  };
  const kvm::WalkResult result = MeasureUnder(decide, root.path);
  CHECK_EQ(result.error, EXDEV);
  CHECK_EQ(result.path, root / "dir");
}

// `closed` has two subdirectories, `elsewhere` none. While one of the two is read, `closed` is not open, and
// the other one is still to be walked.
class ClosedDirectory {
 public:
  ClosedDirectory() {
    for (const char* name : {"/elsewhere", "/closed", "/closed/1", "/closed/2"}) MakeDir(top_.path + name);
    for (const char* name : {"/closed/1/file", "/closed/2/file"}) MakeFile(top_.path + name, 1);
  }
  // `action` gets the path of `closed` and of the subdirectory that is read first.
  template <typename Action>
  kvm::WalkResult MeasureUnder(Action action, bool allow_partial = false) {
    const std::string closed = top_ / "closed";
    const auto decide = [closed, action, done = false](const PendingCall& call) mutable {
      const std::string directory = call.Reads() && !done ? call.Directory() : "";
      if (directory == closed + "/1" || directory == closed + "/2") {
        done = true;
        action(closed, directory);
      }
      return kPass;
    };
    return ::MeasureUnder(decide, top_.path, kClosesDirectories, allow_partial);
  }
  std::string operator/(const std::string& name) const { return top_ / name; }

 private:
  const TempDir top_;
};
constexpr Usage kAll{8192, 7};

TEST(FindsARenamedDirectoryAgain) {
  ClosedDirectory tree;
  const kvm::WalkResult result = tree.MeasureUnder(
      [&](const std::string& closed, const std::string&) { Rename(closed, tree / "renamed"); });
  CHECK_EQ(Counted(result), kAll);
}

TEST(FindsTheParentOfAMovedDirectoryAgain) {
  ClosedDirectory tree;
  const kvm::WalkResult result = tree.MeasureUnder(
      [&](const std::string&, const std::string& first) { Rename(first, tree / "elsewhere/moved"); });
  // `elsewhere` may be walked after `closed`. What was moved there is then met again, which ends the walk if
  // the directory is older than the walk by the filesystem's clock.
  if (result.error == kvm::kMetAgain) {
    CHECK_EQ(result.path, tree / "elsewhere/moved");
    return;
  }
  const Usage usage = Counted(result);
  CHECK(usage == kAll || usage == (Usage{12288, 9}));
}

TEST(SaysWhatMovedOutOfReach) {
  for (const bool allow_partial : {false, true}) {
    ClosedDirectory tree;
    std::string moved;
    const auto action = [&](const std::string& closed, const std::string& first) {
      moved = closed;
      Rename(first, tree / "elsewhere/moved");
      Rename(closed, tree / "elsewhere/out of reach");
    };
    const kvm::WalkResult result = tree.MeasureUnder(action, allow_partial);
    if (allow_partial) {
      CHECK_EQ(result.error, 0);
      // If `elsewhere` is walked after `closed`, the two that were moved there are met again.
      CHECK(result.errors >= 1u && result.errors <= 3u);
      CHECK_EQ(result.first_error, EAGAIN);
      CHECK_EQ(result.first_path, moved);
    } else {
      CHECK_EQ(result.error, EAGAIN);
      CHECK_EQ(result.path, moved);
    }
  }
}

TEST(DoesNotTakeAnotherDirectoryForAMovedOne) {
  ClosedDirectory tree;
  const auto action = [&](const std::string& closed, const std::string& first) {
    Rename(first, tree / "elsewhere/moved");
    Rename(closed, tree / "elsewhere/out of reach");
    MakeDir(closed);
    MakeDir(closed + "/1");
    MakeDir(closed + "/2");
  };
  CHECK_EQ(tree.MeasureUnder(action).error, EAGAIN);
}

// A wide directory, not yet read to its end, above a deep one: on a filesystem whose positions shift when
// entries vanish.
TEST(ReadsOnWhereItWasWhenEntriesVanish) {
  SKIP_UNLESS(geteuid() == 0, "needs root");
  check::InChild([] {
    REQUIRE(unshare(CLONE_NEWNS) == 0);
    REQUIRE(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    const TempDir top;
    REQUIRE(mount("ramfs", top.path.c_str(), "ramfs", 0, nullptr) == 0);
    constexpr int kEach = 1000;
    const auto goes = [&](int i) { return top / "goes " + std::to_string(i); };
    MakeFile(goes(0));
    for (int i = 1; i < kEach; i++) {
      MakeDir(top / "a directory that stays " + std::to_string(i));
      REQUIRE(link(goes(0).c_str(), goes(i).c_str()) == 0);
    }
    // The newest entry is read first.
    MakeChain(MakeDir(top / "deep"), 150, "deeper", [](int dir, int depth) {
      REQUIRE(mkdirat(dir, depth == 149 ? "bottom" : "beside", 0755) == 0);
    });
    const auto decide = Once(Reading("/bottom"), [&] {
      for (int i = 0; i < kEach; i++) Remove(goes(i));
    });
    const Usage most = Model::Of(top.path);
    CHECK_EQ(Counted(MeasureUnder(decide, top.path, 1)), most);
    CHECK_EQ(Model::Of(top.path).inodes, most.inodes - 1);
    umount2(top.path.c_str(), MNT_DETACH);
  });
}

// A directory that was removed with all it held: the rest of it is gone, not lost.
TEST(IgnoresAClosedDirectoryThatVanishes) {
  ClosedDirectory tree;
  const auto action = [&](const std::string& closed, const std::string&) {
    for (const char* name : {"/1/file", "/2/file", "/1", "/2", ""}) Remove(closed + name);
  };
  // Counted were the root, `closed`, the subdirectory that was being read, and `elsewhere`.
  const kvm::WalkResult result = tree.MeasureUnder(action);
  CHECK_EQ(result.error, 0);
  CHECK(result.inodes == 3 || result.inodes == 4);
}
