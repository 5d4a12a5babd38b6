#include "walk.h"

#include <algorithm>

#include "walk_state.h"

namespace kvm {

Walk Walk::Start(WalkOptions options, Done done) {
  options.threads = std::min(std::max(options.threads, 1u), kMostWalkThreads);
  if (options.crew == nullptr) options.crew = WalkCrew::Shared();
  if (options.mounts == nullptr) options.mounts = MountTable::Shared();
  Walk walk(std::make_shared<WalkState>(std::move(options), std::move(done)));
  walk.state_->Start();
  return walk;
}

WalkProgress Walk::Progress() const {
  WalkProgress progress = state_->Progress();
  progress.work_ns = state_->Work();
  return progress;
}

void Walk::Cancel() { state_->Cancel(); }

std::uint64_t Walk::Abandon(int error) { return state_->Abandon(error); }

}  // namespace kvm
