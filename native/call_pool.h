// Runs system calls that may never return, on threads of its own. No JavaScript here.
//
// Threads. Every thread is detached and never joined, blocks all signals, and has a small stack. Workers run
// one call at a time; one more thread, the watchdog, exists while there is something to watch. Idle ones end
// after a while. None is waited for at process exit: exit_group(2) ends those that are blocked in a killable
// wait, and the pool itself is never destroyed (see Shared), so a thread that is still running never meets
// freed state.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "fs_info.h"

namespace kvm {

// What one caller learns. The numbers of `status` are shared with src/os/native/native-binding.ts.
struct Answer {
  enum class Status : std::uint8_t {
    kDone = 0,          // `result` holds what the kernel said
    kStuck = 1,         // the path's call has been out since `stuck_since_ms`
    kTooManyStuck = 2,  // `most_stuck` calls are stuck: no thread is spent on another path
    kNoThread = 3,      // no thread could be created; `result.error` is the errno
  };
  Status status = Status::kDone;
  CallResult result;
  std::int64_t stuck_since_ms = 0;  // since the epoch

  static Answer Stuck(std::int64_t since_ms) {
    Answer answer;
    answer.status = Status::kStuck;
    answer.stuck_since_ms = since_ms;
    return answer;
  }
  static Answer Refused(Status status, int error) {
    Answer answer;
    answer.status = status;
    answer.result.error = error;
    return answer;
  }
};

// Milliseconds since the epoch.
inline std::int64_t EpochMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Where answers go. Called from any thread, at most once a ticket, never while the pool's lock is held.
class Receiver {
 public:
  virtual ~Receiver() = default;
  virtual void Deliver(std::uint64_t ticket, const Answer& answer) = 0;
};

class CallPool {
 public:
  struct Limits {
    // Workers that calls share as long as calls return. With the watchdog that makes 8 threads.
    unsigned workers = 7;
    // Workers that are started before it shows whether they keep up: a second one mostly contends with the
    // first for the lock.
    unsigned eager = 1;
    // Stuck calls at most, a thread each; then every call that would need a system call is refused.
    unsigned most_stuck = 512;
    // A call that has been out this long makes its path stuck.
    std::chrono::milliseconds stuck_after{5000};
    // A call that has waited this long for a worker shows that the eager one does not keep up.
    std::chrono::milliseconds late_after{1};
    // A call that sleeps in the kernel this long no longer counts as a worker, while others wait for one.
    std::chrono::milliseconds slow_after{4};
    // How long a thread waits for more work before it ends.
    std::chrono::milliseconds idle{10000};
  };
  // The system call: AskKernel, or a test's own.
  using Ask = CallResult (*)(CallKind kind, const std::string& path);

  CallPool(Ask ask, Limits limits) : ask_(ask), limits_(limits), allowance_(limits.eager) {}
  CallPool(const CallPool&) = delete;
  CallPool& operator=(const CallPool&) = delete;

  // The process's pool, shared by every environment (worker_threads) that loads the addon. Never destroyed.
  static CallPool& Shared();

  // In all of these, `/m` and `/m/` are one path that is stuck or not. The slash only says that it must be a
  // directory, which the kernel judges: such calls have an answer of their own.

  // Joins the path's call, or queues one. True: the answer comes through `receiver`. False: `refusal` is the
  // answer.
  bool Start(CallKind kind, const std::string& path, std::uint64_t ticket, std::shared_ptr<Receiver> receiver,
             Answer* refusal);

  // Gives a ticket up: nothing is delivered for it any more. A queued call that nobody waits for is dropped;
  // a running one goes on. Returns since when the path is stuck, in milliseconds since the epoch, or 0. A
  // call that is `slack` short of being stuck counts as stuck: a caller whose limit is the same 5 s started
  // its clock before the call's.
  std::int64_t Leave(CallKind kind, const std::string& path, std::uint64_t ticket);

  // Whether a walk of the path is refused now, and with what: walks run elsewhere than here.
  bool Refuses(const std::string& path, Answer* refusal);

  // A walk that has ended though its threads may still be in the kernel; until Unstick, with the number that
  // is returned, when they are gone. Its path is stuck and it counts as a stuck call, either at once (Stick),
  // because it is known to have been stuck since `since_ms`, or when the threads are still there after
  // `stuck_after` (Leaves). Walks are refused when there are `most_stuck` of either kind.
  std::uint64_t Stick(const std::string& path, std::int64_t since_ms);
  std::uint64_t Leaves(const std::string& path);
  void Unstick(const std::string& path, std::uint64_t number);

