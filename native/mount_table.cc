#include "mount_table.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "walk_work.h"

namespace kvm {
namespace {

// The next field, fields being separated by one space.
std::string_view NextField(std::string_view* line) {
  const std::size_t end = line->find(' ');
  const std::string_view field = line->substr(0, end);
  line->remove_prefix(end == std::string_view::npos ? line->size() : end + 1);
  return field;
}

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// The kernel writes space, tab, newline, `#` and backslash as a backslash and three octal digits.
void AppendUnescaped(std::string_view text, std::string* plain) {
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size() && IsOctal(text[i + 1]) && IsOctal(text[i + 2]) && IsOctal(text[i + 3])) {
      *plain += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
      i += 3;
    } else {
      *plain += text[i];
    }
  }
}

// Of the thread: threads may be in different mount namespaces. Not before Linux 3.17; then the process's.
int OpenMountInfo(Fd* file) {
  const int error = OpenAt({}, AT_FDCWD, "/proc/thread-self/mountinfo", O_RDONLY, file);
  return error != ENOENT ? error : OpenAt({}, AT_FDCWD, "/proc/self/mountinfo", O_RDONLY, file);
}

// A list that keeps changing while it is read is taken as it was read last, and read again the next time.
constexpr int kMostReads = 4;

}  // namespace

MountIndex::MountIndex(std::string_view mountinfo) {
  while (!mountinfo.empty()) {
    const std::size_t end = mountinfo.find('\n');
    std::string_view line = mountinfo.substr(0, end);
    mountinfo.remove_prefix(end == std::string_view::npos ? mountinfo.size() : end + 1);
    // id, parent's id, device, root within the filesystem, mount point, and more
    ids_.push_back(LeadingNumber(NextField(&line)));
    Point point{LeadingNumber(NextField(&line)), paths_.size(), 0};
    NextField(&line);
    NextField(&line);
    AppendUnescaped(NextField(&line), &paths_);
    point.length = paths_.size() - point.offset;
    if (point.length > 0) points_.push_back(point);
  }
  paths_.shrink_to_fit();
  std::sort(ids_.begin(), ids_.end());
  std::sort(points_.begin(), points_.end(), [this](const Point& a, const Point& b) {
    return std::make_tuple(a.parent, PathOf(a)) < std::make_tuple(b.parent, PathOf(b));
  });
}

bool MountIndex::Has(std::uint64_t mount_id) const { return std::binary_search(ids_.begin(), ids_.end(), mount_id); }

bool MountIndex::HasPointsOn(std::uint64_t mount_id) const {
  const Point* const first = FirstPoint(mount_id, {});
  return first != points_.data() + points_.size() && first->parent == mount_id;
}

const MountIndex::Point* MountIndex::FirstPoint(std::uint64_t mount_id, std::string_view path) const {
  const auto found = std::partition_point(points_.begin(), points_.end(), [&](const Point& point) {
    return point.parent != mount_id ? point.parent < mount_id : PathOf(point) < path;
  });
  return points_.data() + (found - points_.begin());
}

const std::shared_ptr<MountTable>& MountTable::Shared() {
  constexpr std::chrono::seconds kMostAge{10};
  // Leaked on purpose: a static's destructor would run at exit, while detached threads still use it.
  static const auto* const table = new std::shared_ptr<MountTable>(std::make_shared<MountTable>(kMostAge));
  return *table;
}

std::shared_ptr<const MountIndex> MountTable::Now(int* error) {
  const Place place = PlaceOfThread();
  const WorkLock lock(lock_);
  *error = 0;
  if (IsCurrent(place)) return index_;
  index_ = nullptr;
  place_ = place;
  *error = Read();
  if (*error != 0) file_.Reset();
  return *error == 0 ? index_ : nullptr;
}

std::uint64_t MountTable::Reads() {
  const std::lock_guard<std::mutex> lock(lock_);
  return reads_;
}

MountTable::Place MountTable::PlaceOfThread() {
  EntryStat root;
  if (StatOwnRoot(&root) != 0 || !root.TellsMountId()) return {};
  return {root.mount_id, root.ino, root.Device()};
}

// Also forgets the file of another place.
bool MountTable::IsCurrent(const Place& place) {
  if (place.mount_id == 0 || !(place == place_)) file_.Reset();
  if (!file_ || index_ == nullptr) return false;
  return !HasChanged() && Clock::now() - read_at_ < most_age_;
}

// Since the last time that this was asked, or the file was opened.
bool MountTable::HasChanged() {
  pollfd asked{file_.get(), POLLPRI, 0};
  return ::poll(&asked, 1, 0) != 0;
}

// Returns 0 or an errno.
int MountTable::Read() {
  if (!file_) {
    if (const int error = OpenMountInfo(&file_)) return error;
  }
  read_at_ = Clock::now();
  std::string text;
  bool changed = true;
  for (int i = 0; changed && i < kMostReads; i++) {
    reads_++;
    text.clear();
    if (const int error = ReadWhole(file_.get(), &text)) return error;
    // What changed during it may be in the list in part.
    changed = HasChanged();
  }
  index_ = std::make_shared<const MountIndex>(text);
  // The next one who asks opens and reads it anew.
  if (changed) file_.Reset();
  return 0;
}

}  // namespace kvm
