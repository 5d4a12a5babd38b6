// What callers ask of the pool.
#include "call_pool.h"

#include <algorithm>
#include <cerrno>

namespace kvm {
namespace {

// A caller's own timer starts before the call does, and timers are only so exact.
constexpr std::chrono::milliseconds kStuckSlack{100};

bool MustBeDirectory(const std::string& path) { return path.size() > 1 && path.back() == '/'; }

std::string WithoutSlash(const std::string& path) {
  return MustBeDirectory(path) ? path.substr(0, path.size() - 1) : path;
}

std::size_t SlotOf(CallKind kind, const std::string& path) {
  return static_cast<std::size_t>(kind) + (MustBeDirectory(path) ? kCallKinds : 0);
}

}  // namespace

CallPool& CallPool::Shared() {
  // Leaked on purpose: a static's destructor would run at exit, while detached threads still use it.
  static CallPool* const pool = new CallPool(AskKernel, Limits{});
  return *pool;
}

bool CallPool::Start(CallKind kind, const std::string& given, std::uint64_t ticket, std::shared_ptr<Receiver> receiver,
                     Answer* refusal) {
  const std::string path = WithoutSlash(given);
  const std::size_t slot = SlotOf(kind, given);
  Afterwards after;
  {
    std::unique_lock<std::mutex> lock(lock_);
    if (const auto since_ms = StuckSince(path); since_ms != 0) {
      *refusal = Answer::Stuck(since_ms);
      return false;
    }
    if (auto found = calls_.find(path); found != calls_.end()) {
      Call* const call = found->second.get();
      call->waiters[slot].push_back({ticket, std::move(receiver)});
      return true;
    }
    if (TooManyStuck()) {
      *refusal = Answer::Refused(Answer::Status::kTooManyStuck, EAGAIN);
      return false;
    }
    int error = 0;
    if (!EnsureWatchdog(&error)) {
      *refusal = Answer::Refused(Answer::Status::kNoThread, error);
      return false;
    }
    auto call = std::make_unique<Call>();
    call->path = path;
    call->waiters[slot].push_back({ticket, std::move(receiver)});
    Enqueue(call.get());
    calls_.emplace(path, std::move(call));
    Dispatch(&after);
  }
  Settle(&after);
  return true;
}

std::int64_t CallPool::Leave(CallKind kind, const std::string& given, std::uint64_t ticket) {
  const std::string path = WithoutSlash(given);
  Afterwards after;
  std::int64_t since_ms;
  {
    std::unique_lock<std::mutex> lock(lock_);
    auto found = calls_.find(path);
    if (found == calls_.end()) return StuckSince(path);
    Call* const call = found->second.get();
    auto& waiters = call->waiters[SlotOf(kind, given)];
    waiters.erase(std::remove_if(waiters.begin(), waiters.end(), [&](const Waiter& each) { return each.ticket == ticket; }),
                  waiters.end());
    if (call->running) {
      if (!call->stuck && Clock::now() - call->started >= limits_.stuck_after - kStuckSlack) MarkOneStuck(call, &after);
    } else if (std::all_of(std::begin(call->waiters), std::end(call->waiters), [](auto& each) { return each.empty(); })) {
      queue_.erase(std::find(queue_.begin(), queue_.end(), call));
      Forget(call);
    }
    since_ms = StuckSince(path);
  }
  Settle(&after);
  return since_ms;
}

bool CallPool::Refuses(const std::string& path, Answer* refusal) {
  std::lock_guard<std::mutex> lock(lock_);
  const auto since_ms = StuckSince(WithoutSlash(path));
  if (since_ms != 0) *refusal = Answer::Stuck(since_ms);
  else if (stuck_ + ended_walks_.size() >= limits_.most_stuck) *refusal = Answer::Refused(Answer::Status::kTooManyStuck, EAGAIN);
  else return false;
  return true;
}

// In milliseconds since the epoch, or 0.
std::int64_t CallPool::StuckSince(const std::string& path) const {
  if (!ended_walks_.empty()) {
    const auto now = Clock::now();
    const auto [first, last] = ended_walks_.equal_range(path);
    const auto walk = std::find_if(first, last, [now](const auto& each) { return each.second.stuck_from <= now; });
    if (walk != last) return walk->second.since_ms;
  }
  auto found = calls_.find(path);
  return found != calls_.end() && found->second->stuck ? found->second->started_ms : 0;
}

bool CallPool::TooManyStuck() const {
  // Seldom anything else is to be looked at than the number of them.
  if (stuck_ + ended_walks_.size() < limits_.most_stuck) return false;
  const auto now = Clock::now();
  const auto walks = std::count_if(ended_walks_.begin(), ended_walks_.end(),
                                   [now](const auto& each) { return each.second.stuck_from <= now; });
  return stuck_ + static_cast<std::size_t>(walks) >= limits_.most_stuck;
}

std::uint64_t CallPool::Stick(const std::string& path, std::int64_t since_ms) {
  std::lock_guard<std::mutex> lock(lock_);
  return AddEndedWalk(path, since_ms, {});
}

std::uint64_t CallPool::Leaves(const std::string& path) {
  std::lock_guard<std::mutex> lock(lock_);
  return AddEndedWalk(path, EpochMs(), limits_.stuck_after);
}

std::uint64_t CallPool::AddEndedWalk(const std::string& path, std::int64_t since_ms, std::chrono::milliseconds stuck_in) {
  const std::uint64_t number = ++last_ended_walk_;
  ended_walks_.emplace(WithoutSlash(path), EndedWalk{number, since_ms, Clock::now() + stuck_in});
  return number;
}

void CallPool::Unstick(const std::string& path, std::uint64_t number) {
  std::lock_guard<std::mutex> lock(lock_);
  const auto [first, last] = ended_walks_.equal_range(WithoutSlash(path));
  const auto walk = std::find_if(first, last, [number](const auto& each) { return each.second.number == number; });
  if (walk != last) ended_walks_.erase(walk);
}

CallPool::Counts CallPool::Count() {
  std::lock_guard<std::mutex> lock(lock_);
  return {Workers() + slow_ + (watchdog_ ? 1U : 0U), stuck_, queue_.size(), asked_};
}

}  // namespace kvm
