#include "walk_work.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "thread_state.h"

namespace kvm {
namespace {

thread_local WorkClock* clock_of_thread = nullptr;

std::uint64_t WallNs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// A schedstat has nanoseconds on a processor, nanoseconds waited for one, and how often. 0 if it cannot be
// read.
void ReadSchedstat(const Fd& schedstat, WorkTime* times) {
  char text[96];
  const ssize_t length = schedstat ? ::pread(schedstat.get(), text, sizeof text - 1, 0) : -1;
  if (length <= 0) return;
  text[length] = '\0';
  char* end = text;
  times->ran_ns = std::strtoull(text, &end, 10);
  times->queued_ns = std::strtoull(end, nullptr, 10);
}

std::uint64_t Between(const WorkTime& begin, const WorkTime& end) {
  const auto passed = [](std::uint64_t from, std::uint64_t to) { return to > from ? to - from : 0; };
  const std::uint64_t wall = passed(begin.wall_ns, end.wall_ns);
  return passed(passed(begin.queued_ns, end.queued_ns) + passed(begin.aside_ns, end.aside_ns), wall);
}

// Both clocks at one moment, unless the thread loses its processor between them again and again.
WorkTime TimesNow(const Fd& schedstat) {
  constexpr std::uint64_t kMomentNs = 100'000;
  constexpr int kMostTurns = 4;
  WorkTime times;
  std::uint64_t before = WallNs();
  for (int turn = 0; turn < kMostTurns; turn++) {
    ReadSchedstat(schedstat, &times);
    times.wall_ns = WallNs();
    if (times.wall_ns - before < kMomentNs) break;
    before = times.wall_ns;
  }
  return times;
}

}  // namespace

WorkClock::WorkClock()
    : thread_(static_cast<pid_t>(::syscall(SYS_gettid))),
      schedstat_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {
  clock_of_thread = this;
}

WorkClock::~WorkClock() { clock_of_thread = nullptr; }

WorkTime WorkClock::Begin() const {
  WorkTime times = TimesNow(schedstat_);
  times.aside_ns = aside_ns_;
  return times;
}

std::uint64_t WorkClock::Since(const WorkTime& begin) const {
  WorkTime times = TimesNow(schedstat_);
  times.aside_ns = aside_ns_;
  return Between(begin, times);
}

std::uint64_t WorkClock::SinceSoFar(const WorkTime& begin) const {
  // Before the times are read: what a thread that sleeps has waited for a processor is counted.
  const bool sleeps = Sleeps(thread_);
  // In this order: what ends now is either a part of the sum or has a beginning.
  const std::uint64_t aside_from_ns = aside_from_ns_;
  WorkTime times = TimesNow(schedstat_);
  times.aside_ns = aside_ns_;
  if (aside_from_ns != 0) {
    times.wall_ns = std::min(times.wall_ns, aside_from_ns);
  } else if (times.ran_ns > begin.ran_ns && !sleeps) {
    return std::min(times.ran_ns - begin.ran_ns, Between(begin, times));
  }
  return Between(begin, times);
}

NotAtWork::NotAtWork() {
  const WorkClock* const clock = clock_of_thread;
  if (clock == nullptr) return;
  from_ = TimesNow(clock->schedstat_);
  clock_of_thread->aside_from_ns_ = from_.wall_ns;
}

NotAtWork::~NotAtWork() {
  WorkClock* const clock = clock_of_thread;
  if (clock == nullptr) return;
  clock->aside_ns_ += Between(from_, TimesNow(clock->schedstat_));
  clock->aside_from_ns_ = 0;
}

}  // namespace kvm
