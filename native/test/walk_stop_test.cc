// How a walk ends before its time: cancelled, given up while the kernel holds a thread, or without threads.
#include <atomic>
#include <random>

#include "intercept.h"
#include "walk_trees.h"

namespace {

void MakeWideTree(const std::string& root, int dirs = 60, int files = 40) {
  for (int i = 0; i < dirs; i++) {
    const std::string dir = MakeDir(root + "/" + std::to_string(i));
    for (int j = 0; j < files; j++) MakeFile(dir + "/" + std::to_string(j));
  }
}

// The lease of a walk, and whether the walk's last thread has let go of it.
struct Lease {
  std::shared_ptr<int> token = std::make_shared<int>();
  std::weak_ptr<int> watch = token;

  void WaitUntilReturned() const {
    while (!watch.expired()) std::this_thread::yield();
  }
};

kvm::WalkOptions Leased(const std::string& path, unsigned threads, Lease* lease) {
  kvm::WalkOptions options;
  options.path = path;
  options.threads = threads;
  options.lease = std::move(lease->token);
  return options;
}

}  // namespace

TEST(CancelsAtAnyMoment) {
  const TempDir root;
  MakeWideTree(root.path);
  const Usage all = Model::Of(root.path);
  std::mt19937 random(1);
  int cancelled = 0;
  for (int i = 0; i < 150; i++) {
    Lease lease;
    WalkRun run(Leased(root.path, 1 + i % 8, &lease));
    const std::uint64_t calls = random() % 3000;
    while (run.walk.Progress().calls < calls && !run.Ended()) std::this_thread::yield();
    run.walk.Cancel();
    const kvm::WalkResult result = run.Wait();
    if (result.error == 0) {
      CHECK_EQ((Usage{result.used, result.inodes}), all);
    } else {
      CHECK_EQ(result.error, ECANCELED);
      CHECK_EQ(result.path, root.path);
      CHECK(result.inodes <= all.inodes);
      cancelled++;
    }
    CHECK_EQ(DescriptorsBelow(root.path), 0);
    run.walk.Cancel();
    lease.WaitUntilReturned();
  }
  CHECK(cancelled > 0);
}

