#include "walk_mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace kvm {
namespace {

// The mount that `fd` was opened on. Returns 0 or an errno.
int MountId(int fd, std::uint64_t* id) {
  Fd file;
  std::string info;
  if (const int error = OpenAt({}, AT_FDCWD, ("/proc/self/fdinfo/" + std::to_string(fd)).c_str(), O_RDONLY, &file)) {
    return error;
  }
  if (const int error = ReadWhole(file.get(), &info)) return error;
  constexpr std::string_view kLabel = "mnt_id:\t";
  const std::size_t at = info.find(kLabel);
  if (at == std::string::npos) return ENOSYS;
  *id = LeadingNumber(std::string_view(info).substr(at + kLabel.size()));
  return 0;
}

}  // namespace

MountNode::~MountNode() {
  std::vector<std::unique_ptr<MountNode>> rest;
  const auto take_children = [&rest](MountNode* node) {
    for (auto& [name, child] : node->children_) rest.push_back(std::move(child));
    node->children_.clear();
  };
  take_children(this);
  while (!rest.empty()) {
    const std::unique_ptr<MountNode> node = std::move(rest.back());
    rest.pop_back();
    take_children(node.get());
  }
}

void MountNode::AddMountPoint(std::string_view path) {
  MountNode* node = this;
  while (!path.empty()) {
    const std::size_t end = path.find('/');
    std::unique_ptr<MountNode>& child = node->children_[std::string(path.substr(0, end))];
    if (child == nullptr) child = std::make_unique<MountNode>();
    node = child.get();
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
  }
  node->mount_point_ = true;
}

bool AddMountPoints(const MountIndex& mounts, std::string_view root, std::uint64_t mount_id, MountNode* node) {
  mounts.EachPointBelow(root, mount_id, [node](std::string_view point) { node->AddMountPoint(point); });
  return mounts.Has(mount_id);
}

bool ReadMountPoints(int root, const EntryStat& stat, MountTable& table, MountNode* node, int* error) {
  *error = 0;
  std::uint64_t mount_id = stat.mount_id;
  if (!stat.TellsMountId() && (*error = MountId(root, &mount_id)) != 0) return false;
  // Not before the root is open: its mount is in the table then.
  const std::shared_ptr<const MountIndex> mounts = table.Now(error);
  if (mounts == nullptr) return false;
  if (!mounts->HasPointsOn(mount_id)) return mounts->Has(mount_id);
  char path[PATH_MAX];
  const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(root)).c_str(), path, sizeof path);
  if (length < 0 || length == sizeof path) {
    *error = length < 0 ? errno : ENAMETOOLONG;
    return false;
  }
  return AddMountPoints(*mounts, {path, static_cast<std::size_t>(length)}, mount_id, node);
}

}  // namespace kvm
