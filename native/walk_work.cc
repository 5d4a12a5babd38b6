#include "walk_work.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "thread_state.h"

namespace kvm {
namespace {

std::uint64_t WallNs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// A schedstat has nanoseconds on a processor, nanoseconds waited for one, and how often. 0 if it cannot be
// read.
WorkTime TimesOf(int schedstat) {
  WorkTime times{WallNs()};
  char text[96];
  const ssize_t length = schedstat < 0 ? -1 : ::pread(schedstat, text, sizeof text - 1, 0);
  if (length <= 0) return times;
  text[length] = '\0';
  char* end = text;
  times.ran_ns = std::strtoull(text, &end, 10);
  times.queued_ns = std::strtoull(end, nullptr, 10);
  return times;
}

}  // namespace

WorkClock::WorkClock() : schedstat_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}

WorkTime WorkClock::Now() const { return TimesOf(schedstat_.get()); }

WorkTime WorkTimeOf(pid_t thread, const WorkTime& begin) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", static_cast<int>(thread));
  const Fd schedstat(::open(path, O_RDONLY | O_CLOEXEC));
  WorkTime times = TimesOf(schedstat.get());
  times.queued_ns = std::max(times.queued_ns, begin.queued_ns);
  if (times.ran_ns > begin.ran_ns && !Sleeps(thread)) {
    times.wall_ns = begin.wall_ns + (times.ran_ns - begin.ran_ns) + (times.queued_ns - begin.queued_ns);
  }
  return times;
}

}  // namespace kvm
