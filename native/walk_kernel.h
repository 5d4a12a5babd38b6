// The system calls of a walk, by their numbers: neither glibc nor musl is asked what it knows of them.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace kvm {

// An open descriptor, closed when it goes.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1);
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// What the kernel offers beyond the oldest one supported, and what seccomp filters let through.
struct KernelFeatures {
  // openat2 with RESOLVE_NO_XDEV (Linux 5.6): opening a mount point gives EXDEV and touches nothing behind
  // it.
  bool openat2 = false;
  // statx (Linux 4.11). Without it nothing tells mount points, automounts and the time of birth.
  bool statx = true;
};

struct EntryTime {
  bool operator<(const EntryTime& other) const {
    return seconds != other.seconds ? seconds < other.seconds : nanoseconds < other.nanoseconds;
  }

  std::int64_t seconds;
  std::uint32_t nanoseconds, spare;
};

// struct statx of the kernel's ABI, as far as a walk reads it.
struct EntryStat {
  bool IsDirectory() const { return S_ISDIR(mode); }
  bool IsSizedWithoutBlocks() const { return blocks == 0 && size > 0 && S_ISREG(mode); }
  std::uint64_t Device() const { return std::uint64_t{dev_major} << 32 | dev_minor; }
  // Linux 5.8 and newer.
  bool IsMountRoot() const { return (attributes & kMountRoot) != 0; }
  bool TellsMountRoots() const { return (attributes_mask & kMountRoot) != 0; }
  bool IsAutomount() const { return (attributes & kAutomount) != 0; }
  // Only if it was asked for, and where the filesystem keeps it.
  bool HasBirth() const { return (mask & kBirth) != 0; }

  // Linux 5.8 and newer.
  bool TellsMountId() const { return (mask & kMountId) != 0; }

  static constexpr std::uint64_t kAutomount = 0x1000;
  static constexpr std::uint64_t kMountRoot = 0x2000;
  static constexpr std::uint32_t kBirth = 0x800;
  static constexpr std::uint32_t kMountId = 0x1000;

  std::uint32_t mask, blksize;
  std::uint64_t attributes;
  std::uint32_t nlink, uid, gid;
  std::uint16_t mode, spare0;
  std::uint64_t ino, size, blocks, attributes_mask;
  EntryTime accessed, birth, changed, modified;
  std::uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
  std::uint64_t mount_id, spare[13];
};
static_assert(sizeof(EntryStat) == 256, "struct statx of the kernel");

// A record of getdents64; the next one is `length` bytes on. Not every filesystem knows the type: DT_UNKNOWN.
struct EntryRecord {
  std::uint64_t ino;
  std::int64_t next_offset;
  std::uint16_t length;
  std::uint8_t type;
  char name[];
};

// What is special about a filesystem, by its type.
struct FilesystemTraits {
  // A directory may be an automount that merely opening it would start (NFS, AFS, CIFS and FUSE have them
  // below their own mounts; before Linux 6.18 RESOLVE_NO_XDEV did not prevent it).
  bool may_have_automounts = false;
  // A server numbers the inodes, and may give several one number.
  bool numbers_of_a_server = false;
  // FUSE: one directory may be there under two names.
  bool may_alias_directories = false;
};

// The handle of a file (name_to_handle_at): as long as the filesystem lives, no other file gets the same.
struct FileHandle {
  std::uint32_t size = sizeof bytes;
  std::int32_t type = 0;
  unsigned char bytes[128];
};

// All return 0 or an errno. EINTR is retried; a filesystem that keeps answering it gets it reported.

// An entry of directory `dir`, itself if it is a symlink. Starts no automount. An empty name: `dir` itself.
// The time of birth only on request: servers may have to be asked for it.
int StatEntry(const KernelFeatures& features, int dir, const char* name, bool with_birth, EntryStat* stat);

// The root directory of the calling thread. Asks no server.
int StatOwnRoot(EntryStat* stat);

// `flags` come on top of O_CLOEXEC. Where features.openat2, EXDEV if another mount were entered.
int OpenAt(const KernelFeatures& features, int dir, const char* name, int flags, Fd* fd);

// Entries in `buffer`; `bytes` 0 at the end of the directory.
int ReadEntries(int dir, char* buffer, std::size_t size, std::size_t* bytes);

// All of a file of /proc, whose size is not known before, appended to `text`.
int ReadWhole(int file, std::string* text);

// The number that a text begins with, or 0.
std::uint64_t LeadingNumber(std::string_view text);

// Whether openat2 works from `dir`: not before Linux 5.6, nor under some seccomp profiles.
bool HasOpenat2(int dir);

// Whether statx works: not before Linux 4.11, nor under some seccomp profiles. Touches no file.
bool HasStatx();

// Of an entry as for StatEntry. Not every filesystem has handles, and some seccomp profiles deny the call.
int ReadHandle(int dir, const char* name, FileHandle* handle);

// Of the filesystem that `dir` is on.
FilesystemTraits TraitsOf(int dir);

// Makes the calling thread a guest: nice 19, lowest best-effort I/O priority. An unprivileged thread cannot
// climb back.
void LowerThreadPriority();

}  // namespace kvm
