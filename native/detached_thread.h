// A detached thread with a small stack and all signals blocked.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace kvm {

// Starts `main(argument)` on a thread that nobody joins. Returns 0 or an errno. The stack is small because
// there may be hundreds; nothing here recurses or holds buffers on it. Signals are blocked so that Node's
// handlers never run on it.
inline int StartDetached(void* (*main)(void*), void* argument) {
  constexpr std::size_t kStackBytes = 128 * 1024;
  pthread_attr_t attributes;
  if (int error = pthread_attr_init(&attributes)) return error;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, main, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return error;
}

}  // namespace kvm
