// What the threads of one walk share: the work handed from one to another, the counts, and how it ends.
#pragma once

#include <semaphore.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "walk.h"
#include "walk_array.h"
#include "walk_directories.h"
#include "walk_kernel.h"
#include "walk_crew.h"
#include "walk_mounts.h"
#include "walk_seen.h"
#include "walk_work.h"

namespace kvm {

// What one thread has counted. Written by that thread only, so plain loads and stores suffice.
struct alignas(64) WalkTally {
  std::atomic<std::uint64_t> used{0};
  std::atomic<std::uint64_t> inodes{0};
  std::atomic<std::uint64_t> calls{0};
};

// What one thread is charged. Guarded by WalkState's lock.
struct WalkCharge {
  const WorkClock* clock = nullptr;  // of the thread; nullptr: not at work
  WorkTime begin;
};

// Work for a thread that has none: part of a directory that has been entered and counted.
struct WalkShare {
  enum class Part {
    kRoot,            // all of it: `dir` is open for reading
    kSubdirectories,  // `names`: subdirectories to enter, each ended by NUL
    kEntries,         // `names`: records of getdents64
  };
  Part part = Part::kRoot;
  Fd dir;
  std::uint64_t ino = 0;
  const MountNode* mounts = nullptr;
  // The directory's path from the walk's root, each name behind a slash.
  std::shared_ptr<const std::string> path;
  PlainArray<char> names;
  std::uint32_t count = 0;
};

// What is known once the root is open; not changed afterwards.
struct WalkRoot {
  std::uint64_t device = 0;
  std::uint64_t ino = 0;
  KernelFeatures kernel;
  // Directories are looked at before they are opened.
  bool may_have_automounts = false;
  MountNode mounts;
};

class WalkState : public std::enable_shared_from_this<WalkState> {
 public:
  WalkState(WalkOptions options, Walk::Done done);
  ~WalkState() { ::sem_destroy(&called_); }
  WalkState(const WalkState&) = delete;
  WalkState& operator=(const WalkState&) = delete;

  // Starts the first thread, or ends the walk.
  void Start();
  void Cancel();
  // Returns the nanoseconds of work that the walk is charged.
  std::uint64_t Abandon(int error);
  // Without its work.
  WalkProgress Progress() const;
  // Nanoseconds, up to now or a moment ago. Waits for no thread, so that the event loop may ask.
  std::uint64_t Work();

  // For the walk's threads.

  // To be asked before each system call.
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  // Whether another thread could take work. A hint; ReserveTaker decides.
  bool WantsWork() const { return takers_.load(std::memory_order_relaxed) > 0; }
  // Promises to Give a share. False: nobody could take it any more.
  bool ReserveTaker();
  // A promise that could not be kept.
  void ReleaseTaker() { takers_.fetch_add(1, std::memory_order_relaxed); }
  // Hands work to an idle thread or a new one; to whoever has none next if no thread can be created.
  void Give(std::unique_ptr<WalkShare> share);
  // Waits for work, uncharged. nullptr: the walk is at its end. For the thread of that number.
  std::unique_ptr<WalkShare> Take(unsigned number, const WorkClock& clock);
  // An entry that cannot be read: ends the walk, or is noted.
  void Fail(int error, const std::string& path);
  // A regular file has a size and no blocks.
  void NoteSizedWithoutBlocks() { sized_without_blocks_.store(true, std::memory_order_relaxed); }
  bool sized_without_blocks() const { return sized_without_blocks_.load(std::memory_order_relaxed); }
  // Ends the walk with an error, unless it has ended.
  void Stop(int error, const std::string& path);

  // Not changed once the walk has started; without the lease.
  WalkOptions options;
  WalkRoot root;
  // Inode numbers of what is no directory and has several links.
  SeenSet linked;
  // But for the root, which nothing can move below itself.
  SeenDirectories directories;

 private:
  class ThreadJob;

  // Returns 0, or an errno and leaves the share.
  int StartThread(unsigned number, std::unique_ptr<WalkShare>* share);
  void ThreadEnds();
  std::uint64_t Report();
  // Calls threads that wait, under the lock.
  void Wake(unsigned most);
  // All that was worked, up to now. Under the lock.
  std::uint64_t WorkSoFar();
  // Reads the clock without the lock, because a thread may lose its processor after any system call.
  void BeginsWork(unsigned number, const WorkClock& clock);
  // Leaves the lock held.
  WorkLock EndsWork(unsigned number, const WorkClock& clock);

  std::array<WalkTally, kMostWalkThreads> tallies_;

  // Read for every entry and written seldom, so on a cache line of their own.
  alignas(64) std::atomic<bool> stopped_{false};
  std::atomic<bool> sized_without_blocks_{false};
  // Threads that wait and those not yet started, less the shares that were promised or given and are not yet
  // taken.
  std::atomic<int> takers_;
  // What WorkSoFar found last.
  std::atomic<std::uint64_t> known_work_ns_{0};

  // Guards what follows.
  alignas(64) std::mutex lock_;
  // Threads that wait for `called_`, less the calls on their way to them. Not a condition variable, whose
  // signal waits for those that were woken before, which may wait for a processor.
  unsigned asleep_ = 0;
  sem_t called_;
  std::vector<std::unique_ptr<WalkShare>> shares_;
  std::array<WalkCharge, kMostWalkThreads> charges_;
  unsigned started_ = 0;
  unsigned alive_ = 0;
  unsigned idle_ = 0;
  bool may_start_ = true;
  bool finished_ = false;
  bool reported_ = false;
  WalkResult result_;
  std::shared_ptr<void> lease_;
  Walk::Done done_;
};

}  // namespace kvm
