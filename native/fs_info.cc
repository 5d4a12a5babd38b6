#include "fs_info.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <cerrno>

namespace kvm {
namespace {

// statfs(2)'s f_flags; glibc and musl name them for statvfs(3) only.
constexpr std::uint64_t kReadOnly = 0x0001;
constexpr std::uint64_t kFlagsAreValid = 0x0020;

// A signal cannot interrupt these threads (all are blocked), but a FUSE server may answer EINTR of its own,
// for ever.
template <typename Call>
int Retry(Call call) {
  constexpr int kMostTimes = 100;
  for (int time = 1; call() != 0; ++time) {
    if (errno != EINTR || time == kMostTimes) return errno;
  }
  return 0;
}

// Sets the first eight values.
void AskStatFs(const char* path, CallResult* result) {
  struct statfs fs {};
  result->error = Retry([&] { return ::statfs(path, &fs); });
  if (result->error != 0) return;
  const auto flags = static_cast<std::uint64_t>(fs.f_flags);
  // The counts are in units of f_frsize; f_bsize is the preferred size of a transfer (nodejs/node#50749). A
  // filesystem that leaves f_frsize at 0 means f_bsize by it.
  const auto unit = fs.f_frsize != 0 ? fs.f_frsize : fs.f_bsize;
  result->values = {static_cast<std::uint32_t>(fs.f_type),
                    static_cast<std::uint64_t>(unit),
                    fs.f_blocks,
                    fs.f_bfree,
                    fs.f_bavail,
                    fs.f_files,
                    fs.f_ffree,
                    (flags & kFlagsAreValid) == 0 ? 2U : flags & kReadOnly};
}

#ifdef STATX_MNT_ID
// What older headers lack: the number of a mount that the kernel never uses again (Linux 6.8). It comes in
// the place of the other one.
constexpr unsigned kStatxUniqueMount = 0x4000;

std::uint64_t UniqueMountOf(const char* path) {
  struct statx info {};
  const int error = Retry([&] { return ::statx(AT_FDCWD, path, 0, STATX_TYPE | kStatxUniqueMount, &info); });
  if (error != 0 || (info.stx_mask & kStatxUniqueMount) == 0) return 0;
  return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 ? info.stx_mnt_id : 0;
}
#endif

// Only statx(2) says which mount a path is on, and whether it is the root of it (Linux 5.8). Where there is
// none, or a seccomp filter of before its time refuses it (EPERM), stat(2) says the rest.
bool AskStatx(const char* path, CallResult* result) {
#ifdef STATX_MNT_ID
  struct statx info {};
  result->error = Retry([&] { return ::statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_MNT_ID, &info); });
  if (result->error == ENOSYS || result->error == EPERM) return false;
  const bool says_mount = (info.stx_mask & STATX_MNT_ID) != 0 && (info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0;
  result->values = {info.stx_mode,
                    info.stx_size,
                    makedev(info.stx_dev_major, info.stx_dev_minor),
                    info.stx_ino,
                    makedev(info.stx_rdev_major, info.stx_rdev_minor),
                    says_mount ? info.stx_mnt_id : 0,
                    !says_mount ? 2U : (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 ? 1U : 0U, 0};
  if (result->error == 0 && result->values[6] == 1) result->values[7] = UniqueMountOf(path);
  return true;
#else
  return false;
#endif
}

CallResult AskStat(const char* path) {
  CallResult result;
  if (AskStatx(path, &result)) return result;
  struct stat info {};
  result.error = Retry([&] { return ::stat(path, &info); });
  if (result.error != 0) return result;
  result.values = {info.st_mode, static_cast<std::uint64_t>(info.st_size), info.st_dev, info.st_ino, info.st_rdev, 0, 2, 0};
  return result;
}

// What is mounted right at a path.
struct Look {
  int error = 0;
  bool tells_mount = false;
  bool is_root = false;
  // Never used for another mount since Linux 6.8.
  std::uint64_t mount_id = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  bool SameMount(const Look& other) const { return is_root && other.is_root && mount_id == other.mount_id; }
};

Look LookAt([[maybe_unused]] const char* path) {
  Look look;
#ifdef STATX_MNT_ID
  struct statx info {};
  // A kernel that knows one of the two numbers gives that one, and says which.
  look.error =
      Retry([&] { return ::statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_MNT_ID | kStatxUniqueMount, &info); });
  if (look.error != 0) {
    if (look.error == ENOSYS || look.error == EPERM) look.error = 0;
    return look;
  }
  look.tells_mount = (info.stx_mask & (STATX_MNT_ID | kStatxUniqueMount)) != 0 &&
                     (info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0;
  look.is_root = (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  look.mount_id = info.stx_mnt_id;
  look.device = makedev(info.stx_dev_major, info.stx_dev_minor);
  look.inode = info.stx_ino;
#endif
  return look;
}

CallResult AskMountStatFs(const char* path) {
  CallResult result;
  const Look before = LookAt(path);
  result.error = before.error;
  if (result.error != 0) return result;
  auto seen = !before.tells_mount ? MountSeen::kUnknown : MountSeen::kNone;
  if (before.tells_mount && before.is_root) {
    AskStatFs(path, &result);
    result.of_statfs = result.error != 0;
    if (result.error != 0) return result;
    const Look after = LookAt(path);
    result.error = after.error;
    if (result.error != 0) return result;
    seen = before.SameMount(after) ? MountSeen::kSame : MountSeen::kChanged;
  }
  result.values[8] = static_cast<std::uint64_t>(seen);
  result.values[9] = before.device;
  result.values[10] = before.inode;
  return result;
}

}  // namespace

CallResult AskKernel(CallKind kind, const std::string& path) {
  if (kind == CallKind::kMountStatFs) return AskMountStatFs(path.c_str());
  if (kind == CallKind::kStat) return AskStat(path.c_str());
  CallResult result;
  AskStatFs(path.c_str(), &result);
  return result;
}

}  // namespace kvm
