#include "../call_pool.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "check.h"

using kvm::Answer;
using kvm::CallKind;
using kvm::CallPool;
using kvm::CallResult;
using std::chrono::milliseconds;
using Status = kvm::Answer::Status;

namespace {

// A volume is a path: "/stuck..." does not answer while the gate is shut, anything else answers at once.
class Gate {
 public:
  void Shut() {
    std::lock_guard<std::mutex> lock(lock_);
    open_ = false;
  }
  void Open() {
    std::lock_guard<std::mutex> lock(lock_);
    open_ = true;
    changed_.notify_all();
  }
  void Pass() {
    std::unique_lock<std::mutex> lock(lock_);
    while (!open_) changed_.wait(lock);
  }

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  bool open_ = true;
};

// Leaked, like the pools: their detached threads may still be on their way out when main returns.
Gate& TheGate() {
  static Gate* const gate = new Gate;
  return *gate;
}

CallResult FakeAsk(CallKind kind, const std::string& path) {
  if (path.rfind("/stuck", 0) == 0) TheGate().Pass();
  CallResult result;
  if (path == "/missing") result.error = ENOENT;
  result.values[0] = static_cast<std::uint64_t>(kind);
  result.values[1] = path.size();
  return result;
}

class Inbox final : public kvm::Receiver {
 public:
  void Deliver(std::uint64_t ticket, const Answer& answer) override {
    std::lock_guard<std::mutex> lock(lock_);
    answers_[ticket].push_back(answer);
    changed_.notify_all();
  }
  std::size_t Size() {
    std::lock_guard<std::mutex> lock(lock_);
    return answers_.size();
  }
  bool WaitFor(std::size_t count) {
    std::unique_lock<std::mutex> lock(lock_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return answers_.size() >= count; });
  }
  // The answer to a ticket, which must be the only one.
  Answer Only(std::uint64_t ticket) {
    std::lock_guard<std::mutex> lock(lock_);
    CHECK_EQ(answers_[ticket].size(), 1U);
    return answers_[ticket].empty() ? Answer{} : answers_[ticket].front();
  }
  std::size_t CountOf(Status status) {
    std::lock_guard<std::mutex> lock(lock_);
    std::size_t count = 0;
    for (auto& [ticket, answers] : answers_) {
      for (auto& answer : answers) count += answer.status == status ? 1 : 0;
    }
    return count;
  }

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  std::map<std::uint64_t, std::vector<Answer>> answers_;
};

bool Eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 4000; i++) {
    if (holds()) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

CallPool::Limits Quick(milliseconds stuck_after) {
  CallPool::Limits limits;
  limits.stuck_after = stuck_after;
  limits.idle = milliseconds(50);
  return limits;
}

constexpr milliseconds kNever{60000};

// Pools outlive their test, as their threads do; kept reachable, so that they are no leak.
CallPool& NewPool(CallPool::Limits limits) {
  static auto* const pools = new std::vector<CallPool*>;
  pools->push_back(new CallPool(FakeAsk, limits));
  return *pools->back();
}

struct Setup {
  CallPool& pool;
  std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>();
  std::uint64_t ticket = 0;
  explicit Setup(CallPool::Limits limits) : pool(NewPool(limits)) {}
  std::uint64_t Start(const std::string& path, CallKind kind = CallKind::kStatFs) {
    Answer refusal;
    REQUIRE(pool.Start(kind, path, ++ticket, inbox, &refusal));
    return ticket;
  }
  Answer Refusal(const std::string& path) {
    Answer refusal;
    CHECK(!pool.Start(CallKind::kStatFs, path, ++ticket, inbox, &refusal));
    return refusal;
  }
};

}  // namespace

TEST(answers_each_kind_and_errno) {
  Setup s(Quick(kNever));
  const auto a = s.Start("/a");
  const auto b = s.Start("/bb", CallKind::kStat);
  const auto c = s.Start("/missing");
  const auto d = s.Start("/bb", CallKind::kMountStatFs);
  const auto e = s.Start("/bb/", CallKind::kMountStatFs);
  REQUIRE(s.inbox->WaitFor(5));
  CHECK_EQ(s.inbox->Only(a).result.values[1], 2U);
  CHECK_EQ(s.inbox->Only(b).result.values[0], 1U);
  CHECK_EQ(s.inbox->Only(c).result.error, ENOENT);
  CHECK_EQ(s.inbox->Only(d).result.values[0], 2U);
  CHECK_EQ(s.inbox->Only(d).result.values[1], 3U);
  CHECK_EQ(s.inbox->Only(e).result.values[0], 2U);
  CHECK_EQ(s.inbox->Only(e).result.values[1], 4U);
}

