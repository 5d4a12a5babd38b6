#include "walk_queue.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

namespace kvm {

struct WalkQueue::Lease {
  Lease(CallPool& pool, std::string walked) : calls(pool), path(std::move(walked)) {}
  ~Lease() {
    if (ended != 0) calls.Unstick(path, ended);
  }
  CallPool& calls;
  const std::string path;
  // Its number in `calls` once it has been ended from outside, otherwise 0.
  std::atomic<std::uint64_t> ended{0};
};

// The entry holds it too, so it does not run out before `ended` is set.
WalkQueue::Lease& WalkQueue::LeaseOf(const Entry& entry) { return *static_cast<Lease*>(entry.options.lease.get()); }

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
    if (WalkResult refused; IsRefused(options.path, &refused)) {
      Ended(number, refused);
      continue;
    }
    Walk walk = Walk::Start(std::move(options), [this, number](const WalkResult& result) { Ended(number, result); });
    {
      std::lock_guard<std::mutex> lock(lock_);
      auto found = entries_.find(number);
      if (found == entries_.end()) continue;
      found->second.walk = walk;
      if (!found->second.ended) continue;
      LeaseOf(found->second).ended = calls_.Leaves(found->second.options.path);
    }
    walk.Abandon(ECANCELED);
  }
}

// Another walk that hung on the path while this one waited would be followed by this one, for as long again.
bool WalkQueue::IsRefused(const std::string& path, WalkResult* result) {
  Answer refusal;
  if (!calls_.Refuses(path, &refusal)) return false;
  result->error = refusal.status == Answer::Status::kStuck ? ETIMEDOUT : EAGAIN;
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

std::uint64_t WalkQueue::Cancel(std::uint64_t number) {
  std::optional<Walk> walk;
  {
    std::lock_guard<std::mutex> lock(lock_);
    auto found = entries_.find(number);
    if (found == entries_.end()) return 0;
    Entry& entry = found->second;
    if (std::exchange(entry.ended, true)) return 0;
    // LaunchNext is starting it, and will see to the rest.
    if (entry.runs && !entry.walk) return 0;
    walk = entry.walk;
    if (walk) {
      LeaseOf(entry).ended = calls_.Leaves(entry.options.path);
    } else {
      waiting_.erase(std::find(waiting_.begin(), waiting_.end(), number));
    }
  }
  if (walk) return walk->Abandon(ECANCELED);
  WalkResult result;
  result.error = ECANCELED;
  Ended(number, result);
  return 0;
}

std::optional<std::uint64_t> WalkQueue::GiveUp(std::uint64_t number, std::int64_t stuck_since_ms) {
  std::optional<Walk> walk;
  {
    std::lock_guard<std::mutex> lock(lock_);
    auto found = entries_.find(number);
    if (found == entries_.end() || !found->second.walk || std::exchange(found->second.ended, true)) return std::nullopt;
    walk = found->second.walk;
    LeaseOf(found->second).ended = calls_.Stick(found->second.options.path, stuck_since_ms);
  }
  return walk->Abandon(ETIMEDOUT);
}

}  // namespace kvm
