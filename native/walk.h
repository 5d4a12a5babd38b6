// Measures what a directory tree uses: one pass, several threads, low priority. No JavaScript here.
//
// Threads. They belong to a crew (walk_crew.h), which keeps them between walks. Start has one walk, and that
// one has others join when there is work to share. Each is done with the walk when nothing is left, after
// Cancel, or after an error; one that is blocked in the kernel when the kernel lets it go. What they share
// lives as long as the last of them is at it or the last Walk exists.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace kvm {

class MountTable;
class WalkCrew;

struct WalkOptions {
  // Absolute. A symlink is followed; what it leads to need not be a directory.
  std::string path;
  // How many threads may share the walk, 1 to kMostWalkThreads; other numbers are taken as the nearest of
  // these.
  unsigned threads = 2;
  // Whether entries that cannot be read are counted in WalkResult::errors instead of failing the walk.
  bool allow_partial = false;
  // Let go of after `done` and when the last of the walk's threads is at its end, which after Abandon may be
  // much later.
  std::shared_ptr<void> lease;
  // Whose threads walk; nullptr: the process's.
  std::shared_ptr<WalkCrew> crew;
  // Where mount points are known from; nullptr: the process's.
  std::shared_ptr<MountTable> mounts;
};
constexpr unsigned kMostWalkThreads = 64;

// In place of an errno: a directory was met a second time, because it was moved while the tree was measured
// (see walk_directories.h). The kernel's own numbers end at 4095. src/os/native/native-walks.ts knows this
// one.
constexpr int kMetAgain = 4096;

struct WalkProgress {
  std::uint64_t used = 0;    // bytes of allocated blocks, st_blocks * 512
  std::uint64_t inodes = 0;  // of any kind, the root included, each once
  std::uint64_t calls = 0;   // system calls that have returned; as long as it rises the walk is alive
  std::uint64_t work_ns = 0;  // as in WalkResult
};

struct WalkResult {
  // 0, or why there is no result: the errno of `path`, kMetAgain, ECANCELED after Cancel, or what Abandon was
  // given.
  int error = 0;
  // The entry that failed, in its exact bytes: the root's path as it was given, and names below it.
  std::string path;
  // What was counted. Whole if `error` and `errors` are 0, otherwise a lower bound.
  std::uint64_t used = 0;
  std::uint64_t inodes = 0;
  // Whether there was a regular file with a size and without blocks: a sparse one, or one of a filesystem
  // that does not count blocks.
  bool sized_without_blocks = false;
  // Why a walk that waited was not begun: since when its path is stuck, in milliseconds since the epoch;
  // otherwise 0.
  std::int64_t stuck_since_ms = 0;
  // With allow_partial: how many entries could not be read, and the one that was met first.
  std::uint64_t errors = 0;
  int first_error = 0;
  std::string first_path;
  // Nanoseconds that its threads worked for it: CPU time and the time they waited for the disk, without the
  // time they waited for a processor or for work (walk_work.h). Of threads that are still in the kernel, up
  // to now.
  std::uint64_t work_ns = 0;
};

class WalkState;

// One walk. Copies stand for the same one; without any the walk goes on. All members may be called from any
// thread.
class Walk {
 public:
  using Done = std::function<void(const WalkResult&)>;

  // Starts to walk and returns at once: the filesystem is touched by the walk's threads only. `done` is
  // called exactly once: by the last thread when all descriptors are closed, by Abandon, or by Start if no
  // thread could be created. That may be before Start returns. It must not throw and should return soon.
  static Walk Start(WalkOptions options, Done done);

  // What has been counted so far.
  WalkProgress Progress() const;

  // Ends the walk as soon as each thread's system call returns, with ECANCELED unless it has ended already.
  void Cancel();

  // Ends the walk now, with `error` unless it has ended already, though threads may be blocked in the kernel:
  // `done` is called before this returns, and the threads clean up when the kernel lets them go. Returns
  // WalkResult::work_ns.
  std::uint64_t Abandon(int error);

 private:
  explicit Walk(std::shared_ptr<WalkState> state) : state_(std::move(state)) {}

  std::shared_ptr<WalkState> state_;
};

}  // namespace kvm
