#include "call_pool.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "detached_thread.h"

namespace kvm {
namespace {

// A caller's own timer starts before the call does, and timers are only so exact.
constexpr std::chrono::milliseconds kStuckSlack{100};

// How long a worker looks for more work before it sleeps.
constexpr std::chrono::microseconds kLinger{10};

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

std::int64_t EpochMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool MustBeDirectory(const std::string& path) { return path.size() > 1 && path.back() == '/'; }

std::string WithoutSlash(const std::string& path) {
  return MustBeDirectory(path) ? path.substr(0, path.size() - 1) : path;
}

std::size_t SlotOf(CallKind kind, const std::string& path) {
  return static_cast<std::size_t>(kind) + (MustBeDirectory(path) ? kCallKinds : 0);
}

CallKind KindOf(std::size_t slot) { return static_cast<CallKind>(slot % kCallKinds); }

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
    if (Linger(lock)) continue;
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

// Waits a moment without sleeping. True: there is work. A caller that has its answer often asks again at once, and to wake a
// thread costs both sides more than a call does.
bool CallPool::Linger(std::unique_lock<std::mutex>& lock) {
  ++busy_;
  ++lingering_;
  lock.unlock();
  const auto until = Clock::now() + kLinger;
  while (!queued_.load(std::memory_order_relaxed) && Clock::now() < until) Pause();
  lock.lock();
  --lingering_;
  --busy_;
  return !queue_.empty();
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
    after->deliveries.push_back({std::move(waiter), KindOf(slot), answer});
  }
  call->waiters[slot].clear();
}

// Runs without the lock.
void CallPool::Settle(Afterwards* after) {
  for (; after->workers_to_wake > 0; --after->workers_to_wake) work_.notify_one();
  if (after->wake_watchdog) watch_.notify_one();
  for (auto& each : after->deliveries) each.waiter.receiver->Deliver(each.waiter.ticket, each.kind, each.answer);
  after->deliveries.clear();
}

}  // namespace kvm
