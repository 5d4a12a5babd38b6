#include "walk_stack.h"

#include <unistd.h>

#include <algorithm>

namespace kvm {

bool WalkStack::Push(Fd fd, std::uint32_t name, std::uint64_t ino, const MountNode* mounts) {
  const std::uint32_t place = frames_.empty() ? 0 : names_.size();
  if (!frames_.Append(Frame{ino, 0, mounts, fd.get(), name, place, place, 0, false})) return false;
  fd.Release();
  open_++;
  return true;
}

Fd WalkStack::Pop() {
  Fd fd(frames_.back().fd);
  if (fd) open_--;
  frames_.Truncate(frames_.size() - 1);
  names_.Truncate(frames_.empty() ? 0 : frames_.back().end);
  const std::uint32_t last = frames_.empty() ? 0 : frames_.size() - 1;
  outermost_open_ = std::min(outermost_open_, last);
  outermost_read_ = std::min(outermost_read_, last);
  outermost_waiting_ = std::min(outermost_waiting_, last);
  return fd;
}

void WalkStack::Clear() {
  while (!frames_.empty()) Pop();
}

bool WalkStack::AddNames(const char* names, std::uint32_t bytes, std::uint32_t count) {
  if (!names_.Append(names, bytes)) return false;
  innermost().end = names_.size();
  innermost().waiting += count;
  return true;
}

std::uint32_t WalkStack::TakeName() {
  Frame& frame = innermost();
  const std::uint32_t name = frame.next;
  frame.next += static_cast<std::uint32_t>(std::strlen(Name(name))) + 1;
  frame.waiting--;
  return name;
}

void WalkStack::ForgetNames() {
  const std::uint32_t start = frames_.size() > 1 ? frames_[frames_.size() - 2].end : 0;
  names_.Truncate(start);
  innermost().next = innermost().end = start;
}

bool WalkStack::TakeLast(std::uint32_t frame, std::uint32_t count, PlainArray<char>* names) {
  Frame& from = frames_[frame];
  std::uint32_t first = from.next;
  for (std::uint32_t kept = from.waiting - count; kept > 0; kept--) {
    first += static_cast<std::uint32_t>(std::strlen(Name(first))) + 1;
  }
  if (!names->Append(Name(first), from.end - first)) return false;
  from.end = first;
  from.waiting -= count;
  // Behind those of another frame lie the next frame's, which stay where they are.
  if (frame == frames_.size() - 1) names_.Truncate(first);
  return true;
}

void WalkStack::Close(std::uint32_t frame) {
  const Fd fd(std::exchange(frames_[frame].fd, -1));
  if (!frames_[frame].read_to_end) frames_[frame].offset = ::lseek(fd.get(), 0, SEEK_CUR);
  open_--;
}

bool WalkStack::CloseOutermost() {
  if (frames_.empty()) return false;
  const std::uint32_t last = frames_.size() - 1;
  std::uint32_t& read = outermost_read_;
  while (read < last && (frames_[read].fd < 0 || !frames_[read].read_to_end)) read++;
  if (read < last) {
    Close(read);
    return true;
  }
  while (outermost_open_ < last && frames_[outermost_open_].fd < 0) outermost_open_++;
  if (outermost_open_ >= last) return false;
  Close(outermost_open_);
  return true;
}

void WalkStack::Reopened(Fd fd) {
  innermost().fd = fd.Release();
  open_++;
}

std::uint32_t WalkStack::OutermostWaiting() {
  std::uint32_t& i = outermost_waiting_;
  while (i < frames_.size() && (frames_[i].fd < 0 || frames_[i].waiting == 0)) {
    // The innermost may get names; any other one only when it is the innermost again.
    if (i == frames_.size() - 1) return frames_.size();
    i++;
  }
  return i;
}

void WalkStack::AppendPath(std::uint32_t frame, std::string* path) const {
  for (std::uint32_t i = 1; i <= frame; i++) *path += '/' + std::string(Name(frames_[i].name));
}

}  // namespace kvm
