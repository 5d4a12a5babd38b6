// What is asked of the kernel about one path. No JavaScript, no threads, no state.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace kvm {

// What a call asks. The numbers are shared with src/os/native/native-binding.ts.
enum class CallKind : std::uint8_t { kStatFs = 0, kStat = 1, kMountStatFs = 2 };
constexpr std::size_t kCallKinds = 3;

// What the two looks of kMountStatFs found right at the path. The numbers are shared as well.
enum class MountSeen : std::uint8_t {
  kUnknown = 0,  // the kernel does not tell: before Linux 5.8, or statx(2) is denied
  kNone = 1,     // at the first look, nothing is mounted there; nothing else was asked
  kChanged = 2,  // a mount, and at the second look another one or none
  kSame = 3,     // one and the same mount
};

// What the system calls of a call said: `error` is 0 and the values hold, or it is an errno and they do not.
struct CallResult {
  int error = 0;
  // Whether statfs failed and not one of the looks before and after it. Of kMountStatFs.
  bool of_statfs = false;
  // statfs: f_type, unit of the counts (f_frsize), f_blocks, f_bfree, f_bavail, f_files, f_ffree, read-only
  // (0 no, 1 yes, 2 unknown)
  // stat: st_mode, st_size, st_dev, st_ino, st_rdev, id of the mount, root of that mount (0 no, 1 yes, 2
  // neither is known), number of that mount that is not used again (0 if it is not the root, or not known)
  // mount statfs: those of statfs (unless the mount is unknown or there is none), MountSeen, then of the
  // first look st_dev and st_ino
  std::array<std::uint64_t, 11> values{};
};

// Asks the kernel, symlinks followed. May block for as long as the filesystem likes.
//
// kMountStatFs is statfs(2) between two looks at the mount whose root is right at the path. A mount may come
// or go at any moment, and numbers are the mount's only if both looks find the same one. No descriptor is
// held in between, which would make unmounting fail.
CallResult AskKernel(CallKind kind, const std::string& path);

}  // namespace kvm
