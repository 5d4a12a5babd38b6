#include "walk_state.h"

#include <algorithm>
#include <cerrno>

#include "walk_thread.h"

namespace kvm {

// One thread's part of the walk.
class WalkState::ThreadJob final : public WalkCrew::Job {
 public:
  ThreadJob(std::shared_ptr<WalkState> state, unsigned number, std::unique_ptr<WalkShare> share)
      : state_(std::move(state)), number_(number), share_(std::move(share)) {}

  void Work(const WorkClock& clock) override {
    state_->BeginsWork(number_, clock);
    {
      WalkThread thread(*state_, number_, state_->tallies_[number_], clock);
      thread.Run(std::move(share_));
    }
    state_->EndsWork(number_, clock);
  }
  void End() override { state_->ThreadEnds(); }
  std::unique_ptr<WalkShare> TakeBack() { return std::move(share_); }

 private:
  const std::shared_ptr<WalkState> state_;
  const unsigned number_;
  std::unique_ptr<WalkShare> share_;
};

WalkState::WalkState(WalkOptions walk_options, Walk::Done done)
    : options(std::move(walk_options)),
      takers_(static_cast<int>(options.threads) - 1),
      lease_(std::exchange(options.lease, nullptr)),
      done_(std::move(done)) {
  ::sem_init(&called_, 0, 0);
}

void WalkState::Start() {
  started_ = alive_ = 1;
  std::unique_ptr<WalkShare> root = std::make_unique<WalkShare>();
  if (const int error = StartThread(0, &root)) {
    Stop(error, options.path);
    ThreadEnds();
  }
}

void WalkState::Cancel() { Stop(ECANCELED, options.path); }

std::uint64_t WalkState::Abandon(int error) {
  Stop(error, options.path);
  return Report();
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

std::uint64_t WalkState::Work() {
  // A thread that holds the lock may wait for a processor.
  const std::unique_lock<std::mutex> lock(lock_, std::try_to_lock);
  return lock.owns_lock() ? WorkSoFar() : known_work_ns_.load();
}

std::uint64_t WalkState::WorkSoFar() {
  std::uint64_t sum = result_.work_ns;
  for (const WalkCharge& charge : charges_) {
    if (charge.clock != nullptr) sum += charge.clock->SinceSoFar(charge.begin);
  }
  known_work_ns_ = sum;
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
  WorkLock lock(lock_);
  if (may_start_ && idle_ <= shares_.size()) {
    const unsigned number = started_++;
    alive_++;
    lock.unlock();
    if (StartThread(number, &share) == 0) return;
    lock.Lock();
    alive_--;
    // The walk goes on with the threads it has.
    if (std::exchange(may_start_, false)) takers_ -= static_cast<int>(options.threads - number);
  }
  shares_.push_back(std::move(share));
  Wake(1);
}

void WalkState::Wake(unsigned most) {
  for (; most > 0 && asleep_ > 0; most--, asleep_--) ::sem_post(&called_);
}

std::unique_ptr<WalkShare> WalkState::Take(unsigned number, const WorkClock& clock) {
  WorkLock lock(lock_);
  takers_++;
  idle_++;
  if (idle_ == alive_ && shares_.empty()) {
    finished_ = true;
    Wake(alive_);
  }
  const auto has_news = [this] { return finished_ || stopped() || !shares_.empty(); };
  const bool waits = !has_news();
  if (waits) {
    lock.unlock();
    lock = EndsWork(number, clock);
    while (!has_news()) {
      asleep_++;
      lock.unlock();
      while (::sem_wait(&called_) != 0) {
      }
      lock.lock();
    }
  }
  idle_--;
  std::unique_ptr<WalkShare> share;
  if (!stopped() && !shares_.empty()) {
    share = std::move(shares_.back());
    shares_.pop_back();
  }
  lock.unlock();
  if (waits) BeginsWork(number, clock);
  return share;
}

void WalkState::Fail(int error, const std::string& path) {
  if (!options.allow_partial) return Stop(error, path);
  const WorkLock lock(lock_);
  if (result_.errors++ > 0) return;
  result_.first_error = error;
  result_.first_path = path;
}

void WalkState::Stop(int error, const std::string& path) {
  const WorkLock lock(lock_);
  if (finished_ || stopped()) return;
  result_.error = error;
  result_.path = path;
  stopped_.store(true, std::memory_order_relaxed);
  Wake(alive_);
}

int WalkState::StartThread(unsigned number, std::unique_ptr<WalkShare>* share) {
  std::unique_ptr<WalkCrew::Job> job = std::make_unique<ThreadJob>(shared_from_this(), number, std::move(*share));
  const int error = options.crew->Start(&job);
  if (error != 0) *share = static_cast<ThreadJob*>(job.get())->TakeBack();
  return error;
}

void WalkState::BeginsWork(unsigned number, const WorkClock& clock) {
  const WorkTime begin = clock.Begin();
  const WorkLock lock(lock_);
  charges_[number] = {&clock, begin};
}

WorkLock WalkState::EndsWork(unsigned number, const WorkClock& clock) {
  WalkCharge& charge = charges_[number];
  const std::uint64_t work_ns = clock.Since(charge.begin);
  WorkLock lock(lock_);
  result_.work_ns += work_ns;
  charge.clock = nullptr;
  return lock;
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

std::uint64_t WalkState::Report() {
  Walk::Done done;
  WalkResult result;
  {
    const std::lock_guard<std::mutex> lock(lock_);
    if (std::exchange(reported_, true)) return result_.work_ns;
    // Abandoned: threads that are at work may be for long, so they are charged what they did so far.
    result_.work_ns = WorkSoFar();
    const WalkProgress sum = Progress();
    result_.used = sum.used;
    result_.inodes = sum.inodes;
    result_.sized_without_blocks = sized_without_blocks();
    result = result_;
    done = std::exchange(done_, nullptr);
  }
  done(result);
  return result.work_ns;
}

}  // namespace kvm