  struct Counts {
    unsigned threads;      // alive, the watchdog among them
    unsigned stuck;        // calls that are stuck
    std::size_t waiting;   // calls that no worker has taken yet
    std::uint64_t asked;   // how often the kernel was asked since the process began
  };
  Counts Count();

 private:
  using Clock = std::chrono::steady_clock;
  // What can be asked of one path: each kind, and each once more of what must be a directory.
  static constexpr std::size_t kSlots = 2 * kCallKinds;
  struct Waiter {
    std::uint64_t ticket;
    std::shared_ptr<Receiver> receiver;
  };
  // Everything about one path. Lives in calls_ from the first caller until nothing runs and nobody waits.
  // While `running`, it is neither moved nor freed, so the worker reads `path` and `slot` without the lock.
  struct Call {
    std::string path;  // without a slash at its end
    std::vector<Waiter> waiters[kSlots];
    bool running = false;
    bool slow = false;   // no longer counts as a worker
    bool stuck = false;  // refuses callers
    std::size_t slot = 0;  // what runs
    Clock::time_point queued;
    Clock::time_point started;
    std::int64_t started_ms = 0;  // since the epoch, for people
    std::int32_t thread = 0;      // kernel id of the worker, for its state in /proc
    std::atomic<bool> asking{false};  // the worker is in the system call, not on its way back for the lock
    std::uint64_t turn = 0;       // tells this run from a later one of the same path
  };
  struct EndedWalk {
    std::uint64_t number;
    std::int64_t since_ms;        // since the epoch, for people
    Clock::time_point stuck_from;  // from when on it counts as stuck
  };
  struct Delivery {
    Waiter waiter;
    Answer answer;
  };
  // What to do once the lock is released: a thread woken under it would only run into it.
  struct Afterwards {
    std::vector<Delivery> deliveries;
    unsigned workers_to_wake = 0;
    bool wake_watchdog = false;
  };

  static void* WorkerMain(void* pool);
  void Work();
  // The functions below run under lock_, but for Settle.
  std::int64_t StuckSince(const std::string& path) const;
  bool TooManyStuck() const;
  std::uint64_t AddEndedWalk(const std::string& path, std::int64_t since_ms, std::chrono::milliseconds stuck_in);
  bool LingeringPays();
  bool Linger(std::unique_lock<std::mutex>& lock);
  void Run(Call* call, std::unique_lock<std::mutex>& lock);
  void Enqueue(Call* call);
  // Whether there are more calls in the queue than workers on their way to it.
  bool Unserved() const { return woken_ + starting_ + lingering_ < queue_.size(); }
  void Dispatch(Afterwards* after);
  int SpawnWorker();
  void RefuseQueue(const Answer& answer, Afterwards* after);
  static void Deliver(Call* call, std::size_t slot, const Answer& answer, Afterwards* after);
  void Forget(Call* call);
  unsigned Workers() const { return idle_ + busy_ + starting_; }
  void Settle(Afterwards* after);

  // The watchdog (call_watch.cc). The last four run under lock_.
  static void* WatchdogMain(void* pool);
  void Watch();
  bool EnsureWatchdog(int* error);
  Clock::time_point MarkStuck(Afterwards* after);
  void MarkOneStuck(Call* call, Afterwards* after);
  void FindSlow(std::unique_lock<std::mutex>& lock);

  const Ask ask_;
  const Limits limits_;
  std::mutex lock_;
  std::condition_variable work_;   // for workers: the queue has something
  std::condition_variable watch_;  // for the watchdog: look again
  std::unordered_map<std::string, std::unique_ptr<Call>> calls_;
  std::unordered_multimap<std::string, EndedWalk> ended_walks_;
  std::uint64_t last_ended_walk_ = 0;
  std::deque<Call*> queue_;
  std::atomic<bool> queued_{false};  // whether the queue may have something, to be read without the lock
  std::list<Call*> running_;  // in the order of their start
  unsigned idle_ = 0;         // workers waiting for work
  unsigned woken_ = 0;        // of those, how many have been notified and have not yet taken the lock
  unsigned starting_ = 0;     // created and not yet running
  unsigned lingering_ = 0;    // about to look at the queue again; they count as busy too
  int lingering_credit_ = 0;  // how often it may still be in vain
  unsigned unlingered_ = 0;
  unsigned busy_ = 0;         // running a call that is not slow, or telling those who waited for it
  unsigned slow_ = 0;         // running a call that is slow
  unsigned stuck_ = 0;        // of those, how many are stuck
  unsigned allowance_;        // workers that may run now: from limits_.eager up, as the queue does not move
  bool watchdog_ = false;     // alive
  bool ticking_ = false;      // the watchdog looks every few milliseconds, because a call waits for a worker
  std::uint64_t asked_ = 0;
};

}  // namespace kvm
