#include "fs_info.h"

#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

namespace kvm {
namespace {

// statfs(2)'s f_flags; glibc and musl name them for statvfs(3) only.
constexpr std::uint64_t kReadOnly = 0x0001;
constexpr std::uint64_t kFlagsAreValid = 0x0020;

// A signal cannot interrupt these threads (all are blocked), but a FUSE server may answer EINTR of its own.
template <typename Call>
int Retry(Call call) {
  while (call() != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

CallResult AskStatFs(const char* path) {
  CallResult result;
  struct statfs fs {};
  result.error = Retry([&] { return ::statfs(path, &fs); });
  if (result.error != 0) return result;
  const auto flags = static_cast<std::uint64_t>(fs.f_flags);
  // The counts are in units of f_frsize; f_bsize is the preferred size of a transfer (nodejs/node#50749). A filesystem
  // that leaves f_frsize at 0 means f_bsize by it.
  const auto unit = fs.f_frsize != 0 ? fs.f_frsize : fs.f_bsize;
  result.values = {static_cast<std::uint32_t>(fs.f_type),
                   static_cast<std::uint64_t>(unit),
                   fs.f_blocks,
                   fs.f_bfree,
                   fs.f_bavail,
                   fs.f_files,
                   fs.f_ffree,
                   (flags & kFlagsAreValid) == 0 ? 2U : flags & kReadOnly};
  return result;
}

CallResult AskStat(const char* path) {
  CallResult result;
  struct stat info {};
  result.error = Retry([&] { return ::stat(path, &info); });
  if (result.error != 0) return result;
  result.values = {info.st_mode, static_cast<std::uint64_t>(info.st_size), info.st_dev, info.st_ino, info.st_rdev};
  return result;
}

}  // namespace

CallResult AskKernel(CallKind kind, const std::string& path) {
  return kind == CallKind::kStatFs ? AskStatFs(path.c_str()) : AskStat(path.c_str());
}

}  // namespace kvm
