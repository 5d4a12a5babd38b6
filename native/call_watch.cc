// The watchdog of the pool: finds the calls that are slow and those that are stuck, and gives others their
// threads.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "call_pool.h"
#include "detached_thread.h"
#include "thread_state.h"

namespace kvm {
namespace {

// How often the watchdog looks while a call waits for a worker.
constexpr std::chrono::milliseconds kTick{2};

}  // namespace

bool CallPool::EnsureWatchdog(int* error) {
  if (watchdog_) return true;
  *error = StartDetached(WatchdogMain, this);
  watchdog_ = *error == 0;
  return watchdog_;
}

void* CallPool::WatchdogMain(void* pool) {
  static_cast<CallPool*>(pool)->Watch();
  return nullptr;
}

void CallPool::Watch() {
  std::unique_lock<std::mutex> lock(lock_);
  for (;;) {
    Afterwards after;
    auto wake = MarkStuck(&after);
    if (ticking_) {
      FindSlow(lock);
      if (!queue_.empty() && Clock::now() - queue_.front()->queued >= limits_.late_after) {
        allowance_ = std::max(allowance_, limits_.workers);
      }
      Dispatch(&after);
      ticking_ = Unserved();
    }
    lock.unlock();
    Settle(&after);
    lock.lock();
    if (ticking_) wake = std::min(wake, Clock::now() + kTick);
    // A call that starts later is due later, so it need not wake this thread. With nothing running there is
    // nothing due before a whole stuck_after from now; then, if still nothing runs, the thread ends.
    const std::uint64_t asked = asked_;
    const bool timed_out = watch_.wait_until(lock, wake) == std::cv_status::timeout;
    if (timed_out && running_.empty() && queue_.empty() && asked == asked_) {
      watchdog_ = false;
      return;
    }
  }
}

// Marks every call that has been out for too long. Returns when the next one is due.
CallPool::Clock::time_point CallPool::MarkStuck(Afterwards* after) {
  const auto now = Clock::now();
  for (Call* const call : running_) {
    if (call->stuck) continue;
    const auto due = call->started + limits_.stuck_after;
    if (due > now) return due;
    MarkOneStuck(call, after);
  }
  return now + limits_.stuck_after;
}

void CallPool::MarkOneStuck(Call* call, Afterwards* after) {
  if (!call->slow) {
    call->slow = true;
    --busy_;
    ++slow_;
  }
  call->stuck = true;
  ++stuck_;
  const Answer answer = Answer::Stuck(call->started_ms);
  for (std::size_t slot = 0; slot < kSlots; ++slot) Deliver(call, slot, answer, after);
  if (TooManyStuck()) RefuseQueue(Answer::Refused(Answer::Status::kTooManyStuck, EAGAIN), after);
}

// A call waits for a worker: lets calls that sleep in the kernel no longer count as workers. Each look that
// finds some doubles how many workers may run, so that hundreds of dead volumes asked about at once cost a
// few looks, not hundreds.
void CallPool::FindSlow(std::unique_lock<std::mutex>& lock) {
  struct Suspect {
    Call* call;
    std::uint64_t turn;
    std::int32_t thread;
    std::string path;
    bool sleeps;
  };
  std::vector<Suspect> suspects;
  const auto now = Clock::now();
  for (Call* const call : running_) {
    if (call->slow) continue;
    if (now - call->started < limits_.slow_after) break;
    suspects.push_back({call, call->turn, call->thread, call->path, false});
  }
  if (suspects.empty()) return;
  lock.unlock();
  for (auto& suspect : suspects) suspect.sleeps = Sleeps(suspect.thread);
  lock.lock();
  bool found = false;
  for (const auto& suspect : suspects) {
    auto entry = calls_.find(suspect.path);
    if (!suspect.sleeps || entry == calls_.end() || entry->second.get() != suspect.call) continue;
    Call* const call = suspect.call;
    // One that has its answer and slept only for the lock is not slow.
    if (!call->running || !call->asking || call->slow || call->turn != suspect.turn) continue;
    call->slow = true;
    --busy_;
    ++slow_;
    found = true;
  }
  if (found) allowance_ = std::min(std::max(allowance_, limits_.workers) * 2, limits_.most_stuck + limits_.workers);
}

}  // namespace kvm
