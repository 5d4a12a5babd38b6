// The threads that walk. They are kept between walks: to create one costs several times what a small tree
// does.
//
// Lifetime of a thread. It is created when there is a job and no thread waits, detached and never joined, and
// lowers its priority for good: an unprivileged thread cannot climb back, so it does nothing but walk. After a
// job it waits for the next one, the last to come being the first to go, and ends when none comes for a while.
// While it waits it holds no descriptor of a volume, no path and no lock. One that is blocked in the kernel is in
// the midst of its job: nobody counts on it, and it joins the others if the kernel lets it go. The threads hold
// what they share, which lives as long as the last of them. Nothing waits for them at process exit, and the
// process's own crew is never destroyed.
//
// A thread belongs to the mount namespace of the thread that had it created. A process that changes its own has
// walks in the new one once the threads that wait have ended.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

#include "walk_work.h"

namespace kvm {

class WalkCrew : public std::enable_shared_from_this<WalkCrew> {
 public:
  class Job {
   public:
    virtual ~Job() = default;
    // What is to be done. `clock` is the thread's.
    virtual void Work(const WorkClock& clock) = 0;
    // The last thing of a job. Whatever it starts may be done by this thread next.
    virtual void End() = 0;
  };

  // Threads wait for `idle` before they end.
  explicit WalkCrew(std::chrono::milliseconds idle) : idle_(idle) {}
  WalkCrew(const WalkCrew&) = delete;
  WalkCrew& operator=(const WalkCrew&) = delete;

  // The process's crew.
  static const std::shared_ptr<WalkCrew>& Shared();

  // Has a thread do the job: the calling one when it is at the end of another, one that waits, or a new one.
  // Returns 0, or an errno and leaves the job: no thread could be created.
  int Start(std::unique_ptr<Job>* job);

  struct Counts {
    unsigned alive;
    unsigned waiting;
  };
  Counts Count();

 private:
  struct Member;
  struct Birth;

  static void* ThreadMain(void* birth);
  void Serve(Member* self);
  void WaitForJob(Member* self);

  const std::chrono::milliseconds idle_;
  std::mutex lock_;
  std::vector<Member*> waiting_;
  unsigned alive_ = 0;
};

}  // namespace kvm
