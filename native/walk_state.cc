#include "walk_state.h"

#include <algorithm>
#include <cerrno>

#include "detached_thread.h"
#include "walk_thread.h"

namespace kvm {

struct WalkState::ThreadStart {
  std::shared_ptr<WalkState> state;
  WalkTally* tally;
  std::unique_ptr<WalkShare> share;
};

WalkState::WalkState(WalkOptions walk_options, Walk::Done done)
    : options(std::move(walk_options)),
      takers_(static_cast<int>(options.threads) - 1),
      lease_(std::exchange(options.lease, nullptr)),
      done_(std::move(done)) {}

void WalkState::Start() {
  started_ = alive_ = 1;
  std::unique_ptr<WalkShare> root = std::make_unique<WalkShare>();
  if (const int error = StartThread(0, &root)) {
    Stop(error, options.path);
    ThreadEnds();
  }
}

void WalkState::Cancel() { Stop(ECANCELED, options.path); }

void WalkState::Abandon(int error) {
  Stop(error, options.path);
  Report();
}

WalkProgress WalkState::Progress() const {
  WalkProgress sum;
  for (const WalkTally& tally : tallies_) {
    sum.used += tally.used.load(std::memory_order_relaxed);
    sum.inodes += tally.inodes.load(std::memory_order_relaxed);
    sum.calls += tally.calls.load(std::memory_order_relaxed);
  }
  return sum;
}

bool WalkState::ReserveTaker() {
  int takers = takers_.load(std::memory_order_relaxed);
  while (takers > 0) {
    if (takers_.compare_exchange_weak(takers, takers - 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

void WalkState::Give(std::unique_ptr<WalkShare> share) {
  std::unique_lock<std::mutex> lock(lock_);
  if (may_start_ && idle_ <= shares_.size()) {
    const unsigned number = started_++;
    alive_++;
    lock.unlock();
    if (StartThread(number, &share) == 0) return;
    lock.lock();
    alive_--;
    // The walk goes on with the threads it has.
    if (std::exchange(may_start_, false)) takers_ -= static_cast<int>(options.threads - number);
  }
  shares_.push_back(std::move(share));
  changed_.notify_one();
}

std::unique_ptr<WalkShare> WalkState::Take() {
  std::unique_lock<std::mutex> lock(lock_);
  takers_++;
  idle_++;
  if (idle_ == alive_ && shares_.empty()) {
    finished_ = true;
    changed_.notify_all();
  }
  changed_.wait(lock, [this] { return finished_ || stopped() || !shares_.empty(); });
  idle_--;
  if (stopped() || shares_.empty()) return nullptr;
  std::unique_ptr<WalkShare> share = std::move(shares_.back());
  shares_.pop_back();
  return share;
}

void WalkState::Fail(int error, const std::string& path) {
  if (!options.allow_partial) return Stop(error, path);
  const std::lock_guard<std::mutex> lock(lock_);
  if (result_.errors++ > 0) return;
  result_.first_error = error;
  result_.first_path = path;
}

void WalkState::Stop(int error, const std::string& path) {
  const std::lock_guard<std::mutex> lock(lock_);
  if (finished_ || stopped()) return;
  result_.error = error;
  result_.path = path;
  stopped_.store(true, std::memory_order_relaxed);
  changed_.notify_all();
}

void* WalkState::ThreadMain(void* argument) {
  const std::unique_ptr<ThreadStart> start(static_cast<ThreadStart*>(argument));
  LowerThreadPriority();
  {
    WalkThread thread(*start->state, *start->tally);
    thread.Run(std::move(start->share));
  }
  start->state->ThreadEnds();
  return nullptr;
}

int WalkState::StartThread(unsigned number, std::unique_ptr<WalkShare>* share) {
  auto start = std::make_unique<ThreadStart>();
  *start = {shared_from_this(), &tallies_[number], std::move(*share)};
  const int error = StartDetached(ThreadMain, start.get());
  if (error != 0) {
    *share = std::move(start->share);
  } else {
    start.release();
  }
  return error;
}

void WalkState::ThreadEnds() {
  std::shared_ptr<void> lease;
  {
    const std::lock_guard<std::mutex> lock(lock_);
    if (--alive_ > 0) return;
    // What nobody took any more, because the walk was stopped, has open descriptors.
    shares_.clear();
    lease = std::move(lease_);
  }
  Report();
}

void WalkState::Report() {
  Walk::Done done;
  WalkResult result;
  {
    const std::lock_guard<std::mutex> lock(lock_);
    if (std::exchange(reported_, true)) return;
    const WalkProgress sum = Progress();
    result_.used = sum.used;
    result_.inodes = sum.inodes;
    result_.sized_without_blocks = sized_without_blocks();
    result = result_;
    done = std::exchange(done_, nullptr);
  }
  done(result);
}

}  // namespace kvm