TEST(callers_of_one_path_share_one_call) {
  TheGate().Shut();
  Setup s(Quick(kNever));
  for (int i = 0; i < 1000; i++) s.Start("/stuck");
  REQUIRE(Eventually([&] { return s.pool.Count().asked == 1; }));
  CHECK_EQ(s.inbox->Size(), 0U);
  TheGate().Open();
  REQUIRE(s.inbox->WaitFor(1000));
  CHECK_EQ(s.pool.Count().asked, 1U);
  s.Start("/stuck");
  REQUIRE(s.inbox->WaitFor(1001));
  CHECK_EQ(s.pool.Count().asked, 2U);
}

TEST(two_kinds_on_one_path_wait_for_each_other) {
  TheGate().Shut();
  Setup s(Quick(kNever));
  const auto a = s.Start("/stuck");
  REQUIRE(Eventually([&] { return s.pool.Count().asked == 1; }));
  const auto b = s.Start("/stuck", CallKind::kStat);
  const auto healthy = s.Start("/healthy");
  REQUIRE(s.inbox->WaitFor(1));
  CHECK_EQ(s.inbox->Only(healthy).result.values[1], 8U);
  CHECK_EQ(s.pool.Count().asked, 2U);
  TheGate().Open();
  REQUIRE(s.inbox->WaitFor(3));
  CHECK_EQ(s.inbox->Only(a).result.values[0], 0U);
  CHECK_EQ(s.inbox->Only(b).result.values[0], 1U);
}

TEST(a_call_that_is_out_too_long_makes_its_path_stuck_until_it_answers) {
  TheGate().Shut();
  Setup s(Quick(milliseconds(150)));
  const auto a = s.Start("/stuck");
  const auto b = s.Start("/stuck", CallKind::kStat);
  REQUIRE(s.inbox->WaitFor(2));
  const auto answer = s.inbox->Only(a);
  CHECK(answer.status == Status::kStuck);
  CHECK(answer.stuck_since_ms > 1600000000000);
  CHECK(s.inbox->Only(b).status == Status::kStuck);
  for (int i = 0; i < 1000; i++) {
    const auto refusal = s.Refusal("/stuck");
    CHECK(refusal.status == Status::kStuck);
    CHECK_EQ(refusal.stuck_since_ms, answer.stuck_since_ms);
  }
  CHECK_EQ(s.pool.Count().asked, 1U);
  CHECK_EQ(s.pool.Count().stuck, 1U);
  TheGate().Open();
  REQUIRE(Eventually([&] { return s.pool.Count().stuck == 0; }));
  const auto c = s.Start("/stuck");
  REQUIRE(s.inbox->WaitFor(3));
  CHECK(s.inbox->Only(c).status == Status::kDone);
}

TEST(a_caller_who_leaves_learns_that_the_path_is_stuck) {
  TheGate().Shut();
  Setup s(Quick(milliseconds(101)));  // 1 ms more than the slack: stuck as soon as somebody's own limit passes
  const auto a = s.Start("/stuck-a");
  REQUIRE(Eventually([&] { return s.pool.Count().asked == 1; }));
  REQUIRE(Eventually([&] { return s.pool.Leave(CallKind::kStatFs, "/stuck-a", a) != 0; }));
  CHECK(s.Refusal("/stuck-a").status == Status::kStuck);
  CHECK_EQ(s.inbox->Size(), 0U);
  CHECK_EQ(s.pool.Leave(CallKind::kStatFs, "/unknown", 99), 0);
  TheGate().Open();
}

TEST(a_queued_call_that_nobody_waits_for_is_dropped) {
  TheGate().Shut();
  auto limits = Quick(kNever);
  limits.workers = limits.eager = 1;
  limits.slow_after = kNever;
  Setup s(limits);
  s.Start("/stuck");
  REQUIRE(Eventually([&] { return s.pool.Count().asked == 1; }));
  const auto a = s.Start("/a");
  const auto b = s.Start("/a");
  CHECK_EQ(s.pool.Count().waiting, 1U);
  CHECK_EQ(s.pool.Leave(CallKind::kStatFs, "/a", a), 0);
  CHECK_EQ(s.pool.Count().waiting, 1U);
  CHECK_EQ(s.pool.Leave(CallKind::kStatFs, "/a", b), 0);
  CHECK_EQ(s.pool.Count().waiting, 0U);
  TheGate().Open();
  REQUIRE(s.inbox->WaitFor(1));
  CHECK_EQ(s.pool.Count().asked, 1U);
}

