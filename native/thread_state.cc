#include "thread_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace kvm {

bool Sleeps(pid_t thread) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;
  char text[256];
  const ssize_t length = ::read(file, text, sizeof text - 1);
  ::close(file);
  if (length <= 0) return true;
  text[length] = '\0';
  const char* end_of_name = std::strrchr(text, ')');
  return end_of_name == nullptr || end_of_name[1] == '\0' || end_of_name[2] != 'R';
}

}  // namespace kvm
