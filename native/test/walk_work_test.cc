// What a walk is charged.
#include "../walk_work.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <atomic>
#include <mutex>
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

// Keeps this process's other threads, made from now on, and this one on one processor.
class OneProcessor {
 public:
  OneProcessor() {
    REQUIRE(sched_getaffinity(0, sizeof before_, &before_) == 0);
    int processor = 0;
    while (!CPU_ISSET(processor, &before_)) processor++;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;
  ~OneProcessor() { REQUIRE(sched_setaffinity(0, sizeof before_, &before_) == 0); }

 private:
  cpu_set_t before_;
};

// What a thread with a clock does.
template <typename Body>
std::thread Clocked(Body body) {
  return std::thread([body] {
    kvm::WorkClock clock;
    body(clock);
  });
}

void SleepMs(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

std::uint64_t WallNs() { return static_cast<std::uint64_t>(check::Seconds() * 1e9); }

}  // namespace

TEST(WorkIsTimeRunAndSlept) {
  Clocked([](kvm::WorkClock& clock) {
    const kvm::WorkTime begin = clock.Begin();
    Burn(20 * kMs);
    SleepMs(20);
    CHECK(clock.Since(begin) >= 39 * kMs);
  }).join();
}

// Two threads on one processor: each waits for as long as it runs.
TEST(TimeInTheQueueOfAProcessorIsNoWork) {
  SKIP_UNLESS(KernelCountsTheQueue(), "needs schedstat");
  const OneProcessor one;
  std::atomic<bool> ends{false};
  std::thread other([&ends] {
    while (!ends) {
    }
  });
  Clocked([](kvm::WorkClock& clock) {
    const kvm::WorkTime begin = clock.Begin();
    Burn(200 * kMs);
    const std::uint64_t work = clock.Since(begin);
    const std::uint64_t wall = WallNs() - begin.wall_ns;
    CHECK(work >= 195 * kMs);
    // What the other had at least, however the kernel cut it.
    CHECK(wall - work >= 50 * kMs);
  }).join();
  ends = true;
  other.join();
}

// The kernel counts a wait when it is over, and the other thread waits while this one runs.
TEST(AThreadThatWaitsForAProcessorIsChargedWhatItRan) {
  SKIP_UNLESS(KernelCountsTheQueue(), "needs schedstat");
  const OneProcessor one;
  std::atomic<kvm::WorkClock*> its_clock{nullptr};
  std::atomic<bool> ends{false};
  kvm::WorkTime begin;
  std::thread other = Clocked([&](kvm::WorkClock& clock) {
    setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 19);
    begin = clock.Begin();
    its_clock = &clock;
    while (!ends) {
    }
  });
  while (its_clock == nullptr) std::this_thread::yield();
  clockid_t cpu{};
  REQUIRE(pthread_getcpuclockid(other.native_handle(), &cpu) == 0);
  Burn(300 * kMs);
  const std::uint64_t work = its_clock.load()->SinceSoFar(begin);
  timespec ran{};
  clock_gettime(cpu, &ran);
  ends = true;
  other.join();
  CHECK(work <= static_cast<std::uint64_t>(ran.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(ran.tv_nsec));
}

TEST(TheWorkOfAnotherThreadIsKnown) {
  std::atomic<kvm::WorkClock*> its_clock{nullptr};
  std::atomic<bool> ends{false};
  kvm::WorkTime begin;
  std::thread other = Clocked([&](kvm::WorkClock& clock) {
    begin = clock.Begin();
    its_clock = &clock;
    while (!ends) SleepMs(1);
  });
  while (its_clock == nullptr) std::this_thread::yield();
  std::uint64_t work = 0;
  while (work == 0) work = its_clock.load()->SinceSoFar(begin);
  CHECK(work <= WallNs() - begin.wall_ns);
  ends = true;
  other.join();
}

TEST(TheWaitForALockIsNoWork) {
  std::mutex lock;
  std::atomic<kvm::WorkClock*> its_clock{nullptr};
  std::atomic<bool> has_looked{false};
  std::uint64_t work = 0;
  std::uint64_t wall = 0;
  kvm::WorkTime begin;
  lock.lock();
  std::thread other = Clocked([&](kvm::WorkClock& clock) {
    begin = clock.Begin();
    its_clock = &clock;
    const kvm::WorkLock held(lock);
    work = clock.Since(begin);
    wall = WallNs() - begin.wall_ns;
    while (!has_looked) std::this_thread::yield();
  });
  while (its_clock == nullptr) std::this_thread::yield();
  SleepMs(20);
  const std::uint64_t so_far = its_clock.load()->SinceSoFar(begin);
  SleepMs(300);
  // The clock of a thread that waits stands.
  CHECK(its_clock.load()->SinceSoFar(begin) <= so_far + 20 * kMs);
  lock.unlock();
  has_looked = true;
  other.join();
  CHECK(wall - work >= 250 * kMs);
}

TEST(WhatIsNotAtWorkIsNotCharged) {
  Clocked([](kvm::WorkClock& clock) {
    const kvm::WorkTime begin = clock.Begin();
    for (int i = 0; i < 2; i++) {
      SleepMs(10);
      const kvm::NotAtWork rest;
      SleepMs(50);
    }
    const std::uint64_t work = clock.Since(begin);
    CHECK(work >= 19 * kMs);
    CHECK(WallNs() - begin.wall_ns - work >= 99 * kMs);
  }).join();
  // Threads without a clock may take such locks too.
  const kvm::NotAtWork rest;
}

TEST(WithoutSchedstatWorkIsWallTimeThatWasNotSetAside) {
  WithoutCalls({SYS_openat, SYS_open}, ENOENT, [] {
    kvm::WorkClock clock;
    const kvm::WorkTime begin = clock.Begin();
    SleepMs(5);
    {
      const kvm::NotAtWork rest;
      SleepMs(50);
    }
    const std::uint64_t work = clock.Since(begin);
    const std::uint64_t wall = WallNs() - begin.wall_ns;
    CHECK_EQ(begin.queued_ns, 0u);
    CHECK(work >= 5 * kMs);
    CHECK(wall - work >= 50 * kMs);
  });
}

// Its threads wait for a processor most of the time, and each for others that hold a lock and wait for one.
TEST(AWalkBesideABusyProgramIsChargedWhatItRan) {
#ifdef __SANITIZE_THREAD__
  // Its own locks are slept on as well.
  return;
#endif
  SKIP_UNLESS(KernelCountsTheQueue(), "needs schedstat");
  const TempDir root;
  SKIP_UNLESS(FilesystemOf(root.path) == kTmpfs, "needs a tmpfs, which no walk waits for");
  for (int d = 0; d < 60; d++) {
    MakeDir(root / std::to_string(d));
    for (int f = 0; f < 50; f++) MakeFile(root / (std::to_string(d) + "/" + std::to_string(f)));
  }
  const OneProcessor one;
  const pid_t busy = fork();
  REQUIRE(busy >= 0);
  for (const pid_t parent = getppid(); busy == 0 && getppid() == parent;) {
  }
  if (busy == 0) _exit(0);
  const auto crew = std::make_shared<kvm::WalkCrew>(std::chrono::milliseconds(10));
  kvm::WalkOptions options;
  options.path = root.path;
  options.threads = 4;
  options.crew = crew;
  timespec ran{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ran);
  const auto ran_ms = [](const timespec& time) { return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6; };
  const double before = ran_ms(ran);
  const kvm::WalkResult result = WalkRun(options).Wait();
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ran);
  kill(busy, SIGKILL);
  waitpid(busy, nullptr, 0);
  CHECK_EQ(result.inodes, 3061u);
  CHECK(static_cast<double>(result.work_ns) / 1e6 <= 2 * (ran_ms(ran) - before) + 5);
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
