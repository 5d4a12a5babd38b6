// JavaScript <-> C++, and nothing else.
//
// connect(deliver, deliverWalk) -> channel, the functions below. Both callbacks run on the event loop.
//   deliver(words: BigUint64Array): one or many answers, kWords words each.
//   deliverWalk(number, errno, path, used, inodes, errors, firstErrno, firstPath, stuckSinceMs): a walk's result, used and
//     inodes as bigints.
//   start(kind, path): the call's ticket (a number), or a refusal [status, errno, stuckSinceMs].
//   leave(kind, path, ticket): since when the path is stuck, in milliseconds since the epoch, or 0.
//   walk(path, threads, allowPartial): the walk's number, or a refusal as of start.
//   walkProgress(number): BigUint64Array [used, inodes, system calls], or undefined while it waits.
//   walkCancel(number); walkGiveUp(number, stuckSinceMs): since when it is stuck, or 0 when there is no such walk.
// counts() -> { threads, stuck, waiting, asked } of the whole process.
//
// Plain Node-API: in a worker_thread that is being terminated any call into JavaScript may fail, and nobody is left to be
// told. Here a failure is a status and ends the function; the C++ wrapper would make it a fatal error of the process.
//
// Built with -z nodelete: when a worker_thread ends, Node unloads the addons that only it has loaded, and detached threads
// still run this code.
#include <node_api.h>

#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "call_pool.h"
#include "walk_queue.h"

