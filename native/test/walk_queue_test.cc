#include "../walk_queue.h"

#include <cerrno>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include "../walk_crew.h"
#include "check.h"
#include "intercept.h"

using kvm::Answer;
using kvm::CallPool;
using kvm::WalkOptions;
using kvm::WalkQueue;
using kvm::WalkResult;

namespace {

// Large enough that a walk of it is still under way when the test acts.
const std::string& Tree() {
  static const std::string* const tree = [] {
    char name[] = "/tmp/kvm-walk-queue-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    for (int d = 0; d < 100; d++) {
      const std::string folder = std::string(name) + "/" + std::to_string(d);
      std::filesystem::create_directory(folder);
      for (int f = 0; f < 50; f++) std::ofstream(folder + "/" + std::to_string(f)) << f;
    }
    return new std::string(name);
  }();
  return *tree;
}
constexpr std::uint64_t kInodes = 1 + 100 + 100 * 50;

// Results in the order they came.
class Inbox {
 public:
  kvm::Walk::Done For(int name) {
    return [this, name](const WalkResult& result) {
      std::lock_guard<std::mutex> lock(lock_);
      results_.push_back({name, result});
      changed_.notify_all();
    };
  }
  bool WaitFor(std::size_t count) {
    std::unique_lock<std::mutex> lock(lock_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return results_.size() >= count; });
  }
  std::vector<std::pair<int, WalkResult>> Results() {
    std::lock_guard<std::mutex> lock(lock_);
    return results_;
  }

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  std::vector<std::pair<int, WalkResult>> results_;
};

// Everything outlives the test, because a walk that was cancelled may still call; kept reachable, so that it
// is no leak.
struct Setup {
  CallPool calls;
  WalkQueue queue;
  Inbox inbox;
  Setup(unsigned at_once, CallPool::Limits limits) : calls(kvm::AskKernel, limits), queue(calls, at_once) {}
  static Setup& New(unsigned at_once, CallPool::Limits limits = {}) {
    static auto* const setups = new std::vector<Setup*>;
    setups->push_back(new Setup(at_once, limits));
    return *setups->back();
  }
  std::uint64_t Start(int name, const std::string& path = Tree()) {
    WalkOptions options;
    options.path = path;
    // Threads of its own: some tests decide over the system calls of one walk.
    options.crew = std::make_shared<kvm::WalkCrew>(std::chrono::milliseconds(0));
    return queue.Start(options, inbox.For(name));
  }
  bool IsStuck(const std::string& path = Tree()) {
    Answer refusal;
    return calls.Refuses(path, &refusal);
  }
};

}  // namespace

TEST(walks_wait_in_the_order_they_came) {
  Setup& s = Setup::New(1);
  for (int i = 0; i < 20; i++) s.Start(i);
  REQUIRE(s.inbox.WaitFor(20));
  int expected = 0;
  for (const auto& [name, result] : s.inbox.Results()) {
    CHECK_EQ(name, expected++);
    CHECK_EQ(result.error, 0);
    CHECK_EQ(result.inodes, kInodes);
  }
}

TEST(walks_that_fail_at_once_hold_no_place) {
  Setup& s = Setup::New(1);
  for (int i = 0; i < 500; i++) s.Start(i, "/missing");
  s.Start(500);
  REQUIRE(s.inbox.WaitFor(501));
  for (const auto& [name, result] : s.inbox.Results()) CHECK_EQ(result.error, name == 500 ? 0 : ENOENT);
}

TEST(a_walk_that_waits_is_cancelled_at_once) {
  Setup& s = Setup::New(1);
  s.Start(1);
  const auto waits = s.Start(2);
  s.Start(3);
  CHECK(!s.queue.Progress(waits));
  s.queue.Cancel(waits);
  REQUIRE(s.inbox.WaitFor(3));
  bool found = false;
  for (const auto& [name, result] : s.inbox.Results()) {
    if (name == 2) found = true;
    CHECK_EQ(result.error, name == 2 ? ECANCELED : 0);
  }
  CHECK(found);
  s.queue.Cancel(waits);
  s.queue.Cancel(99);
}

TEST(a_walk_that_runs_is_cancelled_and_the_next_one_runs) {
  Setup& s = Setup::New(1);
  const auto runs = s.Start(1);
  s.Start(2);
  s.queue.Cancel(runs);
  REQUIRE(s.inbox.WaitFor(2));
  const auto results = s.inbox.Results();
  CHECK_EQ(results[0].first, 1);
  CHECK_EQ(results[0].second.error, ECANCELED);
  CHECK_EQ(results[1].second.error, 0);
  CHECK(!s.IsStuck());
}

// Its thread is in the kernel: the next walk runs all the same, and the path is stuck only from when that
// takes too long.
TEST(a_walk_that_is_cancelled_in_the_kernel_gives_its_place_back_at_once) {
  CallPool::Limits limits;
  limits.stuck_after = std::chrono::milliseconds(100);
  Setup& s = Setup::New(1, limits);
  std::uint64_t held = 0;
  Interception interception({SYS_getdents64}, [](const PendingCall&) { return kHold; }, [&] { held = s.Start(1); });
  interception.Join();
  interception.WaitHeld(1);
  s.Start(2, "/proc/self/fdinfo");
  CHECK(s.inbox.Results().empty());
  s.queue.Cancel(held);
  s.queue.Cancel(held);
  CHECK(!s.queue.GiveUp(held, 1));
  REQUIRE(s.inbox.WaitFor(2));
  const auto results = s.inbox.Results();
  CHECK_EQ(results[0].first, 1);
  CHECK_EQ(results[0].second.error, ECANCELED);
  CHECK_EQ(results[1].second.error, 0);
  for (int i = 0; i < 4000 && !s.IsStuck(); i++) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(s.IsStuck());
  s.Start(3);
  REQUIRE(s.inbox.WaitFor(3));
  CHECK_EQ(s.inbox.Results()[2].second.error, ETIMEDOUT);
  CHECK(s.inbox.Results()[2].second.stuck_since_ms > 0);
  interception.Release();
  for (int i = 0; i < 4000 && s.IsStuck(); i++) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  s.Start(4);
  REQUIRE(s.inbox.WaitFor(4));
  CHECK_EQ(s.inbox.Results()[3].second.inodes, kInodes);
}

