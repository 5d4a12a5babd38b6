// What a walk is charged: the time its threads worked for it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <mutex>

#include "walk_kernel.h"

namespace kvm {

// The times of a thread since it began, in nanoseconds; but wall time since whenever.
struct WorkTime {
  std::uint64_t wall_ns = 0;
  std::uint64_t queued_ns = 0;  // waited for a processor
  std::uint64_t ran_ns = 0;     // on a processor
  std::uint64_t aside_ns = 0;   // in scopes of NotAtWork, without the wait for a processor
};

// The work of one thread, which is the one that made the clock. From one moment to another it is the wall
// time without the wait for a processor and without what was not at work. That leaves what the thread ran and
// what it slept in system calls, which in a walk is the wait for the disk. Other programs on the same
// processors add nothing. Where the kernel does not count the wait for a processor, it stays 0.
class WorkClock {
 public:
  // Keeps a file of /proc open, because a tiny walk takes little longer than to open one.
  WorkClock();
  ~WorkClock();
  WorkClock(const WorkClock&) = delete;
  WorkClock& operator=(const WorkClock&) = delete;

  // For its thread: the beginning of work, and the nanoseconds of work from there to now.
  WorkTime Begin() const;
  std::uint64_t Since(const WorkTime& begin) const;

  // For another thread: Since, as far as it is known. The kernel counts a wait for a processor when it is
  // over. So of a thread that is waiting for one, only the time it ran is work. Opens a file of /proc.
  std::uint64_t SinceSoFar(const WorkTime& begin) const;

 private:
  friend class NotAtWork;

  const pid_t thread_;
  Fd schedstat_;
  // Written by its thread only.
  std::atomic<std::uint64_t> aside_ns_{0};
  std::atomic<std::uint64_t> aside_from_ns_{0};  // wall time; 0: at work
};

// As long as it lives, the calling thread's clock stands, if the thread has one. Not to be nested.
class NotAtWork {
 public:
  NotAtWork();
  ~NotAtWork();
  NotAtWork(const NotAtWork&) = delete;
  NotAtWork& operator=(const NotAtWork&) = delete;

 private:
  WorkTime from_;
};

// Holds a lock. The wait for it is not work: it lasts as long as another thread of the lowest priority waits
// for a processor. A lock that is free costs as much as with std::unique_lock.
class WorkLock : public std::unique_lock<std::mutex> {
 public:
  explicit WorkLock(std::mutex& lock) : unique_lock(lock, std::defer_lock) { Lock(); }
  void Lock() {
    if (try_lock()) return;
    const NotAtWork waits;
    lock();
  }
};

}  // namespace kvm