namespace kvm {
namespace {

// ticket, kind, status, errno, stuck since (ms), then the values of CallResult.
constexpr std::size_t kHead = 5;
constexpr std::size_t kWords = kHead + std::tuple_size<decltype(CallResult::values)>::value;

// Values for JavaScript; nullptr (which is undefined there) when the environment is past making any.
napi_value Number(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

napi_value BigInt(napi_env env, std::uint64_t number) {
  napi_value value = nullptr;
  napi_create_bigint_uint64(env, number, &value);
  return value;
}

napi_value String(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value Words(napi_env env, const std::uint64_t* words, std::size_t count) {
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  void* bytes = nullptr;
  if (napi_create_arraybuffer(env, count * sizeof *words, &bytes, &buffer) != napi_ok) return nullptr;
  std::memcpy(bytes, words, count * sizeof *words);
  napi_create_typedarray(env, napi_biguint64_array, count, buffer, 0, &array);
  return array;
}

// The arguments of a call, and the data of its function.
template <std::size_t kCount>
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    std::size_t count = kCount;
    napi_get_cb_info(env, info, &count, values_, nullptr, &data_);
  }
  double Number(std::size_t at) const {
    double number = 0;
    napi_get_value_double(env_, values_[at], &number);
    return number;
  }
  bool Bool(std::size_t at) const {
    bool value = false;
    napi_get_value_bool(env_, values_[at], &value);
    return value;
  }
  std::string String(std::size_t at) const {
    std::size_t length = 0;
    if (napi_get_value_string_utf8(env_, values_[at], nullptr, 0, &length) != napi_ok) return {};
    std::string text(length, '\0');
    napi_get_value_string_utf8(env_, values_[at], text.data(), length + 1, &length);
    return text;
  }
  napi_value Value(std::size_t at) const { return values_[at]; }
  void* data() const { return data_; }

 private:
  napi_env env_;
  napi_value values_[kCount] = {};
  void* data_ = nullptr;
};

// One JavaScript copy's way to its event loop. What comes before the loop gets to it travels in one wake-up.
//
// Lifetime: held by the environment (until it is torn down) and by every call and walk in flight for it. `open_` says whether
// the environment still is: the clean-up hook closes it under the lock before Node frees the thread-safe function (hooks
// run last-in first-out, and Node's own was added first), so a thread that comes later finds it closed and drops what it has.
class Channel final : public Receiver, public std::enable_shared_from_this<Channel> {
 public:
  // Returns nullptr when the environment is past it.
  static std::shared_ptr<Channel> Open(napi_env env, napi_value deliver, napi_value deliver_walk) {
    auto channel = std::make_shared<Channel>();
    napi_value name = nullptr;
    if (napi_create_string_utf8(env, "kube-volume-metrics", NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_create_reference(env, deliver_walk, 1, &channel->deliver_walk_) != napi_ok ||
        napi_create_threadsafe_function(env, deliver, nullptr, name, 0, 1, nullptr, nullptr, channel.get(), OnLoop,
                                        &channel->to_loop_) != napi_ok) {
      return nullptr;
    }
    // A caller who waits keeps the event loop alive by a timer of its own; this must not, or no process would ever end.
    napi_unref_threadsafe_function(env, channel->to_loop_);
    return channel;
  }

  void Deliver(std::uint64_t ticket, CallKind kind, const Answer& answer) override {
    std::lock_guard<std::mutex> lock(lock_);
    if (!open_) return;
    WakeLoop();
    const std::uint64_t head[kHead] = {ticket, static_cast<std::uint64_t>(kind), static_cast<std::uint64_t>(answer.status),
                                       static_cast<std::uint64_t>(answer.result.error),
                                       static_cast<std::uint64_t>(answer.stuck_since_ms)};
    words_.insert(words_.end(), std::begin(head), std::end(head));
    words_.insert(words_.end(), answer.result.values.begin(), answer.result.values.end());
  }

  // Starts a walk and returns its number. Its result is held back until the number has been returned.
  std::uint64_t StartWalk(WalkOptions options) {
    auto number = std::make_shared<std::uint64_t>(0);
    auto self = shared_from_this();
    const std::uint64_t started =
        WalkQueue::Shared().Start(std::move(options), [self, number](const WalkResult& result) {
          std::lock_guard<std::mutex> lock(self->lock_);
          if (!self->open_) return;
          self->WakeLoop();
          self->walks_.push_back({number, result});
        });
    std::lock_guard<std::mutex> lock(lock_);
    *number = started;
    live_walks_.insert(started);
    return started;
  }

  std::uint64_t NextTicket() { return ++ticket_; }

  // The environment is being torn down: nothing is delivered any more, and its walks end.
  void Close() {
    std::unordered_set<std::uint64_t> walks;
    {
      std::lock_guard<std::mutex> lock(lock_);
      open_ = false;
      walks.swap(live_walks_);
    }
    for (const auto number : walks) WalkQueue::Shared().Drop(number);
  }

 private:
  struct WalkDelivery {
    std::shared_ptr<const std::uint64_t> number;
    WalkResult result;
  };

  // Under the lock.
  void WakeLoop() {
    if (words_.empty() && walks_.empty()) napi_call_threadsafe_function(to_loop_, nullptr, napi_tsfn_nonblocking);
  }

  static void OnLoop(napi_env env, napi_value deliver, void* context, void*) {
    // Without an environment the channel may be gone as well: Node calls once more for what it had still queued.
    if (env == nullptr || deliver == nullptr) return;
    auto* const channel = static_cast<Channel*>(context);
    std::vector<std::uint64_t> words;
    std::vector<WalkDelivery> walks;
    {
      std::lock_guard<std::mutex> lock(channel->lock_);
      words.swap(channel->words_);
      walks.swap(channel->walks_);
      for (const auto& walk : walks) channel->live_walks_.erase(*walk.number);
    }
    napi_value self = nullptr;
    if (napi_get_undefined(env, &self) != napi_ok) return;
    if (!words.empty()) {
      napi_value array = Words(env, words.data(), words.size());
      if (array != nullptr) napi_call_function(env, self, deliver, 1, &array, nullptr);
    }
    napi_value deliver_walk = nullptr;
    if (walks.empty() || napi_get_reference_value(env, channel->deliver_walk_, &deliver_walk) != napi_ok) return;
    for (const auto& [number, result] : walks) {
      napi_value arguments[] = {Number(env, static_cast<double>(*number)),
                                Number(env, result.error),
                                String(env, result.path),
                                BigInt(env, result.used),
                                BigInt(env, result.inodes),
                                Number(env, static_cast<double>(result.errors)),
                                Number(env, result.first_error),
                                String(env, result.first_path),
                                Number(env, static_cast<double>(result.stuck_since_ms))};
      if (napi_call_function(env, self, deliver_walk, std::size(arguments), arguments, nullptr) != napi_ok) return;
    }
  }

  std::mutex lock_;
  bool open_ = true;
  napi_threadsafe_function to_loop_ = nullptr;
  napi_ref deliver_walk_ = nullptr;  // freed with the environment
  std::vector<std::uint64_t> words_;
  std::vector<WalkDelivery> walks_;
  std::unordered_set<std::uint64_t> live_walks_;
  std::uint64_t ticket_ = 0;
};

// The data of a channel's functions: the environment's share of it.
Channel& ChannelOf(void* data) { return **static_cast<std::shared_ptr<Channel>*>(data); }

napi_value Refusal(napi_env env, const Answer& refusal) {
  napi_value refused = nullptr;
  if (napi_create_array_with_length(env, 3, &refused) != napi_ok) return nullptr;
  napi_set_element(env, refused, 0, Number(env, static_cast<double>(refusal.status)));
  napi_set_element(env, refused, 1, Number(env, refusal.result.error));
  napi_set_element(env, refused, 2, Number(env, static_cast<double>(refusal.stuck_since_ms)));
  return refused;
}

napi_value Start(napi_env env, napi_callback_info info) {
  const Arguments<2> arguments(env, info);
  const auto& channel = *static_cast<std::shared_ptr<Channel>*>(arguments.data());
  const std::uint64_t ticket = channel->NextTicket();
  const auto kind = static_cast<CallKind>(arguments.Number(0));
  Answer refusal;
  if (CallPool::Shared().Start(kind, arguments.String(1), ticket, channel, &refusal)) {
    return Number(env, static_cast<double>(ticket));
  }
  return Refusal(env, refusal);
}

napi_value Leave(napi_env env, napi_callback_info info) {
  const Arguments<3> arguments(env, info);
  const auto kind = static_cast<CallKind>(arguments.Number(0));
  const auto ticket = static_cast<std::uint64_t>(arguments.Number(2));
  return Number(env, static_cast<double>(CallPool::Shared().Leave(kind, arguments.String(1), ticket)));
}

napi_value StartWalk(napi_env env, napi_callback_info info) {
  const Arguments<3> arguments(env, info);
  WalkOptions options;
  options.path = arguments.String(0);
  if (Answer refusal; CallPool::Shared().Refuses(options.path, &refusal)) return Refusal(env, refusal);
  options.threads = static_cast<unsigned>(arguments.Number(1));
  options.allow_partial = arguments.Bool(2);
  return Number(env, static_cast<double>(ChannelOf(arguments.data()).StartWalk(std::move(options))));
}

napi_value ProgressOfWalk(napi_env env, napi_callback_info info) {
  const Arguments<1> arguments(env, info);
  const auto progress = WalkQueue::Shared().Progress(static_cast<std::uint64_t>(arguments.Number(0)));
  if (!progress) return nullptr;
  const std::uint64_t words[] = {progress->used, progress->inodes, progress->calls};
  return Words(env, words, std::size(words));
}

napi_value CancelWalk(napi_env env, napi_callback_info info) {
  const Arguments<1> arguments(env, info);
  WalkQueue::Shared().Cancel(static_cast<std::uint64_t>(arguments.Number(0)));
  return nullptr;
}

napi_value GiveUpWalk(napi_env env, napi_callback_info info) {
  const Arguments<2> arguments(env, info);
  const auto number = static_cast<std::uint64_t>(arguments.Number(0));
  const auto since_ms = static_cast<std::int64_t>(arguments.Number(1));
  return Number(env, static_cast<double>(WalkQueue::Shared().GiveUp(number, since_ms)));
}

void Define(napi_env env, napi_value object, const char* name, napi_callback function, void* data) {
  napi_value value = nullptr;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, data, &value) != napi_ok) return;
  napi_set_named_property(env, object, name, value);
}

napi_value Connect(napi_env env, napi_callback_info info) {
  const Arguments<2> arguments(env, info);
  auto opened = Channel::Open(env, arguments.Value(0), arguments.Value(1));
  napi_value result = nullptr;
  if (opened == nullptr || napi_create_object(env, &result) != napi_ok) return nullptr;
  auto* const channel = new std::shared_ptr<Channel>(std::move(opened));
  napi_add_env_cleanup_hook(
      env,
      [](void* data) {
        ChannelOf(data).Close();
        delete static_cast<std::shared_ptr<Channel>*>(data);
      },
      channel);
  Define(env, result, "start", Start, channel);
  Define(env, result, "leave", Leave, channel);
  Define(env, result, "walk", StartWalk, channel);
  Define(env, result, "walkProgress", ProgressOfWalk, channel);
  Define(env, result, "walkCancel", CancelWalk, channel);
  Define(env, result, "walkGiveUp", GiveUpWalk, channel);
  return result;
}

napi_value Counts(napi_env env, napi_callback_info) {
  const auto counts = CallPool::Shared().Count();
  napi_value result = nullptr;
  if (napi_create_object(env, &result) != napi_ok) return nullptr;
  napi_set_named_property(env, result, "threads", Number(env, counts.threads));
  napi_set_named_property(env, result, "stuck", Number(env, counts.stuck));
  napi_set_named_property(env, result, "waiting", Number(env, static_cast<double>(counts.waiting)));
  napi_set_named_property(env, result, "asked", Number(env, static_cast<double>(counts.asked)));
  return result;
}

}  // namespace
}  // namespace kvm

NAPI_MODULE_INIT() {
  kvm::Define(env, exports, "connect", kvm::Connect, nullptr);
  kvm::Define(env, exports, "counts", kvm::Counts, nullptr);
  return exports;
}