// The second thread is in the kernel, the first has nothing left to do: Cancel ends it at once, and the walk
// with the call.
TEST(CancelEndsIdleThreads) {
  const TempDir root;
  MakeWideTree(root.path);
  std::atomic<int> first{0};
  const auto holds_the_second = [&first](const PendingCall& call) {
    if (first == 0) first = call.thread;
    return call.thread == first ? kPass : kHold;
  };
  std::unique_ptr<WalkRun> run;
  Interception interception({SYS_statx}, holds_the_second, [&] { run = std::make_unique<WalkRun>(root.path, 2); });
  interception.Join();
  interception.WaitHeld(1);
  // Very likely the first is idle when it makes no more calls.
  for (std::uint64_t calls = 0; run->walk.Progress().calls != calls;) {
    calls = run->walk.Progress().calls;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  run->walk.Cancel();
  while (access(("/proc/self/task/" + std::to_string(first)).c_str(), F_OK) == 0) std::this_thread::yield();
  CHECK(!run->Ended());
  interception.Release();
  CHECK_EQ(run->Wait().error, ECANCELED);
}

TEST(AbandonsThreadsThatAreStuck) {
  const TempDir root;
  MakeWideTree(root.path, 20);
  MakeFile(root / "held");
  Lease lease;
  std::unique_ptr<WalkRun> run;
  Interception interception({SYS_statx}, [](const PendingCall& call) { return call.Name() == "held" ? kHold : kPass; },
                            [&] { run = std::make_unique<WalkRun>(Leased(root.path, 3, &lease)); });
  interception.Join();
  interception.WaitHeld(1);
  CHECK(!run->Ended());
  run->walk.Abandon(ETIMEDOUT);
  CHECK(run->Ended());
  CHECK_EQ(run->Wait().error, ETIMEDOUT);
  CHECK_EQ(run->Wait().path, root.path);
  run->walk.Cancel();
  run->walk.Abandon(EIO);
  CHECK(!lease.watch.expired());
  CHECK(DescriptorsBelow(root.path) > 0);
  interception.Release();
  lease.WaitUntilReturned();
  CHECK_EQ(DescriptorsBelow(root.path), 0);
}

// The root itself may be what does not answer.
TEST(AbandonsAWalkThatNeverBegan) {
  const TempDir root;
  Lease lease;
  std::unique_ptr<WalkRun> run;
  Interception interception({SYS_openat}, [](const PendingCall&) { return kHold; },
                            [&] { run = std::make_unique<WalkRun>(Leased(root.path, 2, &lease)); });
  interception.Join();
  interception.WaitHeld(1);
  CHECK_EQ(run->walk.Progress().inodes, 0u);
  run->walk.Abandon(ETIMEDOUT);
  CHECK(run->Ended());
  CHECK_EQ(run->Wait().error, ETIMEDOUT);
  run.reset();
  CHECK(!lease.watch.expired());
  interception.Release();
  lease.WaitUntilReturned();
}

TEST(AbandonAfterTheEndChangesNothing) {
  const TempDir root;
  WalkRun run(root.path);
  CHECK_EQ(run.Wait().error, 0);
  run.walk.Abandon(ETIMEDOUT);
  run.walk.Cancel();
  CHECK_EQ(run.Wait().error, 0);
}

TEST(SaysThatThereIsNoThread) {
  const TempDir root;
  Lease lease;
  const auto none = [](const PendingCall&) { return EAGAIN; };
  Interception interception({SYS_clone, SYS_clone3}, none, [&] {
    WalkRun run(Leased(root.path, 2, &lease));
    CHECK(run.Ended());
    CHECK_EQ(run.Wait().error, EAGAIN);
    CHECK_EQ(run.Wait().path, root.path);
  });
  interception.Join();
  CHECK(lease.watch.expired());
}

TEST(GoesOnWithFewerThreads) {
  const TempDir root;
  MakeWideTree(root.path, 200, 10);
  for (int most : {1, 2, 5}) {
    int refused = 0;
    {
      Interception interception({SYS_clone, SYS_clone3},
                                [&refused, most, started = 0](const PendingCall&) mutable {
                                  if (started++ < most) return kPass;
                                  refused++;
                                  return EAGAIN;
                                },
                                [&] { CHECK_EQ(UsageOf(root.path, 16), Model::Of(root.path)); });
    }
    CHECK(refused > 0);
  }
}

TEST(EndsManyWalksAtOnce) {
  const TempDir root;
  MakeWideTree(root.path, 30, 20);
  const Usage all = Model::Of(root.path);
  std::vector<std::unique_ptr<WalkRun>> runs;
  for (int i = 0; i < 40; i++) runs.push_back(std::make_unique<WalkRun>(root.path, 4));
  for (int i = 0; i < 40; i += 4) runs[i]->walk.Abandon(ETIMEDOUT);
  for (int i = 0; i < 40; i++) {
    const kvm::WalkResult result = runs[i]->Wait();
    if (i % 4 != 0 || result.error == 0) {
      CHECK_EQ(result.error, 0);
      CHECK_EQ((Usage{result.used, result.inodes}), all);
    } else {
      CHECK_EQ(result.error, ETIMEDOUT);
    }
  }
}

// Nothing waits for the threads of a walk at the end of the process.
TEST(LetsTheProcessEnd) {
  const TempDir root;
  MakeWideTree(root.path, 20);
  check::InChild([&] {
    static WalkRun* run;
    static Interception* interception;
    interception = new Interception({SYS_statx}, [](const PendingCall& call) { return call.Name() == "7" ? kHold : kPass; },
                                    [&] { run = new WalkRun(root.path, 2); });
    interception->Join();
    interception->WaitHeld(1);
    CHECK(!run->Ended());
    std::exit(check::ExitCode());
  });
}
