// Runs the native walk alone, for measuring. `walk PATH [THREADS]` prints inodes and bytes, `walk --limits
// PATH [THREADS]` also the most descriptors that were open at once and by how many KiB memory grew; sampling
// them slows the walk down.
#include <dirent.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <thread>

#include "../../native/walk.h"

namespace {

int OpenDescriptors() {
  int count = 0;
  DIR* descriptors = opendir("/proc/self/fd");
  while (readdir(descriptors) != nullptr) count++;
  closedir(descriptors);
  return count;
}

// The most memory this process has used so far, in KiB.
long PeakMemory() {
  long peak = 0;
  char line[256];
  FILE* status = std::fopen("/proc/self/status", "re");
  while (std::fgets(line, sizeof line, status) != nullptr) std::sscanf(line, "VmHWM: %ld", &peak);
  std::fclose(status);
  return peak;
}

}  // namespace

int main(int argc, char** argv) {
  const bool limits = argc > 1 && std::strcmp(argv[1], "--limits") == 0;
  if (limits) {
    argc--;
    argv++;
  }
  if (argc < 2) {
    std::fprintf(stderr, "usage: walk [--limits] PATH [THREADS]\n");
    return 2;
  }
  kvm::WalkOptions options;
  options.path = argv[1];
  if (argc > 2) options.threads = static_cast<unsigned>(std::atoi(argv[2]));

  std::atomic<bool> ended{false};
  int most = 0;
  std::thread sampler;
  if (limits) {
    sampler = std::thread([&ended, &most] {
      const int before = OpenDescriptors();
      while (!ended) most = std::max(most, OpenDescriptors() - before);
    });
  }
  const long memory = PeakMemory();
  std::promise<kvm::WalkResult> done;
  kvm::Walk::Start(options, [&done](const kvm::WalkResult& result) { done.set_value(result); });
  const kvm::WalkResult result = done.get_future().get();
  ended = true;
  if (sampler.joinable()) sampler.join();

  if (result.error != 0) {
    std::fprintf(stderr, "%s: %s\n", result.path.c_str(), std::strerror(result.error));
    return 1;
  }
  std::printf("%llu %llu", static_cast<unsigned long long>(result.inodes), static_cast<unsigned long long>(result.used));
  if (limits) std::printf(" %d %ld", most, PeakMemory() - memory);
  std::printf("\n");
  return 0;
}
