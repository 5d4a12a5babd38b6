#include "walk_crew.h"

#include <algorithm>
#include <condition_variable>
#include <utility>

#include "detached_thread.h"
#include "walk_kernel.h"

namespace kvm {

// A thread, on its own stack. While it is in waiting_, lock_ guards it; otherwise only the thread itself uses
// it.
struct WalkCrew::Member {
  explicit Member(WalkCrew* of) : crew(of) {}

  WalkCrew* const crew;
  std::condition_variable called;
  std::unique_ptr<Job> job;
  bool at_end = false;  // of a job, so that it may take another
};

struct WalkCrew::Birth {
  std::shared_ptr<WalkCrew> crew;
  std::unique_ptr<Job> job;
};

namespace {

// The calling thread as a member of a crew.
thread_local void* current_member = nullptr;

}  // namespace

const std::shared_ptr<WalkCrew>& WalkCrew::Shared() {
  constexpr std::chrono::seconds kIdle{5};
  // Leaked on purpose: a static's destructor would run at exit, while detached threads still use it.
  static const auto* const crew = new std::shared_ptr<WalkCrew>(std::make_shared<WalkCrew>(kIdle));
  return *crew;
}

int WalkCrew::Start(std::unique_ptr<Job>* job) {
  // This thread is about to wait anyway, and to wake another costs as much as a small tree.
  auto* const self = static_cast<Member*>(current_member);
  if (self != nullptr && self->crew == this && self->at_end && self->job == nullptr) {
    self->job = std::move(*job);
    return 0;
  }
  {
    const WorkLock lock(lock_);
    if (!waiting_.empty()) {
      Member* const member = waiting_.back();
      waiting_.pop_back();
      member->job = std::move(*job);
      // Under the lock: the member's stack is gone as soon as it has seen the job and done it.
      member->called.notify_one();
      return 0;
    }
    ++alive_;
  }
  auto birth = std::make_unique<Birth>(Birth{shared_from_this(), std::move(*job)});
  const int error = StartDetached(ThreadMain, birth.get());
  if (error == 0) {
    birth.release();
    return 0;
  }
  *job = std::move(birth->job);
  const std::lock_guard<std::mutex> lock(lock_);
  --alive_;
  return error;
}

WalkCrew::Counts WalkCrew::Count() {
  const std::lock_guard<std::mutex> lock(lock_);
  return {alive_, static_cast<unsigned>(waiting_.size())};
}

void* WalkCrew::ThreadMain(void* argument) {
  std::unique_ptr<Birth> birth(static_cast<Birth*>(argument));
  const std::shared_ptr<WalkCrew> crew = std::move(birth->crew);
  Member self(crew.get());
  self.job = std::move(birth->job);
  birth.reset();
  current_member = &self;
  LowerThreadPriority();
  crew->Serve(&self);
  return nullptr;
}

void WalkCrew::Serve(Member* self) {
  WorkClock clock;
  for (; self->job != nullptr; WaitForJob(self)) {
    // The job ends before the thread waits: what it holds is let go of.
    const std::unique_ptr<Job> job = std::move(self->job);
    job->Work(clock);
    self->at_end = true;
    job->End();
    self->at_end = false;
  }
}

// Returns with a job, or after a while without one, when the thread is no longer counted.
void WalkCrew::WaitForJob(Member* self) {
  if (self->job != nullptr) return;
  const auto until = std::chrono::steady_clock::now() + idle_;
  std::unique_lock<std::mutex> lock(lock_);
  waiting_.push_back(self);
  if (self->called.wait_until(lock, until, [self] { return self->job != nullptr; })) return;
  waiting_.erase(std::find(waiting_.begin(), waiting_.end(), self));
  --alive_;
}

}  // namespace kvm
