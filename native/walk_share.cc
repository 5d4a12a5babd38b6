// Work that one thread hands to another: half of the subdirectories that wait in its outermost directory,
// which is likely the most work for one hand-over, or half of the entries it has just read.
#include <algorithm>
#include <cerrno>

#include "walk_thread.h"

namespace kvm {
namespace {

// A hand-over costs about as much as this many entries; deep down its path costs more.
constexpr std::uint32_t kEntriesPerShare = 32;
// A tree that has no more than this is walked by one thread: to wake another would cost more than it saves.
constexpr std::uint32_t kEntriesBeforeFirstShare = 128;
constexpr std::uint32_t kLevelsPerEntry = 8;

// Fewer bytes of entries than this, about 64, are not worth it.
constexpr std::size_t kLeastRecordBytes = 2048;

}  // namespace

bool WalkThread::Adopt(WalkShare& share) {
  base_ = share.path;
  since_shared_ = 0;
  share_after_ = share.part == WalkShare::Part::kRoot ? kEntriesBeforeFirstShare : kEntriesPerShare;
  records_ = records_end_ = 0;
  bool pushed = stack_.Push(std::move(share.dir), 0, share.ino, share.mounts);
  if (pushed && share.part == WalkShare::Part::kSubdirectories) {
    pushed = stack_.AddNames(share.names.data(), share.names.size(), share.count);
  }
  if (!pushed) {
    Fail(ENOMEM);
    return false;
  }
  if (share.part == WalkShare::Part::kEntries) {
    std::copy_n(share.names.data(), share.names.size(), buffer_);
    records_end_ = share.names.size();
  }
  stack_.innermost().read_to_end = share.part != WalkShare::Part::kRoot;
  return true;
}

void WalkThread::ShareWork() {
  if (since_shared_ < share_after_ + stack_.depth() / kLevelsPerEntry) return;
  const std::uint32_t innermost = stack_.depth() - 1;
  std::uint32_t frame = stack_.OutermostWaiting();
  if (frame > innermost || (frame == innermost && stack_[frame].waiting == 1)) {
    if (records_end_ - records_ < kLeastRecordBytes) return;
    frame = innermost;
  }
  if (!state_.ReserveTaker()) return;
  since_shared_ = 0;
  share_after_ = kEntriesPerShare;
  if (std::unique_ptr<WalkShare> share = Part(frame)) {
    state_.Give(std::move(share));
  } else {
    state_.ReleaseTaker();
  }
}

// Takes out a part of a frame's work. nullptr if the kernel or memory does not allow it: then nothing has
// changed.
std::unique_ptr<WalkShare> WalkThread::Part(std::uint32_t frame) {
  const bool innermost = frame == stack_.depth() - 1;
  auto share = std::make_unique<WalkShare>();
  // An open file of its own: two threads that use the same one contend for its count of users.
  const int error = OpenAt(state_.root.kernel, stack_[frame].fd, ".", O_PATH | O_DIRECTORY, &share->dir);
  Returned();
  if (error != 0) return nullptr;
  share->ino = stack_[frame].ino;
  share->mounts = stack_[frame].mounts;
  if (frame == 0) {
    share->path = base_;
  } else {
    auto path = std::make_shared<std::string>(*base_);
    stack_.AppendPath(frame, path.get());
    share->path = std::move(path);
  }
  const bool taken = innermost && stack_[frame].waiting <= 1 ? TakeEntries(share.get())
                                                             : TakeSubdirectories(frame, share.get());
  if (!taken) return nullptr;
  if (!innermost && !stack_[frame].HasWork()) stack_.Close(frame);
  return share;
}

bool WalkThread::TakeSubdirectories(std::uint32_t frame, WalkShare* share) {
  const std::uint32_t waiting = stack_[frame].waiting;
  // The innermost directory keeps the greater half: this thread has nothing else.
  share->count = frame == stack_.depth() - 1 ? waiting / 2 : waiting - waiting / 2;
  share->part = WalkShare::Part::kSubdirectories;
  return stack_.TakeLast(frame, share->count, &share->names);
}

bool WalkThread::TakeEntries(WalkShare* share) {
  const std::size_t half = records_ + (records_end_ - records_) / 2;
  std::size_t from = records_;
  while (from < half) from += reinterpret_cast<const EntryRecord*>(buffer_ + from)->length;
  share->part = WalkShare::Part::kEntries;
  if (!share->names.Append(buffer_ + from, records_end_ - from)) return false;
  records_end_ = from;
  return true;
}

}  // namespace kvm
