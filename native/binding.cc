// JavaScript <-> C++, and nothing else.
//
// connect(deliver, buffer) -> channel, the functions below.
//   deliver(answers, walks, texts): how many records of either kind lie in the ArrayBuffer `buffer`, as
//     binding_channel.h describes them, and the paths that walks' records go with, undefined if none does. On
//     the event loop; as often as it takes.
//   start(kind, path): the call's ticket (a number), or a refusal [status, errno, stuckSinceMs].
//   leave(kind, path, ticket): since when the path is stuck, in milliseconds since the epoch, or 0.
//   walk(path, threads, allowPartial): the walk's number, or a refusal as of start.
//   walkProgress(number): BigUint64Array [used, inodes, system calls, nanoseconds of work], or undefined
//     while it waits.
//   walkCancel(number): the milliseconds of its work; its result is delivered soon, and the next walk may
//     run.
//   walkGiveUp(number, stuckSinceMs): the milliseconds of its work, or -1 when there is no such walk.
// counts() -> { threads, stuck, waiting, asked } of the whole process.
//
// Built with -z nodelete: when a worker_thread ends, Node unloads the addons that only it has loaded, and
// detached threads still run this code.
#include <memory>
#include <utility>

#include "binding_channel.h"
#include "binding_values.h"
#include "call_pool.h"
#include "walk_queue.h"

namespace kvm {
namespace {

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
  const std::uint64_t words[] = {progress->used, progress->inodes, progress->calls, progress->work_ns};
  return Words(env, words, std::size(words));
}

napi_value CancelWalk(napi_env env, napi_callback_info info) {
  const Arguments<1> arguments(env, info);
  return Number(env, Milliseconds(WalkQueue::Shared().Cancel(static_cast<std::uint64_t>(arguments.Number(0)))));
}

napi_value GiveUpWalk(napi_env env, napi_callback_info info) {
  const Arguments<2> arguments(env, info);
  const auto number = static_cast<std::uint64_t>(arguments.Number(0));
  const auto since_ms = static_cast<std::int64_t>(arguments.Number(1));
  const auto work_ns = WalkQueue::Shared().GiveUp(number, since_ms);
  return Number(env, work_ns ? Milliseconds(*work_ns) : -1);
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