TEST(stuck_calls_do_not_starve_healthy_ones) {
  for (const int stuck : {8, 64, 300}) {
    TheGate().Shut();
    Setup s(Quick(kNever));
    std::set<std::uint64_t> healthy;
    // Both orders: behind all the stuck ones, and among them.
    for (int i = 0; i < stuck; i++) {
      s.Start("/stuck" + std::to_string(i));
      if (i % 3 == 0) healthy.insert(s.Start("/among" + std::to_string(i)));
    }
    for (int i = 0; i < 100; i++) healthy.insert(s.Start("/behind" + std::to_string(i)));
    CHECK(s.inbox->WaitFor(healthy.size()));
    CHECK_EQ(s.inbox->Size(), healthy.size());
    for (const auto ticket : healthy) CHECK(s.inbox->Only(ticket).status == Status::kDone);
    TheGate().Open();
    CHECK(s.inbox->WaitFor(healthy.size() + static_cast<std::size_t>(stuck)));
    CHECK(Eventually([&] { return s.pool.Count().threads <= 8; }));
  }
}

TEST(a_thousand_healthy_calls_need_at_most_eight_threads) {
  Setup s(Quick(kNever));
  unsigned most = 0;
  for (int i = 0; i < 1000; i++) {
    s.Start("/healthy" + std::to_string(i));
    most = std::max(most, s.pool.Count().threads);
  }
  REQUIRE(s.inbox->WaitFor(1000));
  most = std::max(most, s.pool.Count().threads);
  CHECK(most <= 8);
  CHECK(most >= 2);
}

TEST(threads_end_when_there_is_nothing_to_do) {
  Setup s(Quick(milliseconds(150)));
  s.Start("/a");
  REQUIRE(s.inbox->WaitFor(1));
  CHECK(Eventually([&] { return s.pool.Count().threads == 0; }));
  s.Start("/a");
  CHECK(s.inbox->WaitFor(2));
}

TEST(past_the_most_stuck_everything_else_is_refused) {
  TheGate().Shut();
  auto limits = Quick(milliseconds(300));
  limits.workers = 3;
  limits.most_stuck = 5;
  Setup s(limits);
  for (int i = 0; i < 20; i++) s.Start("/stuck" + std::to_string(i));
  REQUIRE(s.inbox->WaitFor(20));
  // 5 + 3 threads in the kernel, at least 5 of them stuck when the queue was refused.
  CHECK_EQ(s.inbox->CountOf(Status::kTooManyStuck), 12U);
  CHECK_EQ(s.inbox->CountOf(Status::kStuck), 8U);
  const auto refusal = s.Refusal("/healthy");
  CHECK(refusal.status == Status::kTooManyStuck);
  CHECK_EQ(refusal.result.error, EAGAIN);
  CHECK(s.Refusal("/stuck0").status == Status::kStuck);
  CHECK_EQ(s.pool.Count().asked, 8U);
  TheGate().Open();
  REQUIRE(Eventually([&] { return s.pool.Count().stuck == 0; }));
  s.Start("/healthy");
  CHECK(s.inbox->WaitFor(21));
}

TEST(a_path_that_a_walk_found_stuck_is_refused) {
  Setup s(Quick(kNever));
  const std::uint64_t first = s.pool.Stick("/a", 1234);
  CHECK_EQ(s.Refusal("/a").stuck_since_ms, 1234);
  CHECK_EQ(s.pool.Leave(CallKind::kStat, "/a", 7), 1234);
  Answer refusal;
  CHECK(s.pool.Refuses("/a", &refusal));
  CHECK(!s.pool.Refuses("/b", &refusal));
  // A second walk that is stuck there: both must be gone.
  const std::uint64_t second = s.pool.Stick("/a", 1234);
  s.pool.Unstick("/a", first);
  CHECK(s.pool.Refuses("/a", &refusal));
  s.pool.Unstick("/a", second);
  s.Start("/a");
  CHECK(s.inbox->WaitFor(1));
}

