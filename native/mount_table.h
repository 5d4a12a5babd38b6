// The mounts of a mount namespace, kept between walks: to read the kernel's list takes longer than a small tree,
// and longer the more mounts there are.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "walk_kernel.h"

namespace kvm {

// The list at one time, by what each mount is mounted on. Never changed.
class MountIndex {
 public:
  // `mountinfo` is the text of a /proc/PID/mountinfo. Lines of another form are skipped.
  explicit MountIndex(std::string_view mountinfo);
  MountIndex(const MountIndex&) = delete;
  MountIndex& operator=(const MountIndex&) = delete;

  // False: the mount belongs to another mount namespace, say.
  bool Has(std::uint64_t mount_id) const;
  // Whether anything is mounted on the mount itself.
  bool HasPointsOn(std::uint64_t mount_id) const;
  // Calls `each` with the mount points below the directory `root` on the mount itself, relative to it. What lies
  // on mounts below those is left out.
  template <typename Each>
  void EachPointBelow(std::string_view root, std::uint64_t mount_id, Each each) const {
    const std::string below = root == "/" ? "/" : std::string(root) + '/';
    for (const Point* point = FirstPoint(mount_id, below); point != points_.data() + points_.size(); point++) {
      const std::string_view path = PathOf(*point);
      if (point->parent != mount_id || path.substr(0, below.size()) != below) return;
      if (path.size() > below.size()) each(path.substr(below.size()));
    }
  }

 private:
  struct Point {
    std::uint64_t parent;
    std::size_t offset, length;  // of the path in paths_
  };

  std::string_view PathOf(const Point& point) const { return {paths_.data() + point.offset, point.length}; }
  // The first one on the mount whose path is not less than `path`.
  const Point* FirstPoint(std::uint64_t mount_id, std::string_view path) const;

  std::vector<std::uint64_t> ids_;  // sorted
  std::vector<Point> points_;       // sorted by parent and path
  std::string paths_;
};

// The list as it is now. The kernel tells by poll(2) when it has changed since it was last asked, to one asker of
// an open file; so there is one file, and a lock around it.
//
// Kept are only lists of the mount namespace and the root directory (chroot) of the thread that asks, both of
// which the mount id of `/` tells (Linux 5.8). Without it the list is read each time. What the kernel does not
// tell is that a directory above a mount point was renamed; so no list is kept for longer than `most_age`. A
// child process that was forked without exec shares the file, and with it what the kernel tells: it must not
// walk.
class MountTable {
 public:
  explicit MountTable(std::chrono::milliseconds most_age) : most_age_(most_age) {}
  MountTable(const MountTable&) = delete;
  MountTable& operator=(const MountTable&) = delete;

  // The process's table.
  static const std::shared_ptr<MountTable>& Shared();

  // Every mount that was there before the call is in it. nullptr and an errno: the list cannot be read.
  std::shared_ptr<const MountIndex> Now(int* error);

  // How often the list was read.
  std::uint64_t Reads();

 private:
  using Clock = std::chrono::steady_clock;
  // Where the thread that asks is.
  struct Place {
    bool operator==(const Place& other) const {
      return mount_id == other.mount_id && ino == other.ino && device == other.device;
    }
    std::uint64_t mount_id = 0;  // 0: not known
    std::uint64_t ino = 0;
    std::uint64_t device = 0;
  };

  static Place PlaceOfThread();
  // These three run under lock_.
  bool IsCurrent(const Place& place);
  bool HasChanged();
  int Read();

  const std::chrono::milliseconds most_age_;
  std::mutex lock_;
  Fd file_;
  Place place_;
  Clock::time_point read_at_;
  std::shared_ptr<const MountIndex> index_;
  std::uint64_t reads_ = 0;
};

}  // namespace kvm
