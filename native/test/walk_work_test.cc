// What a walk is charged.
#include "../walk_work.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <atomic>
#include <thread>
#include <vector>

#include "intercept.h"
#include "walk_trees.h"

namespace {

constexpr std::uint64_t kMs = 1'000'000;

std::uint64_t CpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

void Burn(std::uint64_t ns) {
  const std::uint64_t begin = CpuNs();
  while (CpuNs() - begin < ns) {
  }
}

bool KernelCountsTheQueue() { return access("/proc/thread-self/schedstat", R_OK) == 0; }

}  // namespace

TEST(WorkIsTimeRunAndSlept) {
  const kvm::WorkClock clock;
  const kvm::WorkTime begin = clock.Now();
  Burn(20 * kMs);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(clock.Now().Since(begin) >= 40 * kMs);
}

// Two threads on one processor: each waits for as long as it runs.
TEST(TimeInTheQueueOfAProcessorIsNoWork) {
  SKIP_UNLESS(KernelCountsTheQueue(), "needs schedstat");
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  int processor = 0;
  while (!CPU_ISSET(processor, &before)) processor++;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  std::atomic<bool> ends{false};
  std::thread other([&ends] {
    while (!ends) {
    }
  });
  const kvm::WorkClock clock;
  const kvm::WorkTime begin = clock.Now();
  Burn(200 * kMs);
  const kvm::WorkTime end = clock.Now();
  ends = true;
  other.join();
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
  const std::uint64_t wall = end.wall_ns - begin.wall_ns;
  const std::uint64_t work = end.Since(begin);
  CHECK(work >= 195 * kMs);
  // What the other had at least, however the kernel cut it.
  CHECK(wall - work >= 50 * kMs);
}