TEST(stuck_walks_count_among_the_most_stuck) {
  auto limits = Quick(kNever);
  limits.most_stuck = 3;
  Setup s(limits);
  std::uint64_t b = 0;
  for (const char* path : {"/a", "/b", "/c"}) {
    const std::uint64_t number = s.pool.Stick(path, 1);
    if (path[1] == 'b') b = number;
  }
  CHECK(s.Refusal("/d").status == Status::kTooManyStuck);
  Answer refusal;
  CHECK(s.pool.Refuses("/d", &refusal));
  CHECK(refusal.status == Status::kTooManyStuck);
  s.pool.Unstick("/b", b);
  s.Start("/d");
  CHECK(s.inbox->WaitFor(1));
}

TEST(a_walk_whose_threads_stay_in_the_kernel_makes_its_path_stuck_in_time) {
  Setup s(Quick(milliseconds(50)));
  const std::int64_t before = kvm::EpochMs();
  const std::uint64_t number = s.pool.Leaves("/a/");
  Answer refusal;
  REQUIRE(Eventually([&] { return s.pool.Refuses("/a", &refusal); }));
  CHECK(refusal.status == Status::kStuck);
  CHECK(refusal.stuck_since_ms >= before && refusal.stuck_since_ms <= kvm::EpochMs());
  CHECK_EQ(s.Refusal("/a").stuck_since_ms, refusal.stuck_since_ms);
  s.pool.Unstick("/a/", number);
  s.Start("/a");
  CHECK(s.inbox->WaitFor(1));
}

TEST(walks_that_are_leaving_hold_up_walks_only_when_there_are_too_many) {
  auto limits = Quick(kNever);
  limits.most_stuck = 3;
  Setup s(limits);
  Answer refusal;
  s.pool.Leaves("/a");
  const std::uint64_t second = s.pool.Leaves("/a");
  CHECK(!s.pool.Refuses("/a", &refusal));
  s.pool.Leaves("/b");
  CHECK(s.pool.Refuses("/c", &refusal));
  CHECK(refusal.status == Status::kTooManyStuck);
  s.Start("/a");
  s.Start("/c");
  CHECK(s.inbox->WaitFor(2));
  s.pool.Unstick("/a", second);
  CHECK(!s.pool.Refuses("/c", &refusal));
}

TEST(without_threads_calls_are_refused_at_once) {
  SKIP_UNLESS(::geteuid() == 0, "only root can become a user with no threads left");
  check::InChild([] {
    rlimit none{0, 0};
    REQUIRE(::setrlimit(RLIMIT_NPROC, &none) == 0);
    REQUIRE(::setuid(65534) == 0);
    Setup s(Quick(kNever));
    const auto refusal = s.Refusal("/a");
    CHECK(refusal.status == Status::kNoThread);
    CHECK_EQ(refusal.result.error, EAGAIN);
  });
}

TEST(many_threads_at_once_each_get_their_answers) {
  auto limits = Quick(milliseconds(30));
  limits.stuck_after = milliseconds(130);
  Setup s(limits);
  std::atomic<std::uint64_t> next{0};
  std::atomic<int> refused{0};
  std::atomic<int> left{0};
  std::vector<std::thread> callers;
  TheGate().Open();
  for (int t = 0; t < 8; t++) {
    callers.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < 1500; i++) {
        if (t == 0 && i % 100 == 0) TheGate().Shut();
        if (t == 0 && i % 100 == 50) TheGate().Open();
        const auto ticket = next.fetch_add(1) + 1;
        const auto kind = static_cast<CallKind>(random() % 2);
        const std::string path = (random() % 4 == 0 ? "/stuck" : "/p") + std::to_string(random() % 20);
        Answer refusal;
        if (!s.pool.Start(kind, path, ticket, s.inbox, &refusal)) {
          refused.fetch_add(1);
        } else if (random() % 5 == 0) {
          s.pool.Leave(kind, path, ticket);
          left.fetch_add(1);
        }
      }
    });
  }
  for (auto& caller : callers) caller.join();
  TheGate().Open();
  const auto least = next.load() - static_cast<std::uint64_t>(refused.load() + left.load());
  CHECK(Eventually([&] { return s.pool.Count().waiting == 0 && s.pool.Count().threads == 0; }));
  CHECK(s.inbox->Size() >= least);
  CHECK(s.inbox->Size() <= least + static_cast<std::uint64_t>(left.load()));
}
