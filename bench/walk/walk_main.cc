// Runs the native walk alone, for measuring: `walk PATH [THREADS]` prints inodes and bytes.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>

#include "../../native/walk.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s PATH [THREADS]\n", argv[0]);
    return 2;
  }
  kvm::WalkOptions options;
  options.path = argv[1];
  if (argc > 2) options.threads = static_cast<unsigned>(std::atoi(argv[2]));
  std::promise<kvm::WalkResult> done;
  kvm::Walk::Start(options, [&done](const kvm::WalkResult& result) { done.set_value(result); });
  const kvm::WalkResult result = done.get_future().get();
  if (result.error != 0) {
    std::fprintf(stderr, "%s: %s\n", result.path.c_str(), std::strerror(result.error));
    return 1;
  }
  std::printf("%llu %llu\n", static_cast<unsigned long long>(result.inodes), static_cast<unsigned long long>(result.used));
  return 0;
}
