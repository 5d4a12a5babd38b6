// The directories that a thread is in: from where it began (frame 0, the outermost) down to the innermost.
//
// All names lie in one array, in the order of the frames: a frame's waiting names in [next, end), and before
// `next` the name by which the next frame was entered. Nothing is allocated per directory.
#pragma once

#include <cstdint>
#include <string>

#include "walk_array.h"
#include "walk_kernel.h"
#include "walk_mounts.h"

namespace kvm {

// A directory that has been entered and counted.
struct Frame {
  bool HasWork() const { return waiting > 0 || !read_to_end; }

  std::uint64_t ino;
  std::int64_t offset;      // when closed: where reading goes on, a cookie of the filesystem
  const MountNode* mounts;  // not null: mount points lie below
  int fd;                   // -1: closed, because it has no work or to keep within the budget
  std::uint32_t name;       // its own name's place
  std::uint32_t next, end;  // names of subdirectories still to be entered, each ended by NUL
  std::uint32_t waiting;    // their number
  bool read_to_end;
};

class WalkStack {
 public:
  WalkStack() = default;
  WalkStack(const WalkStack&) = delete;
  WalkStack& operator=(const WalkStack&) = delete;
  ~WalkStack() { Clear(); }

  bool empty() const { return frames_.empty(); }
  std::uint32_t depth() const { return frames_.size(); }
  std::uint32_t open() const { return open_; }
  Frame& innermost() { return frames_.back(); }
  Frame& operator[](std::uint32_t i) { return frames_[i]; }
  const char* Name(std::uint32_t place) const { return names_.data() + place; }
  std::uint32_t name_bytes() const { return names_.size(); }

  // Enters a directory, with no names yet. False: out of memory.
  bool Push(Fd fd, std::uint32_t name, std::uint64_t ino, const MountNode* mounts);
  // Leaves the innermost directory. Its descriptor is the caller's.
  Fd Pop();
  void Clear();

  // Adds `count` names to the innermost frame's waiting ones, each with its NUL. False: out of memory.
  bool AddNames(const char* names, std::uint32_t bytes, std::uint32_t count);
  // Takes the innermost frame's next waiting name, of which there must be one. Returns its place.
  std::uint32_t TakeName();
  // Frees the space of the innermost frame's names, all of which must be taken.
  void ForgetNames();
  // Takes `count` waiting names, the last ones, from any frame and appends them to `names`. False: out of
  // memory.
  bool TakeLast(std::uint32_t frame, std::uint32_t count, PlainArray<char>* names);

  // The descriptor goes, the frame stays.
  void Close(std::uint32_t frame);
  // Closes the outermost open directory that is read to its end, or, if there is none, the outermost. False:
  // only the innermost is open. One that is closed in the midst of being read is read on from a position, and
  // not every filesystem keeps positions when entries come and go (tmpfs before Linux 6.6, ramfs).
  bool CloseOutermost();
  // Gives the innermost frame, which is closed, a descriptor again.
  void Reopened(Fd fd);

  // The outermost open frame with waiting names, or depth(): what is there is likely the most work.
  std::uint32_t OutermostWaiting();

  // Appends the names of the frames after frame 0, down to `frame`, each behind a slash.
  void AppendPath(std::uint32_t frame, std::string* path) const;

 private:
  PlainArray<Frame> frames_;
  PlainArray<char> names_;
  std::uint32_t open_ = 0;
  // No frame before these is open, open and read to its end, or open with names waiting.
  std::uint32_t outermost_open_ = 0;
  std::uint32_t outermost_read_ = 0;
  std::uint32_t outermost_waiting_ = 0;
};

}  // namespace kvm
