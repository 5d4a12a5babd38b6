#include "walk_mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "walk_kernel.h"

namespace kvm {
namespace {

// The next field, fields being separated by one space.
std::string_view NextField(std::string_view* line) {
  const std::size_t end = line->find(' ');
  const std::string_view field = line->substr(0, end);
  line->remove_prefix(end == std::string_view::npos ? line->size() : end + 1);
  return field;
}

std::uint64_t Number(std::string_view text) {
  std::uint64_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') break;
    number = number * 10 + static_cast<unsigned>(digit - '0');
  }
  return number;
}

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// The kernel writes space, tab, newline, `#` and backslash as a backslash and three octal digits.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size() && IsOctal(text[i + 1]) && IsOctal(text[i + 2]) && IsOctal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// Reads a file of /proc, whose size is not known before. Returns 0 or an errno.
int ReadWhole(const char* path, std::string* text) {
  Fd file;
  if (const int error = OpenAt({}, AT_FDCWD, path, O_RDONLY, &file)) return error;
  char buffer[4096];
  for (;;) {
    const ssize_t bytes = ::read(file.get(), buffer, sizeof buffer);
    if (bytes == 0) return 0;
    if (bytes > 0) text->append(buffer, static_cast<std::size_t>(bytes));
    if (bytes < 0 && errno != EINTR) return errno;
  }
}

// The mount that `fd` was opened on. Returns 0 or an errno.
int MountId(int fd, std::uint64_t* id) {
  std::string info;
  if (const int error = ReadWhole(("/proc/self/fdinfo/" + std::to_string(fd)).c_str(), &info)) return error;
  constexpr std::string_view kLabel = "mnt_id:\t";
  const std::size_t at = info.find(kLabel);
  if (at == std::string::npos) return ENOSYS;
  *id = Number(std::string_view(info).substr(at + kLabel.size()));
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

bool AddMountPoints(std::string_view mountinfo, std::string_view root, std::uint64_t mount_id, MountNode* node) {
  const std::string below = root == "/" ? "/" : std::string(root) + '/';
  bool known = false;
  while (!mountinfo.empty()) {
    const std::size_t end = mountinfo.find('\n');
    std::string_view line = mountinfo.substr(0, end);
    mountinfo.remove_prefix(end == std::string_view::npos ? mountinfo.size() : end + 1);
    // id, parent's id, device, root within the filesystem, mount point, and more
    known |= Number(NextField(&line)) == mount_id;
    if (Number(NextField(&line)) != mount_id) continue;
    NextField(&line);
    NextField(&line);
    const std::string point = Unescape(NextField(&line));
    if (point.size() > below.size() && point.compare(0, below.size(), below) == 0) {
      node->AddMountPoint(std::string_view(point).substr(below.size()));
    }
  }
  return known;
}

bool ReadMountPoints(int root, MountNode* node, int* error) {
  std::uint64_t mount_id = 0;
  if ((*error = MountId(root, &mount_id)) != 0) return false;
  char path[PATH_MAX];
  const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(root)).c_str(), path, sizeof path);
  if (length < 0 || length == sizeof path) {
    *error = length < 0 ? errno : ENAMETOOLONG;
    return false;
  }
  std::string mountinfo;
  if ((*error = ReadWhole("/proc/self/mountinfo", &mountinfo)) != 0) return false;
  return AddMountPoints(mountinfo, {path, static_cast<std::size_t>(length)}, mount_id, node);
}

}  // namespace kvm
