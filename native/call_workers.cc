// The pool's workers: which thread takes which call, and how answers get to those who wait for them.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "call_pool.h"
#include "detached_thread.h"

namespace kvm {
namespace {

// How long a worker looks for more work before it sleeps.
constexpr std::chrono::microseconds kLinger{10};

// After lingering in vain that often it stops, and then tries again every so many times.
constexpr int kLingeringCredit = 8;
constexpr unsigned kTriesLingering = 32;

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

CallKind KindOf(std::size_t slot) { return static_cast<CallKind>(slot % kCallKinds); }

}  // namespace

void CallPool::Enqueue(Call* call) {
  call->queued = Clock::now();
  queue_.push_back(call);
  queued_.store(true, std::memory_order_relaxed);
}

// Gives every queued call a worker that is idle or may be created; the watchdog sees to the rest.
void CallPool::Dispatch(Afterwards* after) {
  while (Unserved() && woken_ < idle_ && busy_ + woken_ + starting_ < allowance_) {
    ++woken_;
    ++after->workers_to_wake;
  }
  while (Unserved() && busy_ + woken_ + starting_ < allowance_ &&
         Workers() + slow_ < limits_.most_stuck + limits_.workers) {
    const int error = SpawnWorker();
    if (error == 0) continue;
    // Workers that are busy will take the queue. If there are none, nobody ever would.
    if (Workers() == 0) RefuseQueue(Answer::Refused(Answer::Status::kNoThread, error), after);
    break;
  }
  if (Unserved() && !ticking_) {
    ticking_ = true;
    after->wake_watchdog = true;
  }
}

int CallPool::SpawnWorker() {
  ++starting_;
  const int error = StartDetached(WorkerMain, this);
  if (error != 0) --starting_;
  return error;
}

void* CallPool::WorkerMain(void* pool) {
  static_cast<CallPool*>(pool)->Work();
  return nullptr;
}

void CallPool::Work() {
  std::unique_lock<std::mutex> lock(lock_);
  --starting_;
  for (;;) {
    while (!queue_.empty()) {
      Call* const call = queue_.front();
      queue_.pop_front();
      queued_.store(!queue_.empty(), std::memory_order_relaxed);
      Run(call, lock);
    }
    allowance_ = limits_.eager;
    // Slow calls that returned may have left more workers than are needed as long as calls return.
    if (Workers() >= limits_.workers) return;
    if (LingeringPays() && Linger(lock)) continue;
    ++idle_;
    const auto until = Clock::now() + limits_.idle;
    bool rested = false;
    while (queue_.empty() && woken_ == 0 && !rested) {
      rested = work_.wait_until(lock, until) == std::cv_status::timeout;
    }
    --idle_;
    if (woken_ > 0) --woken_;
    if (queue_.empty() && rested) return;
  }
}

// Callers that have many calls in flight often ask again at once. One that awaits each answer asks again only
// when its thread has been woken, which takes longer than a worker lingers, and would pay for it with every
// call. So that is tried for as long as it succeeds, and now and then.
bool CallPool::LingeringPays() { return lingering_credit_ > 0 || ++unlingered_ % kTriesLingering == 0; }

// Waits a moment without sleeping. True: there is work. To wake a thread costs both sides more than a call
// does.
bool CallPool::Linger(std::unique_lock<std::mutex>& lock) {
  ++busy_;
  ++lingering_;
  lock.unlock();
  const auto until = Clock::now() + kLinger;
  while (!queued_.load(std::memory_order_relaxed) && Clock::now() < until) Pause();
  lock.lock();
  --lingering_;
  --busy_;
  const bool found = !queue_.empty();
  lingering_credit_ = found ? kLingeringCredit : std::max(lingering_credit_ - 1, 0);
  return found;
}

// Runs one kind of the call without the lock, then tells those who waited for it.
void CallPool::Run(Call* call, std::unique_lock<std::mutex>& lock) {
  static thread_local const auto thread = static_cast<std::int32_t>(::syscall(SYS_gettid));
  call->slot = 0;
  while (call->slot + 1 < kSlots && call->waiters[call->slot].empty()) ++call->slot;
  call->running = true;
  call->started = Clock::now();
  call->started_ms = EpochMs();
  call->thread = thread;
  call->turn = ++asked_;
  ++busy_;
  const auto place = running_.insert(running_.end(), call);
  call->asking = true;
  lock.unlock();

  Answer answer;
  const CallKind kind = KindOf(call->slot);
  answer.result = call->slot < kCallKinds ? ask_(kind, call->path) : ask_(kind, call->path + '/');

  call->asking = false;
  lock.lock();
  running_.erase(place);
  call->running = false;
  if (call->slow) {
    --slow_;
    ++busy_;
  }
  if (call->stuck) --stuck_;
  call->slow = call->stuck = false;
  Afterwards after;
  Deliver(call, call->slot, answer, &after);
  const bool more = std::any_of(std::begin(call->waiters), std::end(call->waiters), [](auto& each) { return !each.empty(); });
  if (more) {
    Enqueue(call);
  } else {
    Forget(call);
  }
  lock.unlock();
  Settle(&after);
  lock.lock();
  // Not before: whoever looks meanwhile must count this thread, or too many are created.
  --busy_;
}

void CallPool::RefuseQueue(const Answer& answer, Afterwards* after) {
  for (Call* const call : queue_) {
    for (std::size_t slot = 0; slot < kSlots; ++slot) Deliver(call, slot, answer, after);
    Forget(call);
  }
  queue_.clear();
}

void CallPool::Forget(Call* call) {
  // By a copy: the key that erase() compares with must outlive the entry.
  const std::string path = call->path;
  calls_.erase(path);
}

void CallPool::Deliver(Call* call, std::size_t slot, const Answer& answer, Afterwards* after) {
  for (auto& waiter : call->waiters[slot]) {
    after->deliveries.push_back({std::move(waiter), answer});
  }
  call->waiters[slot].clear();
}

// Runs without the lock.
void CallPool::Settle(Afterwards* after) {
  for (; after->workers_to_wake > 0; --after->workers_to_wake) work_.notify_one();
  if (after->wake_watchdog) watch_.notify_one();
  for (auto& each : after->deliveries) each.waiter.receiver->Deliver(each.waiter.ticket, each.answer);
  after->deliveries.clear();
}

}  // namespace kvm
