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
  else if (TooManyStuck()) *refusal = Answer::Refused(Answer::Status::kTooManyStuck, EAGAIN);
  else return false;
  return true;
}

// In milliseconds since the epoch, or 0.
std::int64_t CallPool::StuckSince(const std::string& path) const {
  if (auto walk = stuck_walks_.find(path); walk != stuck_walks_.end()) return walk->second;
  auto found = calls_.find(path);
  return found != calls_.end() && found->second->stuck ? found->second->started_ms : 0;
}

void CallPool::Stick(const std::string& path, std::int64_t since_ms) {
  std::lock_guard<std::mutex> lock(lock_);
  stuck_walks_.emplace(WithoutSlash(path), since_ms);
}

void CallPool::Unstick(const std::string& path) {
  std::lock_guard<std::mutex> lock(lock_);
  if (auto one = stuck_walks_.find(WithoutSlash(path)); one != stuck_walks_.end()) stuck_walks_.erase(one);
}

CallPool::Counts CallPool::Count() {
  std::lock_guard<std::mutex> lock(lock_);
  return {Workers() + slow_ + (watchdog_ ? 1U : 0U), stuck_, queue_.size(), asked_};
}

}  // namespace kvm
