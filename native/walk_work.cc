#include "walk_work.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace kvm {
namespace {

std::uint64_t WallNs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// The second number of a schedstat, or 0: nanoseconds on a processor, nanoseconds waited for one, and how often.
std::uint64_t QueuedNs(int schedstat) {
  char text[96];
  const ssize_t length = schedstat < 0 ? -1 : ::pread(schedstat, text, sizeof text - 1, 0);
  if (length <= 0) return 0;
  text[length] = '\0';
  char* end = text;
  std::strtoull(text, &end, 10);
  return std::strtoull(end, nullptr, 10);
}

}  // namespace

WorkClock::WorkClock() : schedstat_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}

WorkTime WorkClock::Now() const { return {WallNs(), QueuedNs(schedstat_.get())}; }

WorkTime WorkTimeOf(pid_t thread, const WorkTime& begin) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", static_cast<int>(thread));
  const Fd schedstat(::open(path, O_RDONLY | O_CLOEXEC));
  const std::uint64_t queued_ns = QueuedNs(schedstat.get());
  return {WallNs(), queued_ns > begin.queued_ns ? queued_ns : begin.queued_ns};
}

}  // namespace kvm
