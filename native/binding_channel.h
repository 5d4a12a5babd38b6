// One JavaScript copy's way to its event loop. What comes before the loop gets to it travels in one wake-up.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "call_pool.h"
#include "walk.h"

namespace kvm {

// Lifetime: held by the environment (until it is torn down) and by every call and walk in flight for it.
// `open_` says whether the environment still is there: the clean-up hook closes it under the lock before Node
// frees the thread-safe function (hooks run last-in first-out, and Node's own was added first), so a thread
// that comes later finds it closed and drops what it has.
class Channel final : public Receiver, public std::enable_shared_from_this<Channel> {
 public:
  // Returns nullptr when the environment can create nothing any more. The callbacks are those of connect() in
  // binding.cc.
  static std::shared_ptr<Channel> Open(napi_env env, napi_value deliver, napi_value deliver_walk);

  void Deliver(std::uint64_t ticket, CallKind kind, const Answer& answer) override;

  // Starts a walk and returns its number. Its result is held back until the number has been returned.
  std::uint64_t StartWalk(WalkOptions options);

  std::uint64_t NextTicket() { return ++ticket_; }

  // The environment is being torn down: nothing is delivered any more, and its walks end.
  void Close();

 private:
  struct WalkDelivery {
    std::shared_ptr<const std::uint64_t> number;
    WalkResult result;
  };

  // Under the lock.
  void WakeLoop();
  static void OnLoop(napi_env env, napi_value deliver, void* channel, void*);

  std::mutex lock_;
  bool open_ = true;
  napi_threadsafe_function to_loop_ = nullptr;
  napi_ref deliver_walk_ = nullptr;  // freed with the environment
  std::vector<std::uint64_t> words_;
  std::vector<WalkDelivery> walks_;
  std::unordered_set<std::uint64_t> live_walks_;
  std::uint64_t ticket_ = 0;
};

}  // namespace kvm
