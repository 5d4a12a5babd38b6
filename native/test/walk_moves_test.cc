// Directories that are moved under a walk, or removed and made again: each is counted once, and the walk
// ends.
#include "../walk_directories.h"

#include <algorithm>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "intercept.h"
#include "walk_trees.h"

namespace {

std::uint64_t InodeOf(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

// Waits until the clock that filesystems take their times from is past the birth of what is there. That may
// be a finer time (Linux 6.13), ahead of this clock by up to one of its ticks, so two of them have to pass.
void NextTick() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  for (int ticks = 0; ticks < 2; ticks++) {
    const timespec before = now;
    while (now.tv_sec == before.tv_sec && now.tv_nsec == before.tv_nsec) {
      clock_gettime(CLOCK_REALTIME_COARSE, &now);
    }
  }
}

// What an owner does to a walk of his tree: as soon as it has opened a directory, he moves another one that
// it has walked into that. He stops after so many moves, so that a walk which does not notice ends too, with
// too much.
class Owner {
 public:
  static constexpr int kMostMoves = 500;

  Owner(std::string root, int dirs, unsigned seed) : root_(std::move(root)), random_(seed) {
    for (int i = 0; i < dirs; i++) {
      const std::string dir = MakeDir(Path(i));
      for (int j = 0; j <= i % 3; j++) MakeFile(dir + "/file" + std::to_string(j), 1 + random_() % 10000);
    }
  }

  int Decide(const PendingCall& call) {
    if (!call.Reads() || moves_ == kMostMoves) return kPass;
    const int into = NumberOf(call.Directory());
    if (into < 0) return kPass;
    if (std::find(walked_.begin(), walked_.end(), into) == walked_.end()) walked_.push_back(into);
    // Only on the first read: what is moved there later is not seen.
    if (std::exchange(reading_, into) == into) return kPass;
    for (int tries = 0; tries < 8; tries++) {
      const int moved = walked_[random_() % walked_.size()];
      const std::string to = Path(into);
      if (moved == into || (to + "/").find("/" + Name(moved) + "/") != std::string::npos) continue;
      if (rename(Path(moved).c_str(), (to + "/" + Name(moved)).c_str()) != 0) continue;
      parents_[moved] = into;
      moves_++;
      break;
    }
    return kPass;
  }
  int moves() const { return moves_; }

 private:
  static std::string Name(int dir) { return "d" + std::to_string(dir); }
  // Where it is now.
  std::string Path(int dir) const {
    std::string path = "/" + Name(dir);
    for (auto at = parents_.find(dir); at != parents_.end(); at = parents_.find(at->second)) {
      path.insert(0, "/" + Name(at->second));
    }
    return root_ + path;
  }
  int NumberOf(const std::string& path) const {
    const std::size_t slash = path.rfind("/d");
    return slash == std::string::npos || path.compare(0, root_.size(), root_) != 0 || slash < root_.size()
               ? -1
               : std::atoi(path.c_str() + slash + 2);
  }

  const std::string root_;
  std::mt19937 random_;
  std::map<int, int> parents_;
  std::vector<int> walked_;
  int reading_ = -1;
  int moves_ = 0;
};

kvm::WalkResult MeasureOwned(const TempDir& root, Owner* owner, unsigned threads, bool allow_partial) {
  kvm::WalkResult result;
  Interception interception({SYS_getdents64}, [owner](const PendingCall& call) { return owner->Decide(call); },
                            [&] { result = Measure(root.path, threads, allow_partial); });
  interception.Join();
  return result;
}

}  // namespace

TEST(EndsWhenDirectoriesThatItWalkedAreMovedAheadOfIt) {
  for (unsigned seed = 1; seed <= 12; seed++) {
    const TempDir root(seed % 2 == 0 ? "/dev/shm" : "/var/tmp");
    const int dirs = 5 + static_cast<int>(seed * 7 % 30);
    Owner owner(root.path, dirs, seed);
    NextTick();
    const unsigned threads = 1 + seed % 4;
    const kvm::WalkResult result = MeasureOwned(root, &owner, threads, false);
    CHECK(owner.moves() > 0 && owner.moves() < Owner::kMostMoves);
    // Beside other threads the owner may come too late: the directory that he moves into was read already.
    if (threads > 1 && result.error == 0) continue;
    CHECK(result.error == kvm::kMetAgain || (threads > 1 && result.error == EAGAIN));
    CHECK_EQ(result.path.compare(0, root.path.size(), root.path), 0);
    CHECK(result.path.size() > root.path.size());
  }
}

TEST(CountsNothingTwiceWhateverIsMoved) {
  for (unsigned seed = 101; seed <= 112; seed++) {
    const TempDir root(seed % 2 == 0 ? "/dev/shm" : "/var/tmp");
    Owner owner(root.path, 5 + static_cast<int>(seed * 5 % 30), seed);
    NextTick();
    const unsigned threads = 1 + seed % 4;
    const kvm::WalkResult result = MeasureOwned(root, &owner, threads, true);
    const Usage all = Model::Of(root.path);
    CHECK(owner.moves() > 0 && owner.moves() < Owner::kMostMoves);
    CHECK_EQ(result.error, 0);
    CHECK(result.errors > 0 || threads > 1);
    if (result.errors > 0) {
      CHECK(result.first_error == kvm::kMetAgain || result.first_error == EAGAIN);
      CHECK_EQ(result.first_path.compare(0, root.path.size(), root.path), 0);
    }
    CHECK(result.inodes <= all.inodes);
    CHECK(result.used <= all.used);
  }
}

