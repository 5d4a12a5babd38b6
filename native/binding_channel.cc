#include "binding_channel.h"

#include <utility>

#include "binding_values.h"
#include "walk_queue.h"

namespace kvm {
namespace {

// ticket, kind, status, errno, stuck since (ms), then the values of CallResult.
constexpr std::size_t kHead = 5;

}  // namespace

std::shared_ptr<Channel> Channel::Open(napi_env env, napi_value deliver, napi_value deliver_walk) {
  auto channel = std::make_shared<Channel>();
  napi_value name = nullptr;
  if (napi_create_string_utf8(env, "kube-volume-metrics", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_reference(env, deliver_walk, 1, &channel->deliver_walk_) != napi_ok ||
      napi_create_threadsafe_function(env, deliver, nullptr, name, 0, 1, nullptr, nullptr, channel.get(), OnLoop,
                                      &channel->to_loop_) != napi_ok) {
    return nullptr;
  }
  // A caller who waits keeps the event loop alive by a timer of its own; this must not, or no process would
  // ever end.
  napi_unref_threadsafe_function(env, channel->to_loop_);
  return channel;
}

void Channel::Deliver(std::uint64_t ticket, CallKind kind, const Answer& answer) {
  std::lock_guard<std::mutex> lock(lock_);
  if (!open_) return;
  WakeLoop();
  const std::uint64_t head[kHead] = {ticket, static_cast<std::uint64_t>(kind), static_cast<std::uint64_t>(answer.status),
                                     static_cast<std::uint64_t>(answer.result.error),
                                     static_cast<std::uint64_t>(answer.stuck_since_ms)};
  words_.insert(words_.end(), std::begin(head), std::end(head));
  words_.insert(words_.end(), answer.result.values.begin(), answer.result.values.end());
}

std::uint64_t Channel::StartWalk(WalkOptions options) {
  auto number = std::make_shared<std::uint64_t>(0);
  auto self = shared_from_this();
  const std::uint64_t started = WalkQueue::Shared().Start(std::move(options), [self, number](const WalkResult& result) {
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

void Channel::Close() {
  std::unordered_set<std::uint64_t> walks;
  {
    std::lock_guard<std::mutex> lock(lock_);
    open_ = false;
    walks.swap(live_walks_);
  }
  for (const auto number : walks) WalkQueue::Shared().Cancel(number);
}

void Channel::WakeLoop() {
  if (words_.empty() && walks_.empty()) napi_call_threadsafe_function(to_loop_, nullptr, napi_tsfn_nonblocking);
}

void Channel::OnLoop(napi_env env, napi_value deliver, void* context, void*) {
  // Without an environment the channel may be gone as well: Node calls once more for what it had still
  // queued.
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
                              Number(env, static_cast<double>(result.stuck_since_ms)),
                              Number(env, result.sized_without_blocks ? 1 : 0)};
    if (napi_call_function(env, self, deliver_walk, std::size(arguments), arguments, nullptr) != napi_ok) return;
  }
}

}  // namespace kvm
