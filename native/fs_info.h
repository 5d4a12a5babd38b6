// The two system calls that ask about one path. No JavaScript, no threads, no state.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace kvm {

// What a call asks. The numbers are shared with src/os/native/native-binding.ts.
enum class CallKind : std::uint8_t { kStatFs = 0, kStat = 1 };
constexpr std::size_t kCallKinds = 2;

// What a system call said: `error` is 0 and the values hold, or it is an errno and they do not.
struct CallResult {
  int error = 0;
  // statfs: f_type, unit of the counts (f_frsize), f_blocks, f_bfree, f_bavail, f_files, f_ffree, read-only
  // (0 no, 1 yes, 2 unknown)
  // stat: st_mode, st_size, st_dev, st_ino, st_rdev, id of the mount, root of that mount (0 no, 1 yes, 2
  // neither is known), number of that mount that is not used again (0 if it is not the root, or not known)
  std::array<std::uint64_t, 8> values{};
};

// Asks the kernel, symlinks followed. May block for as long as the filesystem likes.
CallResult AskKernel(CallKind kind, const std::string& path);

}  // namespace kvm
