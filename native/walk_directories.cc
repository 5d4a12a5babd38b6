#include "walk_directories.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

namespace kvm {
namespace {

// As a multiplication of 128 bits folded in two: every bit of both decides over every bit of the result.
std::uint64_t Mix(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xe7037ed1a0b428dbu);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

constexpr unsigned kNonBlocking = 1;  // GRND_NONBLOCK

}  // namespace

SeenDirectories::SeenDirectories() {
  timespec now{};
  // The clock that filesystems take their times from.
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  begun_.seconds = now.tv_sec;
  begun_.nanoseconds = static_cast<std::uint32_t>(now.tv_nsec);
  if (::syscall(SYS_getrandom, &secret_, sizeof secret_, kNonBlocking) != sizeof secret_) {
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    secret_ = Mix(static_cast<std::uint64_t>(now.tv_nsec), reinterpret_cast<std::uintptr_t>(this));
  }
}

SeenDirectories::Met SeenDirectories::Add(int dir, const char* name, const EntryStat& stat) {
  std::uint64_t key = Mix(secret_, stat.ino);
  bool certain = false;
  if (stat.HasBirth()) {
    key = Mix(key ^ static_cast<std::uint64_t>(stat.birth.seconds), secret_ + stat.birth.nanoseconds);
    certain = stat.birth < begun_;
  }
  if (!stat.HasBirth() || traits_.numbers_of_a_server) {
    FileHandle handle;
    if (ReadHandle(dir, name, &handle) == 0) {
      key = Mix(key ^ static_cast<std::uint32_t>(handle.type), secret_ + handle.size);
      for (std::uint32_t at = 0; at < handle.size; at += sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, handle.bytes + at, std::min<std::size_t>(sizeof word, handle.size - at));
        key = Mix(key ^ word, secret_);
      }
      certain = true;
    } else if (!stat.HasBirth() && traits_.numbers_of_a_server) {
      return Met::kFirst;
    }
  }
  switch (keys_.Add(key)) {
    case SeenSet::Insert::kNew:
      return Met::kFirst;
    case SeenSet::Insert::kNoMemory:
      return Met::kNoMemory;
    case SeenSet::Insert::kKnown:
      break;
  }
  return certain && !traits_.may_alias_directories ? Met::kAgain : Met::kMaybeAgain;
}

}  // namespace kvm
