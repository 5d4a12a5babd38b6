// The threads that walk and wait for the next walk.
#include "../walk_crew.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include <set>
#include <thread>
#include <vector>

#include "intercept.h"
#include "walk_trees.h"

namespace {

constexpr std::chrono::milliseconds kForever{std::chrono::hours(1)};

int ThreadId() { return static_cast<int>(syscall(SYS_gettid)); }

// What a job does; kept until it has been done.
struct Script {
  std::function<void()> work;
  std::function<void()> end;
};

class ScriptedJob final : public kvm::WalkCrew::Job {
 public:
  explicit ScriptedJob(Script script) : script_(std::move(script)) {}
  void Work(const kvm::WorkClock&) override {
    if (script_.work) script_.work();
  }
  void End() override {
    if (script_.end) script_.end();
  }

 private:
  const Script script_;
};

void Start(kvm::WalkCrew& crew, Script script) {
  std::unique_ptr<kvm::WalkCrew::Job> job = std::make_unique<ScriptedJob>(std::move(script));
  REQUIRE(crew.Start(&job) == 0);
}

// Waits until all threads of the crew that are alive wait, and there are so many.
void WaitUntilWaiting(kvm::WalkCrew& crew, unsigned count) {
  for (;;) {
    const auto counts = crew.Count();
    if (counts.waiting == count && counts.alive == count) return;
    std::this_thread::yield();
  }
}

// A gate that threads stand at.
class Gate {
 public:
  void Pass() {
    std::unique_lock<std::mutex> lock(lock_);
    standing_++;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void WaitFor(int standing) {
    std::unique_lock<std::mutex> lock(lock_);
    changed_.wait(lock, [this, standing] { return standing_ >= standing; });
  }
  void Open() {
    const std::lock_guard<std::mutex> lock(lock_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  int standing_ = 0;
  bool open_ = false;
};

// Walks as a crew of this process, one after the other.
kvm::WalkResult MeasureBy(const std::shared_ptr<kvm::WalkCrew>& crew, const std::string& path, unsigned threads = 4) {
  kvm::WalkOptions options;
  options.path = path;
  options.threads = threads;
  options.crew = crew;
  return WalkRun(options).Wait();
}

}  // namespace

// First, while this process has no threads: in a child that ends, the leak sanitizer would look for them.
TEST(ThreadsThatWaitLetTheProcessEnd) {
  check::InChild([] {
    static std::shared_ptr<kvm::WalkCrew>* crew;
    crew = new std::shared_ptr<kvm::WalkCrew>(std::make_shared<kvm::WalkCrew>(kForever));
    Gate gate;
    for (int i = 0; i < 3; i++) Start(**crew, {[&] { gate.Pass(); }, nullptr});
    gate.WaitFor(3);
    gate.Open();
    WaitUntilWaiting(**crew, 3);
    std::exit(check::ExitCode());
  });
}

TEST(AThreadThatWaitsDoesTheNextJob) {
  const auto crew = std::make_shared<kvm::WalkCrew>(kForever);
  std::set<int> threads;
  for (int i = 0; i < 50; i++) {
    Start(*crew, {[&] { threads.insert(ThreadId()); }, nullptr});
    WaitUntilWaiting(*crew, 1);
  }
  CHECK_EQ(threads.size(), 1u);
}

TEST(ItsPriorityIsLoweredOnce) {
  const auto crew = std::make_shared<kvm::WalkCrew>(kForever);
  Start(*crew, {[] { CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19); }, nullptr});
  WaitUntilWaiting(*crew, 1);
  std::atomic<int> calls{0};
  const auto counts = [&calls](const PendingCall&) {
    calls++;
    return kPass;
  };
  // Of threads that are born in here.
  Interception interception({SYS_setpriority, SYS_ioprio_set}, counts, [&] {
    const auto other = std::make_shared<kvm::WalkCrew>(kForever);
    for (int i = 0; i < 20; i++) {
      Start(*other, {[] { CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19); }, nullptr});
      WaitUntilWaiting(*other, 1);
    }
  });
  // The thread that starts the jobs keeps its own.
  CHECK(getpriority(PRIO_PROCESS, 0) < 19);
  interception.Join();
  CHECK_EQ(calls.load(), 2);
}

TEST(ThreadsEndWhenNothingComes) {
  const auto crew = std::make_shared<kvm::WalkCrew>(std::chrono::milliseconds(20));
  Gate gate;
  for (int i = 0; i < 5; i++) Start(*crew, {[&] { gate.Pass(); }, nullptr});
  gate.WaitFor(5);
  CHECK_EQ(crew->Count().alive, 5u);
  gate.Open();
  WaitUntilWaiting(*crew, 0);
  // And a new one is created then.
  bool done = false;
  Start(*crew, {[&] { done = true; }, nullptr});
  WaitUntilWaiting(*crew, 0);
  CHECK(done);
}

// The crew goes with its last thread.
TEST(TheCrewLivesAsLongAsItsThreads) {
  auto crew = std::make_shared<kvm::WalkCrew>(std::chrono::milliseconds(1));
  const std::weak_ptr<kvm::WalkCrew> watch = crew;
  // Shared, because nothing here comes after what the thread does with it.
  const auto gate = std::make_shared<Gate>();
  Start(*crew, {[gate] { gate->Pass(); }, nullptr});
  gate->WaitFor(1);
  crew = nullptr;
  CHECK(!watch.expired());
  gate->Open();
  while (!watch.expired()) std::this_thread::yield();
}

TEST(OneThatIsBusyIsNotWaitedFor) {
  const auto crew = std::make_shared<kvm::WalkCrew>(kForever);
  Gate gate;
  int stuck = 0;
  Start(*crew, {[&] {
                  stuck = ThreadId();
                  gate.Pass();
                },
                nullptr});
  gate.WaitFor(1);
  std::set<int> others;
  for (int i = 0; i < 20; i++) {
    Start(*crew, {[&] { others.insert(ThreadId()); }, nullptr});
    while (crew->Count().waiting != 1) std::this_thread::yield();
  }
  CHECK_EQ(others.size(), 1u);
  CHECK_EQ(others.count(stuck), 0u);
  gate.Open();
  WaitUntilWaiting(*crew, 2);
}

TEST(AThreadTakesOneJobThatItStartsAtItsEnd) {
  const auto crew = std::make_shared<kvm::WalkCrew>(kForever);
  std::mutex lock;
  std::vector<int> threads;
  const auto note = [&] {
    const std::lock_guard<std::mutex> guard(lock);
    threads.push_back(ThreadId());
  };
  Start(*crew, {note, [&] {
                  for (int i = 0; i < 2; i++) Start(*crew, {note, nullptr});
                }});
  WaitUntilWaiting(*crew, 2);
  REQUIRE(threads.size() == 3);
  const auto first = threads[0];
  CHECK_EQ(std::count(threads.begin(), threads.end(), first), 2);
  // In the midst of a job it takes none: it may be long.
  Start(*crew, {[&] {
                  Gate other;
                  Start(*crew, {[&] { other.Open(); }, nullptr});
                  other.Pass();
                },
                nullptr});
  WaitUntilWaiting(*crew, 2);
}

TEST(JobsOfManyThreadsAreEachDoneOnce) {
  const auto crew = std::make_shared<kvm::WalkCrew>(std::chrono::milliseconds(1));
  std::vector<std::atomic<int>> done(2000);
  std::vector<std::thread> starters;
  for (int t = 0; t < 4; t++) {
    starters.emplace_back([&, t] {
      for (int i = 0; i < 250; i++) {
        const int job = t * 500 + 2 * i;
        // Every second one is started by another's end.
        Start(*crew, {[&done, job] { done[job]++; },
                      [&, job] { Start(*crew, {[&done, job] { done[job + 1]++; }, nullptr}); }});
        if (i % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    });
  }
  for (auto& starter : starters) starter.join();
  WaitUntilWaiting(*crew, 0);
  for (const auto& times : done) CHECK_EQ(times.load(), 1);
}

TEST(SaysWhyNoThreadCouldBeCreated) {
  const auto crew = std::make_shared<kvm::WalkCrew>(kForever);
  WithoutCalls({SYS_clone, SYS_clone3}, EAGAIN, [&] {
    std::unique_ptr<kvm::WalkCrew::Job> job = std::make_unique<ScriptedJob>(Script{});
    CHECK_EQ(crew->Start(&job), EAGAIN);
    CHECK(job != nullptr);
  });
  CHECK_EQ(crew->Count().alive, 0u);
  // One that waits needs none.
  Start(*crew, {});
  WaitUntilWaiting(*crew, 1);
  WithoutCalls({SYS_clone, SYS_clone3}, EAGAIN, [&] { Start(*crew, {}); });
  WaitUntilWaiting(*crew, 1);
}

TEST(ATinyTreeIsWalkedByOneThread) {
  const TempDir root;
  for (int d = 0; d < 3; d++) {
    MakeDir(root / std::to_string(d));
    for (int f = 0; f < 10; f++) MakeFile(root / (std::to_string(d) + "/" + std::to_string(f)));
  }
  const auto crew = std::make_shared<kvm::WalkCrew>(kForever);
  for (int i = 0; i < 20; i++) {
    CHECK_EQ(MeasureBy(crew, root.path).inodes, 34u);
    WaitUntilWaiting(*crew, 1);
  }
}

TEST(WalksShareTheThreadsThatWait) {
  const TempDir root;
  for (int d = 0; d < 40; d++) {
    MakeDir(root / std::to_string(d));
    for (int f = 0; f < 40; f++) MakeFile(root / (std::to_string(d) + "/" + std::to_string(f)));
  }
  const auto crew = std::make_shared<kvm::WalkCrew>(kForever);
  for (int i = 0; i < 30; i++) {
    CHECK_EQ(MeasureBy(crew, root.path).inodes, 1641u);
    // `done` is called while its thread, or others, are on their way back.
    for (auto counts = crew->Count(); counts.waiting != counts.alive; counts = crew->Count()) std::this_thread::yield();
  }
  CHECK(crew->Count().alive <= 4);
}

TEST(ThreadsThatWaitHoldNothingOfATree) {
  const TempDir root;
  for (int d = 0; d < 200; d++) MakeFile(MakeDir(root / std::to_string(d)) + "/file");
  const auto crew = std::make_shared<kvm::WalkCrew>(kForever);
  for (const bool cancels : {false, true}) {
    const auto lease = std::make_shared<int>();
    const std::weak_ptr<int> watch = lease;
    {
      kvm::WalkOptions options;
      options.path = root.path;
      options.threads = 4;
      options.crew = crew;
      options.lease = lease;
      WalkRun run(options);
      if (cancels) run.walk.Cancel();
      run.Wait();
    }
    for (auto counts = crew->Count(); counts.waiting != counts.alive; counts = crew->Count()) std::this_thread::yield();
    CHECK_EQ(DescriptorsBelow(root.path), 0);
    CHECK_EQ(lease.use_count(), 1);
  }
}

// A thread that the kernel holds is left to it, and the next walk has others.
TEST(AWalkThatIsGivenUpKeepsItsThreadToItself) {
  const TempDir root;
  MakeFile(root / "stuck");
  const TempDir healthy;
  MakeFile(healthy / "file");
  std::shared_ptr<kvm::WalkCrew> crew;
  std::unique_ptr<WalkRun> run;
  Interception interception(
      {SYS_statx}, [](const PendingCall& call) { return call.Name() == "stuck" ? kHold : kPass; },
      [&] {
        crew = std::make_shared<kvm::WalkCrew>(kForever);
        kvm::WalkOptions options;
        options.path = root.path;
        options.crew = crew;
        run = std::make_unique<WalkRun>(options);
      });
  interception.Join();
  interception.WaitHeld(1);
  run->walk.Abandon(ETIMEDOUT);
  CHECK_EQ(run->Wait().error, ETIMEDOUT);
  CHECK_EQ(crew->Count().waiting, 0u);
  for (int i = 0; i < 5; i++) {
    CHECK_EQ(MeasureBy(crew, healthy.path).inodes, 2u);
    while (crew->Count().waiting < 1) std::this_thread::yield();
  }
  CHECK_EQ(crew->Count().alive, 2u);
  interception.Release();
  // The kernel has let it go: it serves like the others.
  WaitUntilWaiting(*crew, 2);
}
