// One JavaScript copy's way to its event loop. What comes before the loop gets to it travels in one wake-up,
// and as a rule in one call, through a buffer that JavaScript has made: a new one for each call would cost
// more than the call.
//
// The buffer has room for kMostAnswers records of answers and, behind them, kMostWalks records of walks, in
// words of 8 bytes. A word is a double or, where it says so, a uint64.
//   answer: ticket, of statfs (0 or 1), status, errno, stuck since (ms since the epoch), then as uint64 the
//           values of CallResult
//   walk:   number, errno, errors, first errno, stuck since (ms since the epoch), sized without blocks (0
//           or 1), work (ms), whether it has paths (0 or 1), then as uint64 bytes used and inodes. The paths
//           are two texts: path and first path. An errno may be kMetAgain of walk.h.
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
// `open_` says whether the environment still is there: the clean-up hook closes it under both locks before
// Node frees the thread-safe function (hooks run last-in first-out, and Node's own was added first), so a
// thread that comes later finds it closed and drops what it has.
class Channel final : public Receiver, public std::enable_shared_from_this<Channel> {
 public:
  static constexpr std::size_t kMostAnswers = 64;
  static constexpr std::size_t kMostWalks = 64;

  // Returns nullptr when the environment can create nothing any more, or the buffer is not one of that size.
  // The arguments are those of connect() in binding.cc.
  static std::shared_ptr<Channel> Open(napi_env env, napi_value deliver, napi_value buffer);

  void Deliver(std::uint64_t ticket, const Answer& answer) override;

  // Starts a walk and returns its number. Its result is held back until the number has been returned.
  std::uint64_t StartWalk(WalkOptions options);

  std::uint64_t NextTicket() { return ++ticket_; }

  // The environment is being torn down: nothing is delivered any more, and its walks end.
  void Close();

 private:
  struct CallDelivery {
    std::uint64_t ticket;
    Answer answer;
  };
  struct WalkDelivery {
    std::shared_ptr<const std::uint64_t> number;
    WalkResult result;
  };

  // Whether the loop is to be woken for what is about to be added. Under lock_.
  bool IsEmpty() const { return calls_.empty() && walks_.empty(); }
  // Not under lock_, which the loop would only run into.
  void WakeLoop();
  // The next records go into the buffer. Returns the texts that go with them, or nullptr.
  void PutAnswers(const CallDelivery* calls, std::size_t count);
  napi_value PutWalks(napi_env env, const WalkDelivery* walks, std::size_t count);
  static void OnLoop(napi_env env, napi_value deliver, void* channel, void*);

  // For the thread-safe function; taken before lock_.
  std::mutex wake_lock_;
  std::mutex lock_;
  bool open_ = true;  // changes under both locks
  napi_threadsafe_function to_loop_ = nullptr;
  napi_ref buffer_reference_ = nullptr;  // freed with the environment
  std::uint64_t* buffer_ = nullptr;
  std::vector<CallDelivery> calls_;
  std::vector<WalkDelivery> walks_;
  std::unordered_set<std::uint64_t> live_walks_;
  std::uint64_t ticket_ = 0;
};

}  // namespace kvm
