// What a walk is charged: the time its threads worked for it.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "walk_kernel.h"

namespace kvm {

// A thread's wall time, and how long it has waited for a processor since it began; nanoseconds. Between two
// readings of one thread, the wall time without the wait for a processor is what it ran and what it slept in
// system calls, which in a walk is the wait for the disk. Other programs on the same processors add nothing.
struct WorkTime {
  // From `begin` to this.
  std::uint64_t Since(const WorkTime& begin) const {
    const std::uint64_t wall = wall_ns - begin.wall_ns;
    const std::uint64_t queued = queued_ns > begin.queued_ns ? queued_ns - begin.queued_ns : 0;
    return wall > queued ? wall - queued : 0;
  }

  std::uint64_t wall_ns = 0;
  std::uint64_t queued_ns = 0;
  std::uint64_t ran_ns = 0;  // on a processor
};

// Reads the calling thread's times. Where the kernel does not count the wait for a processor, it stays 0, and
// work is wall time.
class WorkClock {
 public:
  // Keeps a file of /proc open, because a tiny walk takes little longer than to open one.
  WorkClock();
  WorkTime Now() const;

 private:
  Fd schedstat_;
};

// The times of another thread of this process, which was at `begin` before. Opens files of /proc. The kernel
// counts a wait for a processor when it is over. So of a thread that is waiting for one, only the time it ran
// is work.
WorkTime WorkTimeOf(pid_t thread, const WorkTime& begin);

}  // namespace kvm
