// One thread's part of a walk: depth first through the directories it has, handing some over when another has
// none.
#pragma once

#include <fcntl.h>

#include <memory>
#include <string>

#include "walk_kernel.h"
#include "walk_stack.h"
#include "walk_state.h"

namespace kvm {

class WalkThread {
 public:
  WalkThread(WalkState& state, unsigned number, WalkTally& tally, const WorkClock& clock);
  WalkThread(const WalkThread&) = delete;
  WalkThread& operator=(const WalkThread&) = delete;

  // Walks what `share` holds and then what others hand over, until the walk ends.
  void Run(std::unique_ptr<WalkShare> share);

 private:
  // walk_thread.cc: the walk itself. Each step does a bounded piece of work in the innermost directory.
  void WalkAll();
  bool ShouldRead(const Frame& frame) const;
  void ReadSome();
  void CountEntries();
  void CountEntry(const char* name);
  void NoteSubdirectory(const char* name);
  void EnterNext();
  int OpenNext(const char* name, Fd* dir, EntryStat* stat);
  bool IsForeign(const EntryStat& stat) const;
  void Count(const EntryStat& stat, const char* name);
  bool CountDirectory(int dir, const char* dir_name, const EntryStat& stat, const char* name);
  bool AddToTally(const EntryStat& stat);
  int Stat(int dir, const char* name, EntryStat* stat, bool with_birth = false);
  void Fail(int error, const char* name = nullptr);
  void Returned() { Add(tally_.calls, 1); }
  static void Add(std::atomic<std::uint64_t>& sum, std::uint64_t value) {
    sum.store(sum.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  }

  // walk_reopen.cc: descriptors within the budget, and the way back up.
  void LeaveDone();
  int Reopen(const Fd& from, std::uint32_t levels, Fd* dir);
  int ReopenUpwards(const Fd& from, std::uint32_t levels, int flags, Fd* dir);
  int ReopenByNames(int flags, Fd* dir);
  int CheckInode(const Fd& dir, std::uint64_t ino);
  void KeepToBudget();
  int Open(int dir, const char* name, int flags, Fd* fd);
  std::string PathFromRoot() const;

  // walk_share.cc: work taken over from other threads and handed to them.
  bool Adopt(WalkShare& share);
  void ShareWork();
  std::unique_ptr<WalkShare> Part(std::uint32_t frame);
  bool TakeSubdirectories(std::uint32_t frame, WalkShare* share);
  bool TakeEntries(WalkShare* share);

  // walk_root.cc. False: there is nothing below the root to walk.
  bool OpenRoot(WalkShare* share);
  int OpenRootItself(Fd* fd, bool* unreadable);

  // How many directories of this thread may be open at once, and one more in between.
  static std::uint32_t Budget(unsigned threads);

  static constexpr int kReadDirectory = O_RDONLY | O_DIRECTORY | O_NONBLOCK;
  static constexpr std::size_t kBufferBytes = 32 * 1024;

  WalkState& state_;
  const unsigned number_;  // in the walk
  WalkTally& tally_;
  const WorkClock& clock_;
  WalkStack stack_;
  // Frame 0's path from the root.
  std::shared_ptr<const std::string> base_;
  std::uint32_t budget_;
  // Bytes, so that the sum of all threads fits.
  const std::uint64_t most_used_;
  int no_atime_ = O_NOATIME;
  // How often it has waited for descriptors since there was one.
  int waits_ = 0;
  // Entries counted since work was last handed over.
  std::uint32_t since_shared_ = 0;
  // From how many on it is worth it.
  std::uint32_t share_after_ = 0;
  // What was read of the innermost directory and is not yet counted.
  std::size_t records_ = 0;
  std::size_t records_end_ = 0;
  alignas(EntryRecord) char buffer_[kBufferBytes];
};

}  // namespace kvm
