#include "walk_queue.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

namespace kvm {

struct WalkQueue::Lease {
  Lease(CallPool& pool, std::string walked) : calls(pool), path(std::move(walked)) {}
  ~Lease() {
    if (stuck) calls.Unstick(path);
  }
  CallPool& calls;
  const std::string path;
  std::atomic<bool> stuck{false};
};

WalkQueue& WalkQueue::Shared() {
  static WalkQueue* const queue = new WalkQueue(CallPool::Shared(), 2);
  return *queue;
}

std::uint64_t WalkQueue::Start(WalkOptions options, Walk::Done done) {
  std::uint64_t number;
  {
    std::lock_guard<std::mutex> lock(lock_);
    number = ++last_number_;
    options.lease = std::make_shared<Lease>(calls_, options.path);
    Entry entry;
    entry.options = std::move(options);
    entry.done = std::move(done);
    entries_.emplace(number, std::move(entry));
    waiting_.push_back(number);
  }
  LaunchNext();
  return number;
}

// Starts as many walks as may run. Each without the lock: a walk may end before its Start returns.
void WalkQueue::LaunchNext() {
  for (;;) {
    std::uint64_t number;
    WalkOptions options;
    {
      std::lock_guard<std::mutex> lock(lock_);
      if (running_ >= at_once_ || waiting_.empty()) return;
      number = waiting_.front();
      waiting_.pop_front();
      Entry& entry = entries_.at(number);
      entry.runs = true;
      ++running_;
      options = entry.options;
    }
    if (WalkResult stuck; IsStuck(options.path, &stuck)) {
      Ended(number, stuck);
      continue;
    }
    Walk walk = Walk::Start(std::move(options), [this, number](const WalkResult& result) { Ended(number, result); });
    bool dropped = false;
    {
      std::lock_guard<std::mutex> lock(lock_);
      auto found = entries_.find(number);
      if (found == entries_.end()) continue;
      if (found->second.cancelled) walk.Cancel();
      dropped = found->second.dropped;
      found->second.walk = walk;
    }
    if (dropped) walk.Abandon(ECANCELED);
  }
}

// Another walk that hung on the path while this one waited would be followed by this one, for as long again.
bool WalkQueue::IsStuck(const std::string& path, WalkResult* result) {
  Answer refusal;
  if (!calls_.Refuses(path, &refusal) || refusal.status != Answer::Status::kStuck) return false;
  result->error = ETIMEDOUT;
  result->path = path;
  result->stuck_since_ms = refusal.stuck_since_ms;
  return true;
}

void WalkQueue::Ended(std::uint64_t number, const WalkResult& result) {
  Walk::Done done;
  bool launching;
  {
    std::lock_guard<std::mutex> lock(lock_);
    auto found = entries_.find(number);
    if (found == entries_.end()) return;
    if (found->second.runs) --running_;
    // LaunchNext has not come back from starting this very walk, and will go on to the next by itself.
    launching = found->second.runs && !found->second.walk;
    done = std::move(found->second.done);
    entries_.erase(found);
  }
  done(result);
  if (!launching) LaunchNext();
}

std::optional<WalkProgress> WalkQueue::Progress(std::uint64_t number) {
  std::lock_guard<std::mutex> lock(lock_);
  auto found = entries_.find(number);
  if (found == entries_.end() || !found->second.walk) return std::nullopt;
  return found->second.walk->Progress();
}

void WalkQueue::Cancel(std::uint64_t number) {
  if (auto walk = Withdraw(number, &Entry::cancelled)) walk->Cancel();
}

void WalkQueue::Drop(std::uint64_t number) {
  if (auto walk = Withdraw(number, &Entry::dropped)) walk->Abandon(ECANCELED);
}

// Ends a walk that waits, and marks one that is being started; returns one that runs.
std::optional<Walk> WalkQueue::Withdraw(std::uint64_t number, bool Entry::*how) {
  {
    std::lock_guard<std::mutex> lock(lock_);
    auto found = entries_.find(number);
    if (found == entries_.end()) return std::nullopt;
    found->second.*how = true;
    if (found->second.runs) return found->second.walk;
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), number));
  }
  WalkResult result;
  result.error = ECANCELED;
  Ended(number, result);
  return std::nullopt;
}

std::int64_t WalkQueue::GiveUp(std::uint64_t number, std::int64_t stuck_since_ms) {
  std::optional<Walk> walk;
  {
    std::lock_guard<std::mutex> lock(lock_);
    auto found = entries_.find(number);
    if (found == entries_.end() || !found->second.walk) return 0;
    walk = found->second.walk;
    // The walk's threads hold the lease through the options, so it cannot run out before `stuck` is set.
    static_cast<Lease*>(found->second.options.lease.get())->stuck = true;
    calls_.Stick(found->second.options.path, stuck_since_ms);
  }
  walk->Abandon(ETIMEDOUT);
  return stuck_since_ms;
}

}  // namespace kvm