// Then a directory is known by its handle, and where that is denied too, by its inode number alone: what is
// met again is left out, and no walk fails for it.
TEST(CountsNothingTwiceWithoutTimesOfBirth) {
  for (const bool handles : {true, false}) {
    for (unsigned seed = 201; seed <= 206; seed++) {
      const TempDir root(seed % 2 == 0 ? "/dev/shm" : "/var/tmp");
      Owner owner(root.path, 5 + static_cast<int>(seed * 3 % 30), seed);
      kvm::WalkResult result;
      std::vector<int> denied = {SYS_statx};
      if (!handles) denied.push_back(SYS_name_to_handle_at);
      WithoutCalls(denied, EPERM, [&] { result = MeasureOwned(root, &owner, 1, true); });
      const Usage all = Model::Of(root.path);
      CHECK(owner.moves() > 0 && owner.moves() < Owner::kMostMoves);
      CHECK_EQ(result.error, 0);
      CHECK_EQ(result.errors > 0, handles);
      CHECK(result.inodes <= all.inodes);
      CHECK(result.used <= all.used);
    }
  }
}

// ext4 gives the next directory the inode number of the last one that was removed, and both may be born in
// one clock tick.
TEST(DoesNotTakeANewDirectoryForOneThatWasRemoved) {
  const TempDir root("/var/tmp");
  SKIP_UNLESS(FilesystemOf(root.path) == kExt4, "/var/tmp is not on ext4");
  int reused = 0;
  for (int round = 0; round < 40; round++) {
    const bool is_old = round % 2 == 0;
    const std::string top = MakeDir(root / std::to_string(round));
    const std::string victim = top + "/victim";
    if (is_old) MakeDir(victim);
    MakeDir(top + "/stays");
    if (is_old) NextTick();
    bool began = false;
    std::uint64_t number = 0;
    std::string made;
    // The walk enters the subdirectories in the order in which it has read them; the victim may be the first
    // or the last.
    const auto decide = [&](const PendingCall& call) {
      if (!call.Reads()) return kPass;
      const std::string dir = call.Directory();
      if (dir == top && !is_old && !began) {
        began = true;
        MakeDir(victim);
      } else if (dir == victim) {
        number = InodeOf(victim);
      } else if (dir == top + "/stays" && number != 0 && made.empty()) {
        REQUIRE(rmdir(victim.c_str()) == 0);
        made = MakeDir(top + "/stays/new");
        if (InodeOf(made) == number) reused++;
      }
      return kPass;
    };
    kvm::WalkResult result;
    { const Interception interception({SYS_getdents64}, decide, [&] { result = Measure(top, 1); }); }
    CHECK_EQ(result.error, 0);
    CHECK_EQ(result.errors, 0u);
    CHECK(result.inodes >= 3);
    // The new one counts where it can be told from the old one.
    if (is_old && !made.empty()) CHECK_EQ(result.inodes, 4u);
  }
  CHECK(reused > 0);
}

TEST(TellsDirectoriesApart) {
  const TempDir root;
  const std::string a = MakeDir(root / "a");
  MakeDir(root / "b");
  NextTick();
  kvm::Fd dir(open(root.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  using Met = kvm::SeenDirectories::Met;
  for (const bool has_statx : {true, false}) {
    kvm::KernelFeatures kernel;
    kernel.statx = has_statx;
    kvm::EntryStat stat_a;
    kvm::EntryStat stat_b;
    REQUIRE(kvm::StatEntry(kernel, dir.get(), "a", true, &stat_a) == 0);
    REQUIRE(kvm::StatEntry(kernel, dir.get(), "b", true, &stat_b) == 0);
    CHECK_EQ(stat_a.ino, InodeOf(a));
    kvm::SeenDirectories seen;
    CHECK(seen.Add(dir.get(), "a", stat_a) == Met::kFirst);
    CHECK(seen.Add(dir.get(), "b", stat_b) == Met::kFirst);
    CHECK(seen.Add(dir.get(), "a", stat_a) == Met::kAgain);
    // Born after the walk began.
    if (stat_a.HasBirth()) {
      stat_a.birth.seconds += 1'000'000;
      CHECK(seen.Add(dir.get(), "a", stat_a) == Met::kFirst);
      CHECK(seen.Add(dir.get(), "a", stat_a) == Met::kMaybeAgain);
    }
    // A FUSE server may show one directory under two names, and two under one number.
    kvm::FilesystemTraits fuse;
    fuse.numbers_of_a_server = fuse.may_alias_directories = true;
    kvm::SeenDirectories of_server;
    of_server.SetTraits(fuse);
    stat_b.ino = stat_a.ino;
    stat_b.birth = stat_a.birth;
    CHECK(of_server.Add(dir.get(), "a", stat_a) == Met::kFirst);
    CHECK(of_server.Add(dir.get(), "b", stat_b) == Met::kFirst);
    CHECK(of_server.Add(dir.get(), "a", stat_a) == Met::kMaybeAgain);
  }
}
