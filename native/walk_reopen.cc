// Descriptors within the budget, and the way back up to directories that were closed to keep to it.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "walk_thread.h"

namespace kvm {
namespace {

// Of all threads together. One more is open in each thread while it goes from one directory to another.
constexpr std::uint32_t kMostOpen = 96;

// `..` at once, each with its slash, within PATH_MAX.
constexpr std::uint32_t kMostLevels = 1000;

// How long a thread waits for descriptors from when there were some, and how often it looks: rarely enough to
// cost nothing, often enough to be cancelled in time.
constexpr int kMostWaits = 100;
constexpr long kWaitNs = 10'000'000;

void WaitBriefly() {
  const NotAtWork waits;
  const timespec time{0, kWaitNs};
  ::nanosleep(&time, nullptr);
}

}  // namespace

std::uint32_t WalkThread::Budget(unsigned threads) {
  const std::uint32_t share = kMostOpen / threads;
  return share > 1 ? share - 1 : 1;
}

void WalkThread::KeepToBudget() {
  while (stack_.open() > budget_ && stack_.CloseOutermost()) {
  }
}

void WalkThread::LeaveDone() {
  const Fd from = stack_.Pop();
  for (std::uint32_t levels = 1; !stack_.empty(); levels++) {
    if (stack_.innermost().HasWork()) {
      if (stack_.innermost().fd >= 0) return;
      Fd dir;
      const int error = Reopen(from, levels, &dir);
      if (error == 0) return stack_.Reopened(std::move(dir));
      Fail(error);
      if (state_.stopped()) return;
    }
    stack_.Pop();
  }
}

// Opens the innermost frame's directory again, `levels` above `from`: by `..` where that leads there,
// otherwise by names. EAGAIN: it was moved while it was measured, and what is not yet counted of it cannot be
// found.
int WalkThread::Reopen(const Fd& from, std::uint32_t levels, Fd* dir) {
  const Frame& frame = stack_.innermost();
  const int flags = frame.read_to_end ? O_PATH | O_DIRECTORY : kReadDirectory | no_atime_;
  int error = ReopenUpwards(from, levels, flags, dir);
  if (error != 0) {
    dir->Reset();
    error = ReopenByNames(flags, dir);
  }
  if (error == 0 && !frame.read_to_end) {
    if (::lseek(dir->get(), frame.offset, SEEK_SET) < 0) error = errno;
    Returned();
  }
  return error;
}

int WalkThread::ReopenUpwards(const Fd& from, std::uint32_t levels, int flags, Fd* dir) {
  Fd above;
  while (levels > 0) {
    const std::uint32_t steps = std::min(levels, kMostLevels);
    levels -= steps;
    std::string up;
    for (std::uint32_t i = 0; i < steps; i++) up += "../";
    const int error = Open(above ? above.get() : from.get(), up.c_str(), levels > 0 ? O_PATH | O_DIRECTORY : flags, dir);
    if (error != 0) return error;
    if (levels > 0) above = std::move(*dir);
  }
  return CheckInode(*dir, stack_.innermost().ino);
}

int WalkThread::ReopenByNames(int flags, Fd* dir) {
  const std::string path = PathFromRoot();
  Fd above;
  int error = Open(AT_FDCWD, state_.options.path.c_str(), O_PATH | O_DIRECTORY, &above);
  if (error == 0) error = CheckInode(above, state_.root.ino);
  for (std::size_t at = 0; error == 0 && at < path.size();) {
    if (state_.stopped()) return EAGAIN;
    const std::size_t end = std::min(path.find('/', at + 1), path.size());
    const std::string name = path.substr(at + 1, end - at - 1);
    at = end;
    const bool last = at == path.size();
    error = Open(above.get(), name.c_str(), O_NOFOLLOW | (last ? flags : O_PATH | O_DIRECTORY), dir);
    if (!last) above = std::move(*dir);
  }
  if (error == 0 && path.empty()) error = Open(above.get(), ".", flags, dir);
  if (error == 0) error = CheckInode(*dir, stack_.innermost().ino);
  const bool elsewhere = error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV;
  return elsewhere ? EAGAIN : error;
}

int WalkThread::CheckInode(const Fd& dir, std::uint64_t ino) {
  EntryStat stat;
  const int error = Stat(dir.get(), "", &stat);
  if (error != 0) return error;
  return stat.Device() == state_.root.device && stat.ino == ino ? 0 : EAGAIN;
}

// Opens `name` in `dir`, within the mount unless `dir` is AT_FDCWD. While there are no descriptors, this
// thread gives up its own first and then waits for others'.
int WalkThread::Open(int dir, const char* name, int flags, Fd* fd) {
  const KernelFeatures kernel = dir == AT_FDCWD ? KernelFeatures{} : state_.root.kernel;
  for (;;) {
    const int error = OpenAt(kernel, dir, name, flags, fd);
    Returned();
    if (error == EPERM && (flags & O_NOATIME) != 0) {
      // Only for owners and the privileged.
      no_atime_ = 0;
      flags &= ~O_NOATIME;
    } else if (error != EMFILE && error != ENFILE) {
      waits_ = 0;
      return error;
    } else if (stack_.CloseOutermost()) {
      budget_ = std::max(stack_.open(), 1u);
    } else if (waits_ < kMostWaits && !state_.stopped()) {
      waits_++;
      WaitBriefly();
    } else {
      return error;
    }
  }
}

std::string WalkThread::PathFromRoot() const {
  std::string path;
  if (base_ != nullptr) path = *base_;
  if (!stack_.empty()) stack_.AppendPath(stack_.depth() - 1, &path);
  return path;
}

}  // namespace kvm
