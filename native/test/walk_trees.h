// Trees to walk, a plain model of what a walk counts, and a walk waited for.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <ostream>
#include <set>
#include <string>

#include "../mount_table.h"
#include "../walk.h"
#include "../walk_crew.h"
#include "check.h"

struct Usage {
  std::uint64_t used = 0;
  std::uint64_t inodes = 0;
};
inline bool operator==(const Usage& a, const Usage& b) { return a.used == b.used && a.inodes == b.inodes; }
inline std::ostream& operator<<(std::ostream& out, const Usage& usage) {
  return out << usage.used << " bytes, " << usage.inodes << " inodes";
}

constexpr std::uint32_t kTmpfs = 0x01021994;
constexpr std::uint32_t kExt4 = 0xef53;

inline std::uint32_t FilesystemOf(const std::string& path) {
  struct statfs info {};
  return statfs(path.c_str(), &info) == 0 ? static_cast<std::uint32_t>(info.f_type) : 0;
}

// A directory of the test's own, removed with all it holds: by rm, which no depth stops.
class TempDir {
 public:
  explicit TempDir(const char* parent = "/dev/shm") {
    std::string pattern = std::string(FilesystemOf(parent) == 0 ? "/tmp" : parent) + "/walk-test-XXXXXX";
    REQUIRE(mkdtemp(&pattern[0]) != nullptr);
    REQUIRE(chmod(pattern.c_str(), 0755) == 0);
    path = pattern;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    const char* arguments[] = {"rm", "-rf", path.c_str(), nullptr};
    pid_t child = 0;
    REQUIRE(posix_spawnp(&child, "rm", nullptr, nullptr, const_cast<char**>(arguments), environ) == 0);
    waitpid(child, nullptr, 0);
  }
  std::string operator/(const std::string& name) const { return path + "/" + name; }

  std::string path;
};

inline std::string MakeDir(const std::string& path) {
  REQUIRE(mkdir(path.c_str(), 0755) == 0);
  return path;
}

// A file with `bytes` of data behind a hole of `hole` bytes.
inline void MakeFile(const std::string& path, std::size_t bytes = 0, off_t hole = 0) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  REQUIRE(file >= 0);
  const std::string data(bytes, 'x');
  REQUIRE(pwrite(file, data.data(), bytes, hole) == static_cast<ssize_t>(bytes));
  if (bytes == 0 && hole > 0) REQUIRE(ftruncate(file, hole) == 0);
  close(file);
}

// Makes `depth` directories inside each other, past PATH_MAX too. Calls `at_each` with the descriptor of
// each.
template <typename AtEach>
void MakeChain(const std::string& top, int depth, const char* name, AtEach at_each) {
  int dir = open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(dir >= 0);
  for (int i = 0; i < depth; i++) {
    REQUIRE(mkdirat(dir, name, 0755) == 0);
    const int next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(next >= 0);
    close(dir);
    dir = next;
    at_each(dir, i);
  }
  close(dir);
}

// What a walk counts, in the plainest way: one level of recursion and one descriptor per level.
class Model {
 public:
  static Usage Of(const std::string& path) {
    Model model;
    struct stat info {};
    REQUIRE(stat(path.c_str(), &info) == 0);
    model.device_ = info.st_dev;
    model.Count(info);
    if (S_ISDIR(info.st_mode)) model.Read(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return model.usage_;
  }

 private:
  void Read(int dir) {
    DIR* stream = fdopendir(dir);
    REQUIRE(stream != nullptr);
    while (const dirent* entry = readdir(stream)) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat info {};
      REQUIRE(fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0);
      if (info.st_dev != device_) continue;
      Count(info);
      if (S_ISDIR(info.st_mode)) Read(openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    closedir(stream);
  }
  void Count(const struct stat& info) {
    if (!S_ISDIR(info.st_mode) && info.st_nlink > 1 && !seen_.insert(info.st_ino).second) return;
    usage_.used += static_cast<std::uint64_t>(info.st_blocks) * 512;
    usage_.inodes++;
  }

  dev_t device_ = 0;
  std::set<ino_t> seen_;
  Usage usage_;
};

// Threads that are created by the thread that starts the walk and end with it, as a test needs that decides over
// their system calls; and a table of mounts that nobody has read yet.
inline kvm::WalkOptions WithOwnThreads(kvm::WalkOptions options) {
  if (options.crew == nullptr) options.crew = std::make_shared<kvm::WalkCrew>(std::chrono::milliseconds(0));
  if (options.mounts == nullptr) options.mounts = std::make_shared<kvm::MountTable>(std::chrono::seconds(10));
  return options;
}

// A walk whose end can be waited for, and which checks that it ends once.
class WalkRun {
 public:
  explicit WalkRun(const std::string& path, unsigned threads = 2, bool allow_partial = false)
      : WalkRun(Options(path, threads, allow_partial)) {}
  explicit WalkRun(kvm::WalkOptions options)
      : walk(kvm::Walk::Start(WithOwnThreads(std::move(options)), [end = end_](const kvm::WalkResult& result) {
          const std::lock_guard<std::mutex> lock(end->lock);
          end->result = result;
          CHECK_EQ(++end->calls, 1);
          end->changed.notify_all();
        })) {}

  bool Ended() {
    const std::lock_guard<std::mutex> lock(end_->lock);
    return end_->calls > 0;
  }
  kvm::WalkResult Wait() {
    std::unique_lock<std::mutex> lock(end_->lock);
    end_->changed.wait(lock, [this] { return end_->calls > 0; });
    return end_->result;
  }

 private:
  struct End {
    std::mutex lock;
    std::condition_variable changed;
    kvm::WalkResult result;
    int calls = 0;
  };

  static kvm::WalkOptions Options(const std::string& path, unsigned threads, bool allow_partial) {
    kvm::WalkOptions options;
    options.path = path;
    options.threads = threads;
    options.allow_partial = allow_partial;
    return options;
  }

  // Outlives this object where a thread still ends the walk.
  std::shared_ptr<End> end_ = std::make_shared<End>();

 public:
  kvm::Walk walk;
};

inline kvm::WalkResult Measure(const std::string& path, unsigned threads = 2, bool allow_partial = false) {
  return WalkRun(path, threads, allow_partial).Wait();
}

// The numbers of a walk that must succeed.
inline Usage UsageOf(const std::string& path, unsigned threads = 2) {
  const kvm::WalkResult result = Measure(path, threads);
  CHECK_EQ(result.error, 0);
  CHECK_EQ(result.path, "");
  CHECK_EQ(result.errors, 0u);
  return {result.used, result.inodes};
}

// Descriptors of this process that are open below `path`.
inline int DescriptorsBelow(const std::string& path) {
  int count = 0;
  DIR* descriptors = opendir("/proc/self/fd");
  REQUIRE(descriptors != nullptr);
  while (const dirent* entry = readdir(descriptors)) {
    char target[4096];
    const ssize_t length = readlinkat(dirfd(descriptors), entry->d_name, target, sizeof target);
    // Of a path too long to be read there is no doubt.
    if (length < 0 ? errno == ENAMETOOLONG : std::string(target, length).compare(0, path.size(), path) == 0) count++;
  }
  closedir(descriptors);
  return count;
}
