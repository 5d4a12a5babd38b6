// JavaScript <-> C++, and nothing else.
//
// connect(deliver) -> { start(kind, path), leave(kind, path, ticket) }
//   start returns the ticket (a number), or a refusal [status, errno, stuckSinceMs].
//   leave returns since when the path is stuck, in milliseconds since the epoch, or 0.
//   deliver(words: BigUint64Array) is called on the event loop with one or many answers, kWords words each.
// counts() -> { threads, stuck, waiting, asked } of the whole process.
//
// Built with -z nodelete: when a worker_thread ends, Node unloads the addons that only it has loaded, and detached threads
// still run this code.
#include <napi.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "call_pool.h"

namespace kvm {
namespace {

// ticket, kind, status, errno, stuck since (ms), then the values of CallResult.
constexpr std::size_t kHead = 5;
constexpr std::size_t kWords = kHead + std::tuple_size<decltype(CallResult::values)>::value;

// One JavaScript copy's way to its event loop. Answers that come before the loop gets to them travel in one wake-up.
//
// Lifetime: held by the environment (until it is torn down) and by every call in flight for it. `open_` says whether the
// environment still is: the clean-up hook closes it under the lock before Node frees the thread-safe function, so
// a worker that comes later finds it closed and drops the answer.
class Channel final : public Receiver {
 public:
  Channel(Napi::Env env, Napi::Function deliver) {
    to_loop_ = ToLoop::New(env, deliver, "kube-volume-metrics", 0, 1, this);
    // A caller who waits keeps the event loop alive by a timer of its own; this must not, or no process would ever end.
    to_loop_.Unref(env);
  }

  void Deliver(std::uint64_t ticket, CallKind kind, const Answer& answer) override {
    std::lock_guard<std::mutex> lock(lock_);
    if (!open_) return;
    if (words_.empty()) to_loop_.NonBlockingCall();
    const std::uint64_t head[kHead] = {ticket, static_cast<std::uint64_t>(kind), static_cast<std::uint64_t>(answer.status),
                                       static_cast<std::uint64_t>(answer.result.error),
                                       static_cast<std::uint64_t>(answer.stuck_since_ms)};
    words_.insert(words_.end(), std::begin(head), std::end(head));
    words_.insert(words_.end(), answer.result.values.begin(), answer.result.values.end());
  }

  void Close() {
    std::lock_guard<std::mutex> lock(lock_);
    open_ = false;
  }

  std::uint64_t NextTicket() { return ++ticket_; }

 private:
  static void OnLoop(Napi::Env env, Napi::Function deliver, Channel* channel, void*) {
    if (env == nullptr || deliver == nullptr) return;  // the environment is being torn down
    std::vector<std::uint64_t> words;
    {
      std::lock_guard<std::mutex> lock(channel->lock_);
      words.swap(channel->words_);
    }
    auto array = Napi::BigUint64Array::New(env, words.size());
    std::copy(words.begin(), words.end(), array.Data());
    deliver.Call({array});
  }
  using ToLoop = Napi::TypedThreadSafeFunction<Channel, void, OnLoop>;

  std::mutex lock_;
  bool open_ = true;
  ToLoop to_loop_;
  std::vector<std::uint64_t> words_;
  std::uint64_t ticket_ = 0;
};

Napi::Value Start(const Napi::CallbackInfo& info) {
  const auto& channel = *static_cast<std::shared_ptr<Channel>*>(info.Data());
  const auto kind = static_cast<CallKind>(info[0].As<Napi::Number>().Uint32Value());
  const std::uint64_t ticket = channel->NextTicket();
  Answer refusal;
  if (CallPool::Shared().Start(kind, info[1].As<Napi::String>().Utf8Value(), ticket, channel, &refusal)) {
    return Napi::Number::New(info.Env(), static_cast<double>(ticket));
  }
  auto refused = Napi::Array::New(info.Env(), 3);
  refused[0U] = Napi::Number::New(info.Env(), static_cast<double>(refusal.status));
  refused[1U] = Napi::Number::New(info.Env(), refusal.result.error);
  refused[2U] = Napi::Number::New(info.Env(), static_cast<double>(refusal.stuck_since_ms));
  return refused;
}

Napi::Value Leave(const Napi::CallbackInfo& info) {
  const auto kind = static_cast<CallKind>(info[0].As<Napi::Number>().Uint32Value());
  const auto ticket = static_cast<std::uint64_t>(info[2].As<Napi::Number>().Int64Value());
  const auto since_ms = CallPool::Shared().Leave(kind, info[1].As<Napi::String>().Utf8Value(), ticket);
  return Napi::Number::New(info.Env(), static_cast<double>(since_ms));
}

Napi::Value Connect(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  // The environment's share of the channel, and the data of its two functions. Clean-up hooks run last-in first-out, so this
  // one runs before that of the thread-safe function, which the channel made earlier.
  auto* const channel = new std::shared_ptr<Channel>(std::make_shared<Channel>(env, info[0].As<Napi::Function>()));
  env.AddCleanupHook(
      [](std::shared_ptr<Channel>* channel) {
        (*channel)->Close();
        delete channel;
      },
      channel);
  auto result = Napi::Object::New(env);
  result["start"] = Napi::Function::New(env, Start, "start", channel);
  result["leave"] = Napi::Function::New(env, Leave, "leave", channel);
  return result;
}

Napi::Value Counts(const Napi::CallbackInfo& info) {
  const auto counts = CallPool::Shared().Count();
  auto result = Napi::Object::New(info.Env());
  result["threads"] = Napi::Number::New(info.Env(), counts.threads);
  result["stuck"] = Napi::Number::New(info.Env(), counts.stuck);
  result["waiting"] = Napi::Number::New(info.Env(), static_cast<double>(counts.waiting));
  result["asked"] = Napi::Number::New(info.Env(), static_cast<double>(counts.asked));
  return result;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports["connect"] = Napi::Function::New(env, Connect, "connect");
  exports["counts"] = Napi::Function::New(env, Counts, "counts");
  return exports;
}

}  // namespace
}  // namespace kvm

static Napi::Object InitModule(Napi::Env env, Napi::Object exports) { return kvm::Init(env, exports); }
NODE_API_MODULE(kube_volume_metrics, InitModule)
