// Decides over system calls of chosen threads: lets them pass, makes them fail, holds them as if the kernel
// were stuck, or changes the tree just before. It makes every race and error of a walk happen when a test
// wants it to.
#pragma once

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <condition_variable>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "check.h"

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

// A system call that is about to be made, in this process.
struct PendingCall {
  // The entry that a call by descriptor and name is about. Read through /proc: the thread that calls owns the
  // memory.
  std::string Name() const {
    char name[PATH_MAX] = "";
    const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    REQUIRE(memory >= 0);
    REQUIRE(Reads() || pread(memory, name, sizeof name - 1, static_cast<off_t>(arguments[1])) > 0);
    close(memory);
    return name;
  }
  std::string Directory() const {
    char target[PATH_MAX];
    const std::string link = "/proc/self/fd/" + std::to_string(static_cast<int>(arguments[0]));
    const ssize_t length = readlink(link.c_str(), target, sizeof target);
    return length < 0 ? "" : std::string(target, static_cast<std::size_t>(length));
  }
  // Of a call that opens. openat2 has them at the beginning of a structure.
  std::uint64_t OpenFlags() const {
    if (number == SYS_openat) return arguments[2];
    std::uint64_t flags = 0;
    const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    REQUIRE(memory >= 0);
    REQUIRE(pread(memory, &flags, sizeof flags, static_cast<off_t>(arguments[2])) == sizeof flags);
    close(memory);
    return flags;
  }
  bool Opens() const { return number == SYS_openat || number == SYS_openat2; }
  bool Stats() const { return number == SYS_statx; }
  bool Reads() const { return number == SYS_getdents64; }

  int number;
  int thread;
  const std::uint64_t* arguments;
};

// What the decision may be besides an errno.
constexpr int kPass = 0;
constexpr int kHold = -1;  // until Interception::Release

class Interception {
 public:
  // Decides, on a thread of its own that is not intercepted. One call at a time.
  using Decide = std::function<int(const PendingCall&)>;

  // Runs `body` on a new thread, whose system calls `numbers`, and those of threads that it starts, are
  // intercepted for as long as this object lives.
  Interception(std::initializer_list<int> numbers, Decide decide, const std::function<void()>& body)
      : decide_(std::move(decide)) {
    std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
    for (const int number : numbers) {
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1));
      program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    stop_ = eventfd(0, EFD_CLOEXEC);
    REQUIRE(stop_ >= 0);
    starter_ = std::thread([this, program, body]() mutable {
      sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
      REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
      const long listener =
          syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
      REQUIRE(listener >= 0);
      {
        const std::lock_guard<std::mutex> lock(lock_);
        listener_ = static_cast<int>(listener);
      }
      changed_.notify_all();
      body();
    });
    {
      std::unique_lock<std::mutex> lock(lock_);
      changed_.wait(lock, [this] { return listener_ >= 0; });
    }
    supervisor_ = std::thread([this] { Supervise(); });
  }
  Interception(const Interception&) = delete;
  Interception& operator=(const Interception&) = delete;
  ~Interception() {
    Release();
    Join();
    const std::uint64_t one = 1;
    REQUIRE(write(stop_, &one, sizeof one) == sizeof one);
    supervisor_.join();
    close(listener_);
    close(stop_);
  }

  // Waits until `body` has returned.
  void Join() {
    if (starter_.joinable()) starter_.join();
  }
  // Lets all held calls pass, and those that would be held from now on.
  void Release() {
    const std::lock_guard<std::mutex> lock(lock_);
    released_ = true;
    for (const std::uint64_t id : held_) Answer(id, kPass);
    held_.clear();
  }
  // Waits until `count` calls are held.
  void WaitHeld(std::size_t count) {
    std::unique_lock<std::mutex> lock(lock_);
    changed_.wait(lock, [this, count] { return held_.size() >= count; });
  }

 private:
  void Supervise() {
    for (;;) {
      pollfd ready[] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
      if (poll(ready, 2, -1) < 0) continue;
      if ((ready[0].revents & POLLIN) != 0) {
        One();
      } else if (ready[1].revents != 0) {
        return;
      } else if (ready[0].revents != 0) {
        // No thread is left that could be intercepted.
        poll(ready + 1, 1, -1);
        return;
      }
    }
  }
  void One() {
    seccomp_notif request{};
    if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) return;
    std::uint64_t arguments[6];
    for (int i = 0; i < 6; i++) arguments[i] = request.data.args[i];
    const int decision = decide_({request.data.nr, static_cast<int>(request.pid), arguments});
    const std::lock_guard<std::mutex> lock(lock_);
    if (decision == kHold && !released_) {
      held_.push_back(request.id);
      changed_.notify_all();
    } else {
      Answer(request.id, decision == kHold ? kPass : decision);
    }
  }
  void Answer(std::uint64_t id, int error) {
    seccomp_notif_resp response{};
    response.id = id;
    response.error = -error;
    response.flags = error == kPass ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
    ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &response);
  }

  const Decide decide_;
  int stop_ = -1;
  std::mutex lock_;
  std::condition_variable changed_;
  int listener_ = -1;
  std::vector<std::uint64_t> held_;
  bool released_ = false;
  std::thread starter_;
  std::thread supervisor_;
};

// Runs `body` on a thread for which the system calls `numbers`, there and in threads that it starts, fail
// with `error`.
inline void WithoutCalls(const std::vector<int>& numbers, int error, const std::function<void()>& body) {
  std::thread([&] {
    std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
    for (const int number : numbers) {
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1));
      program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    body();
  }).join();
}

inline void WithoutCall(int number, int error, const std::function<void()>& body) {
  WithoutCalls({number}, error, body);
}