// The kernel counts a wait when it is over, and the other thread waits while this one runs.
TEST(AThreadThatWaitsForAProcessorIsChargedWhatItRan) {
  SKIP_UNLESS(KernelCountsTheQueue(), "needs schedstat");
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  int processor = 0;
  while (!CPU_ISSET(processor, &before)) processor++;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  std::atomic<int> thread{0};
  std::atomic<bool> ends{false};
  kvm::WorkTime begin;
  std::thread other([&] {
    const auto id = static_cast<pid_t>(syscall(SYS_gettid));
    setpriority(PRIO_PROCESS, static_cast<id_t>(id), 19);
    begin = kvm::WorkClock().Now();
    thread = id;
    while (!ends) {
    }
  });
  while (thread == 0) std::this_thread::yield();
  clockid_t clock{};
  REQUIRE(pthread_getcpuclockid(other.native_handle(), &clock) == 0);
  Burn(300 * kMs);
  const std::uint64_t work = kvm::WorkTimeOf(thread, begin).Since(begin);
  timespec ran{};
  clock_gettime(clock, &ran);
  ends = true;
  other.join();
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(work <= static_cast<std::uint64_t>(ran.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(ran.tv_nsec));
}

TEST(TheWorkOfAnotherThreadIsKnown) {
  std::atomic<int> thread{0};
  std::atomic<bool> ends{false};
  kvm::WorkTime begin;
  std::thread other([&] {
    begin = kvm::WorkClock().Now();
    thread = static_cast<int>(syscall(SYS_gettid));
    while (!ends) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  while (thread == 0) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  const std::uint64_t work = kvm::WorkTimeOf(thread, begin).Since(begin);
  CHECK(work > 0 && work < 600'000 * kMs);
  ends = true;
  other.join();
  // Of one that is gone it is wall time.
  CHECK(kvm::WorkTimeOf(thread, begin).Since(begin) >= work);
}

TEST(WithoutSchedstatWorkIsWallTime) {
  WithoutCalls({SYS_openat, SYS_open}, ENOENT, [] {
    const kvm::WorkClock clock;
    const kvm::WorkTime begin = clock.Now();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const kvm::WorkTime end = clock.Now();
    CHECK_EQ(end.queued_ns, 0u);
    CHECK_EQ(end.Since(begin), end.wall_ns - begin.wall_ns);
    CHECK(end.Since(begin) >= 5 * kMs);
  });
}

TEST(AWalkIsChargedTheWorkOfItsThreads) {
  const TempDir root;
  for (int d = 0; d < 60; d++) {
    MakeDir(root / std::to_string(d));
    for (int f = 0; f < 50; f++) MakeFile(root / (std::to_string(d) + "/" + std::to_string(f)));
  }
  for (const unsigned threads : {1u, 4u}) {
    const double begin = check::Seconds();
    const kvm::WalkResult result = Measure(root.path, threads);
    const double wall_ns = (check::Seconds() - begin) * 1e9;
    CHECK_EQ(result.inodes, 3061u);
    CHECK(result.work_ns > 100'000);
    CHECK(static_cast<double>(result.work_ns) <= wall_ns * threads);
  }
}

// The wait for the disk: here a call that the kernel holds. It is known of walks that fail and that are given
// up.
TEST(ChargesTheTimeInSystemCalls) {
  const TempDir root;
  MakeFile(root / "slow");
  for (const int error : {0, EIO}) {
    const auto slowly = [error](const PendingCall& call) {
      if (call.Name() != "slow") return kPass;
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      return error;
    };
    kvm::WalkResult result;
    Interception interception({SYS_statx}, slowly, [&] { result = Measure(root.path); });
    interception.Join();
    CHECK_EQ(result.error, error);
    CHECK(result.work_ns >= 30 * kMs);
  }
}

TEST(ChargesWhatAWalkThatIsGivenUpHasWorkedSoFar) {
  const TempDir root;
  MakeFile(root / "stuck");
  std::unique_ptr<WalkRun> run;
  Interception interception({SYS_statx}, [](const PendingCall& call) { return call.Name() == "stuck" ? kHold : kPass; },
                            [&] { run = std::make_unique<WalkRun>(root.path); });
  interception.Join();
  interception.WaitHeld(1);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  const std::uint64_t work_ns = run->walk.Abandon(ETIMEDOUT);
  CHECK(work_ns >= 30 * kMs);
  CHECK_EQ(run->Wait().work_ns, work_ns);
  interception.Release();
  CHECK_EQ(run->walk.Abandon(ETIMEDOUT) >= work_ns, true);
}

// Threads without work wait for those that have some, for as long as these are held.
TEST(ChargesNothingForTheWaitForWork) {
  const TempDir root;
  for (int d = 0; d < 60; d++) {
    MakeDir(root / std::to_string(d));
    for (int f = 0; f < 60; f++) MakeFile(root / (std::to_string(d) + "/" + std::to_string(f)));
  }
  MakeFile(root / "30/slow");
  constexpr int kHeldMs = 400;
  const double begin = check::Seconds();
  std::unique_ptr<WalkRun> run;
  Interception interception({SYS_statx}, [](const PendingCall& call) { return call.Name() == "slow" ? kHold : kPass; },
                            [&] { run = std::make_unique<WalkRun>(root.path, 4); });
  interception.Join();
  interception.WaitHeld(1);
  // Very likely the others have nothing to do when they make no more calls.
  for (std::uint64_t calls = 0; run->walk.Progress().calls != calls;) {
    calls = run->walk.Progress().calls;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const double held_from = check::Seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(kHeldMs));
  const double held = check::Seconds() - held_from;
  interception.Release();
  const kvm::WalkResult result = run->Wait();
  const double others = check::Seconds() - begin - held;
  CHECK_EQ(result.inodes, 3662u);
  CHECK(result.work_ns >= kHeldMs * kMs);
  // Of all four it would be four times that.
  CHECK(static_cast<double>(result.work_ns) <= (2 * held + 4 * others) * 1e9);
}
