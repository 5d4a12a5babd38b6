#include "binding_channel.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "binding_values.h"
#include "walk_queue.h"

namespace kvm {
namespace {

constexpr std::size_t kAnswerWords = 5 + std::tuple_size_v<decltype(CallResult::values)>;
constexpr std::size_t kWalkWords = 10;
constexpr std::size_t kBufferBytes =
    (Channel::kMostAnswers * kAnswerWords + Channel::kMostWalks * kWalkWords) * sizeof(std::uint64_t);

// Writes words, one after the other.
class Writer {
 public:
  explicit Writer(std::uint64_t* at) : at_(at) {}
  void Number(double number) { std::memcpy(at_++, &number, sizeof number); }
  void Word(std::uint64_t word) { *at_++ = word; }

 private:
  std::uint64_t* at_;
};

bool HasPaths(const WalkResult& result) { return !result.path.empty() || !result.first_path.empty(); }

}  // namespace

std::shared_ptr<Channel> Channel::Open(napi_env env, napi_value deliver, napi_value buffer) {
  auto channel = std::make_shared<Channel>();
  napi_value name = nullptr;
  void* bytes = nullptr;
  std::size_t size = 0;
  if (napi_get_arraybuffer_info(env, buffer, &bytes, &size) != napi_ok || size != kBufferBytes) return nullptr;
  channel->buffer_ = static_cast<std::uint64_t*>(bytes);
  if (napi_create_string_utf8(env, "kube-volume-metrics", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_reference(env, buffer, 1, &channel->buffer_reference_) != napi_ok ||
      napi_create_threadsafe_function(env, deliver, nullptr, name, 0, 1, nullptr, nullptr, channel.get(), OnLoop,
                                      &channel->to_loop_) != napi_ok) {
    return nullptr;
  }
  // A caller who waits keeps the event loop alive by a timer of its own; this must not, or no process would
  // ever end.
  napi_unref_threadsafe_function(env, channel->to_loop_);
  return channel;
}

void Channel::Deliver(std::uint64_t ticket, const Answer& answer) {
  bool wakes;
  {
    std::lock_guard<std::mutex> lock(lock_);
    if (!open_) return;
    wakes = IsEmpty();
    calls_.push_back({ticket, answer});
  }
  if (wakes) WakeLoop();
}

std::uint64_t Channel::StartWalk(WalkOptions options) {
  auto number = std::make_shared<std::uint64_t>(0);
  auto self = shared_from_this();
  const std::uint64_t started = WalkQueue::Shared().Start(std::move(options), [self, number](const WalkResult& result) {
    bool wakes;
    {
      std::lock_guard<std::mutex> lock(self->lock_);
      if (!self->open_) return;
      wakes = self->IsEmpty();
      self->walks_.push_back({number, result});
    }
    if (wakes) self->WakeLoop();
  });
  std::lock_guard<std::mutex> lock(lock_);
  *number = started;
  live_walks_.insert(started);
  return started;
}

void Channel::Close() {
  std::unordered_set<std::uint64_t> walks;
  {
    std::lock_guard<std::mutex> wake_lock(wake_lock_);
    std::lock_guard<std::mutex> lock(lock_);
    open_ = false;
    walks.swap(live_walks_);
  }
  for (const auto number : walks) WalkQueue::Shared().Cancel(number);
}

void Channel::WakeLoop() {
  std::lock_guard<std::mutex> lock(wake_lock_);
  if (open_) napi_call_threadsafe_function(to_loop_, nullptr, napi_tsfn_nonblocking);
}

void Channel::PutAnswers(const CallDelivery* calls, std::size_t count) {
  Writer to(buffer_);
  for (const auto* call = calls; call < calls + count; ++call) {
    to.Number(static_cast<double>(call->ticket));
    to.Number(call->answer.result.of_statfs ? 1 : 0);
    to.Number(static_cast<double>(call->answer.status));
    to.Number(call->answer.result.error);
    to.Number(static_cast<double>(call->answer.stuck_since_ms));
    for (const std::uint64_t value : call->answer.result.values) to.Word(value);
  }
}

napi_value Channel::PutWalks(napi_env env, const WalkDelivery* walks, std::size_t count) {
  Writer to(buffer_ + kMostAnswers * kAnswerWords);
  napi_value texts = nullptr;
  std::uint32_t text = 0;
  for (const auto* walk = walks; walk < walks + count; ++walk) {
    const WalkResult& result = walk->result;
    to.Number(static_cast<double>(*walk->number));
    to.Number(result.error);
    to.Number(static_cast<double>(result.errors));
    to.Number(result.first_error);
    to.Number(static_cast<double>(result.stuck_since_ms));
    to.Number(result.sized_without_blocks ? 1 : 0);
    to.Number(Milliseconds(result.work_ns));
    to.Number(HasPaths(result) ? 1 : 0);
    to.Word(result.used);
    to.Word(result.inodes);
    if (!HasPaths(result)) continue;
    if (texts == nullptr && napi_create_array(env, &texts) != napi_ok) return nullptr;
    napi_set_element(env, texts, text++, String(env, result.path));
    napi_set_element(env, texts, text++, String(env, result.first_path));
  }
  return texts;
}

void Channel::OnLoop(napi_env env, napi_value deliver, void* context, void*) {
  // Without an environment the channel may be gone as well: Node calls once more for what it had still
  // queued.
  if (env == nullptr || deliver == nullptr) return;
  auto* const channel = static_cast<Channel*>(context);
  std::vector<CallDelivery> calls;
  std::vector<WalkDelivery> walks;
  {
    std::lock_guard<std::mutex> lock(channel->lock_);
    calls.swap(channel->calls_);
    walks.swap(channel->walks_);
    for (const auto& walk : walks) channel->live_walks_.erase(*walk.number);
  }
  napi_value self = nullptr;
  if (napi_get_undefined(env, &self) != napi_ok) return;
  for (std::size_t call = 0, walk = 0; call < calls.size() || walk < walks.size();) {
    const std::size_t call_count = std::min(calls.size() - call, kMostAnswers);
    const std::size_t walk_count = std::min(walks.size() - walk, kMostWalks);
    channel->PutAnswers(calls.data() + call, call_count);
    napi_value texts = channel->PutWalks(env, walks.data() + walk, walk_count);
    napi_value arguments[] = {Number(env, static_cast<double>(call_count)),
                              Number(env, static_cast<double>(walk_count)), texts != nullptr ? texts : self};
    if (napi_call_function(env, self, deliver, std::size(arguments), arguments, nullptr) != napi_ok) return;
    call += call_count;
    walk += walk_count;
  }
}

}  // namespace kvm