TEST(a_walk_does_not_begin_beside_too_many_that_are_leaving) {
  CallPool::Limits limits;
  limits.most_stuck = 2;
  Setup& s = Setup::New(1, limits);
  std::uint64_t held = 0;
  Interception interception({SYS_getdents64}, [](const PendingCall&) { return kHold; }, [&] { held = s.Start(1); });
  interception.Join();
  interception.WaitHeld(1);
  s.Start(2);
  const std::uint64_t other = s.calls.Leaves("/elsewhere");
  s.queue.Cancel(held);
  REQUIRE(s.inbox.WaitFor(2));
  CHECK_EQ(s.inbox.Results()[1].second.error, EAGAIN);
  CHECK_EQ(s.inbox.Results()[1].second.path, Tree());
  s.calls.Unstick("/elsewhere", other);
  s.Start(3);
  REQUIRE(s.inbox.WaitFor(3));
  CHECK_EQ(s.inbox.Results()[2].second.error, 0);
}

TEST(a_walk_that_is_given_up_gives_its_place_back_and_its_path_is_stuck_until_its_threads_are_gone) {
  Setup& s = Setup::New(1);
  // A busy machine may let a walk end before it can be given up: then with the next one.
  std::size_t given_up = 0;
  while (!s.queue.GiveUp(s.Start(static_cast<int>(given_up)), 1234)) {
    REQUIRE(given_up < 100);
    REQUIRE(s.inbox.WaitFor(++given_up));
  }
  const auto results = s.inbox.Results();
  REQUIRE(results.size() == given_up + 1);
  CHECK_EQ(results[given_up].second.error, ETIMEDOUT);
  s.Start(-1, "/proc/self/fdinfo");
  REQUIRE(s.inbox.WaitFor(given_up + 2));
  bool gone = false;
  for (int i = 0; i < 4000 && !gone; i++) {
    gone = !s.IsStuck();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  CHECK(gone);
  s.Start(-2);
  REQUIRE(s.inbox.WaitFor(given_up + 3));
  CHECK_EQ(s.inbox.Results()[given_up + 2].second.error, 0);
}

TEST(a_walk_that_waits_does_not_begin_on_a_path_that_is_stuck_by_then) {
  Setup& s = Setup::New(1);
  s.Start(1, "/proc/self/fdinfo");
  const std::uint64_t stuck = s.calls.Stick(Tree(), 1234);
  s.Start(2);
  s.Start(3);
  s.Start(4, "/proc/self/fdinfo");
  REQUIRE(s.inbox.WaitFor(4));
  for (const auto& [name, result] : s.inbox.Results()) {
    const bool is_stuck = name == 2 || name == 3;
    CHECK_EQ(result.error, is_stuck ? ETIMEDOUT : 0);
    CHECK_EQ(result.stuck_since_ms, is_stuck ? 1234 : 0);
    CHECK_EQ(result.inodes > 0, !is_stuck);
  }
  s.calls.Unstick(Tree(), stuck);
  s.Start(5);
  REQUIRE(s.inbox.WaitFor(5));
  CHECK_EQ(s.inbox.Results()[4].second.inodes, kInodes);
}

// The walk's thread is being created meanwhile, and then hangs: the place comes back all the same.
TEST(a_walk_that_is_cancelled_while_it_starts_gives_its_place_back) {
  Setup& s = Setup::New(1);
  constexpr std::uint64_t kFirst = 1;
  const auto drops = [&s](const PendingCall& call) {
    if (call.Opens()) return kHold;
    s.queue.Cancel(kFirst);
    return kPass;
  };
  Interception interception({SYS_clone, SYS_clone3, SYS_openat}, drops, [&] { CHECK_EQ(s.Start(1), kFirst); });
  interception.Join();
  CHECK(s.inbox.WaitFor(1));
  interception.Release();
  s.Start(2);
  REQUIRE(s.inbox.WaitFor(2));
  const auto results = s.inbox.Results();
  CHECK_EQ(results[0].second.error, ECANCELED);
  CHECK_EQ(results[1].second.error, 0);
}

TEST(many_walks_started_and_ended_from_many_threads_each_end_once) {
  Setup& s = Setup::New(2);
  std::vector<std::thread> callers;
  for (int t = 0; t < 6; t++) {
    callers.emplace_back([&s, t] {
      for (int i = 0; i < 25; i++) {
        const auto number = s.Start(t * 25 + i);
        if (i % 5 == 1) s.queue.Cancel(number);
        if (i % 5 == 2) s.queue.Cancel(number);
        if (i % 5 == 3) s.queue.GiveUp(number, 1);
        s.queue.Progress(number);
      }
    });
  }
  for (auto& caller : callers) caller.join();
  REQUIRE(s.inbox.WaitFor(150));
  std::vector<int> seen(150, 0);
  for (const auto& [name, result] : s.inbox.Results()) {
    seen[static_cast<std::size_t>(name)]++;
    if (result.error == 0) CHECK_EQ(result.inodes, kInodes);
  }
  for (const int times : seen) CHECK_EQ(times, 1);
}

TEST(the_tree_is_removed) { std::filesystem::remove_all(Tree()); }
