#include "walk_kernel.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace kvm {
namespace {

#ifdef SYS_openat2
constexpr long kOpenat2 = SYS_openat2;
#else
constexpr long kOpenat2 = 437;
#endif

// struct open_how of linux/openat2.h, which older header packages lack.
struct OpenHow {
  std::uint64_t flags, mode, resolve;
};
constexpr std::uint64_t kResolveNoXdev = 0x01;

constexpr int kDontSync = 0x4000;  // AT_STATX_DONT_SYNC
constexpr unsigned kStatxType = 0x1;
constexpr unsigned kStatxNlink = 0x4;
constexpr unsigned kStatxIno = 0x100;
constexpr unsigned kStatxSize = 0x200;
constexpr unsigned kStatxBlocks = 0x400;

// FUSE servers may answer EINTR themselves, any number of times.
constexpr int kMostInterrupts = 100;

template <typename Call>
long Uninterrupted(Call call) {
  long result = call();
  for (int i = 0; i < kMostInterrupts && result < 0 && errno == EINTR; i++) result = call();
  return result;
}

int Opened(long fd, Fd* out) {
  if (fd < 0) return errno;
  out->Reset(static_cast<int>(fd));
  return 0;
}

int StatWithoutStatx(int dir, const char* name, int flags, EntryStat* stat) {
  struct stat info {};
  if (Uninterrupted([&] { return ::fstatat(dir, name, &info, flags); }) < 0) return errno;
  *stat = {};
  stat->mode = static_cast<std::uint16_t>(info.st_mode);
  stat->nlink = static_cast<std::uint32_t>(std::min<std::uint64_t>(info.st_nlink, UINT32_MAX));
  stat->ino = info.st_ino;
  stat->size = static_cast<std::uint64_t>(info.st_size);
  stat->blocks = static_cast<std::uint64_t>(info.st_blocks);
  stat->dev_major = major(info.st_dev);
  stat->dev_minor = minor(info.st_dev);
  return 0;
}

}  // namespace

void Fd::Reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

int StatEntry(const KernelFeatures& features, int dir, const char* name, bool with_birth, EntryStat* stat) {
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name == '\0' ? AT_EMPTY_PATH : 0);
  if (!features.statx) return StatWithoutStatx(dir, name, flags, stat);
  constexpr unsigned kMask = kStatxType | kStatxNlink | kStatxIno | kStatxSize | kStatxBlocks | EntryStat::kMountId;
  const unsigned mask = with_birth ? kMask | EntryStat::kBirth : kMask;
  return Uninterrupted([&] { return ::syscall(SYS_statx, dir, name, flags, mask, stat); }) < 0 ? errno : 0;
}

int StatOwnRoot(EntryStat* stat) {
  constexpr int kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | kDontSync;
  constexpr unsigned kMask = kStatxIno | EntryStat::kMountId;
  return Uninterrupted([&] { return ::syscall(SYS_statx, AT_FDCWD, "/", kFlags, kMask, stat); }) < 0 ? errno : 0;
}

int OpenAt(const KernelFeatures& features, int dir, const char* name, int flags, Fd* fd) {
  flags |= O_CLOEXEC;
  if (!features.openat2) return Opened(Uninterrupted([&] { return ::openat(dir, name, flags); }), fd);
  OpenHow how{static_cast<std::uint64_t>(static_cast<unsigned>(flags)), 0, kResolveNoXdev};
  return Opened(Uninterrupted([&] { return ::syscall(kOpenat2, dir, name, &how, sizeof how); }), fd);
}

int ReadEntries(int dir, char* buffer, std::size_t size, std::size_t* bytes) {
  const long result = Uninterrupted([&] { return ::syscall(SYS_getdents64, dir, buffer, size); });
  if (result < 0) return errno;
  *bytes = static_cast<std::size_t>(result);
  return 0;
}

int ReadWhole(int file, std::string* text) {
  char buffer[4096];
  for (off_t offset = 0;;) {
    const ssize_t bytes = ::pread(file, buffer, sizeof buffer, offset);
    if (bytes == 0) return 0;
    if (bytes < 0 && errno != EINTR) return errno;
    if (bytes < 0) continue;
    text->append(buffer, static_cast<std::size_t>(bytes));
    offset += bytes;
  }
}

std::uint64_t LeadingNumber(std::string_view text) {
  std::uint64_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') break;
    number = number * 10 + static_cast<unsigned>(digit - '0');
  }
  return number;
}

bool HasOpenat2(int dir) {
  Fd fd;
  const int error = OpenAt({true}, dir, ".", O_PATH, &fd);
  // Without descriptors it is there all the same.
  return error == 0 || error == EMFILE || error == ENFILE;
}

bool HasStatx() {
  // Of no descriptor: what gets as far as looking at it says that. A filter answers before.
  EntryStat stat;
  return ::syscall(SYS_statx, -1, "", AT_EMPTY_PATH, kStatxType, &stat) == 0 || (errno != ENOSYS && errno != EPERM);
}

int ReadHandle(int dir, const char* name, FileHandle* handle) {
  int mount = 0;
  const int flags = *name == '\0' ? AT_EMPTY_PATH : 0;
  const long result =
      Uninterrupted([&] { return ::syscall(SYS_name_to_handle_at, dir, name, handle, &mount, flags); });
  return result < 0 ? errno : 0;
}

FilesystemTraits TraitsOf(int dir) {
  FilesystemTraits traits;
  struct statfs info {};
  if (::fstatfs(dir, &info) != 0) {
    traits.may_have_automounts = traits.numbers_of_a_server = true;
    return traits;
  }
  switch (static_cast<std::uint32_t>(info.f_type)) {
    case 0x65735546:  // fuse, virtiofs
      traits.may_alias_directories = true;
      [[fallthrough]];
    case 0x6969:      // nfs
    case 0xff534d42:  // cifs
    case 0xfe534d42:  // smb2
    case 0x6b414653:  // afs
    case 0x5346414f:  // openafs
      traits.may_have_automounts = traits.numbers_of_a_server = true;
      break;
    case 0x187:       // autofs
    case 0x64626720:  // debugfs
      traits.may_have_automounts = true;
      break;
    case 0x01021997:  // 9p
      traits.numbers_of_a_server = true;
      break;
    default:
      break;
  }
  return traits;
}

void LowerThreadPriority() {
  constexpr int kLowestNice = 19;
  constexpr int kWhoProcess = 1;  // IOPRIO_WHO_PROCESS: with 0 the calling thread, as for setpriority
  constexpr int kBestEffort = 2;  // IOPRIO_CLASS_BE
  constexpr int kLowest = 7;
  ::setpriority(PRIO_PROCESS, 0, kLowestNice);
  ::syscall(SYS_ioprio_set, kWhoProcess, 0, kBestEffort << 13 | kLowest);
}

}  // namespace kvm
