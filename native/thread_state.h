// What the kernel says about a thread of this process.
#pragma once

#include <sys/types.h>

namespace kvm {

// Whether the thread sleeps in the kernel, rather than waits for a processor: a loaded machine must not look
// like a slow volume. /proc/self/task/N/stat reads "N (name) S ...", and the name may hold anything.
bool Sleeps(pid_t thread);

}  // namespace kvm
