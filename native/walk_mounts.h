// The mount points below a walk's root, known before anything is opened: what is mounted there may never
// answer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "mount_table.h"
#include "walk_kernel.h"

namespace kvm {

// A directory on the way to a mount point, or a mount point, by names from the root. Only directories that
// lead to a mount point have a node, so only their entries are looked up. Unchanged once the walk runs.
class MountNode {
 public:
  MountNode() = default;
  MountNode(const MountNode&) = delete;
  MountNode& operator=(const MountNode&) = delete;
  // Takes no more stack for a deeper path: whoever may rename directories above a mount point chooses its
  // depth.
  ~MountNode();

  // The entry of that name, or nullptr: no mount point there or below.
  const MountNode* Child(std::string_view name) const {
    const auto found = children_.find(name);
    return found == children_.end() ? nullptr : found->second.get();
  }
  bool IsMountPoint() const { return mount_point_; }
  bool HasChildren() const { return !children_.empty(); }

  // `path` is relative to this node, without `.`, `..` and doubled slashes.
  void AddMountPoint(std::string_view path);

 private:
  std::map<std::string, std::unique_ptr<MountNode>, std::less<>> children_;
  bool mount_point_ = false;
};

// Adds the mount points below the directory `root` on the mount itself; what lies on mounts below those is never
// met. Returns false when the mount is not in the table: it belongs to another mount namespace, say.
bool AddMountPoints(const MountIndex& mounts, std::string_view root, std::uint64_t mount_id, MountNode* node);

// Adds the mount points below the open directory `root`, of which `stat` tells. False when they cannot be known:
// no /proc, a path longer than PATH_MAX, another mount namespace. `error` is then the errno of /proc, or 0.
bool ReadMountPoints(int root, const EntryStat& stat, MountTable& table, MountNode* node, int* error);

}  // namespace kvm
