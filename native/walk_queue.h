// Lets few walks run at once in a process; the others wait in the order they came. No JavaScript here.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "call_pool.h"
#include "walk.h"

namespace kvm {

class WalkQueue {
 public:
  // A walk that was ended from outside is known to `calls` until its threads are gone: its path may be stuck.
  WalkQueue(CallPool& calls, unsigned at_once) : calls_(calls), at_once_(at_once) {}
  WalkQueue(const WalkQueue&) = delete;
  WalkQueue& operator=(const WalkQueue&) = delete;

  // The process's queue, two walks at once, over CallPool::Shared. Never destroyed: walks end on threads of
  // their own.
  static WalkQueue& Shared();

  // Starts a walk, or lets it wait. `done` is called exactly once, from any thread, possibly before this
  // returns, and not under the lock: with the walk's result, ECANCELED after Cancel, ETIMEDOUT after GiveUp
  // and when its path is stuck by the time its turn comes, EAGAIN when too many are stuck by then.
  std::uint64_t Start(WalkOptions options, Walk::Done done);

  // What has been counted so far; nothing while the walk waits, or when there is none of that number.
  std::optional<WalkProgress> Progress(std::uint64_t number);

  // Ends a walk that nobody wants any more: `done` is called now and the next walk may run. Its threads end
  // as soon as the kernel answers them; from 5 s on without an answer the path is stuck. Returns
  // WalkResult::work_ns.
  std::uint64_t Cancel(std::uint64_t number);

  // Ends a walk whose threads are stuck in the kernel, since `stuck_since_ms` (since the epoch): `done` is
  // called now, the next walk may run, and the path stays stuck until the kernel lets the threads go. Returns
  // WalkResult::work_ns, or nothing when there is no such walk.
  std::optional<std::uint64_t> GiveUp(std::uint64_t number, std::int64_t stuck_since_ms);

 private:
  struct Entry {
    WalkOptions options;
    Walk::Done done;
    std::optional<Walk> walk;  // none while it waits, and for the moment in which it starts
    bool runs = false;         // holds one of the at_once_ places
    bool ended = false;        // from outside, by Cancel or GiveUp
  };
  // Says that the threads of a walk that was ended are gone, when the last of them lets go of it.
  struct Lease;

  static Lease& LeaseOf(const Entry& entry);
  void LaunchNext();
  bool IsRefused(const std::string& path, WalkResult* result);
  void Ended(std::uint64_t number, const WalkResult& result);

  CallPool& calls_;
  const unsigned at_once_;
  std::mutex lock_;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::deque<std::uint64_t> waiting_;
  unsigned running_ = 0;
  std::uint64_t last_number_ = 0;
};

}  // namespace kvm
