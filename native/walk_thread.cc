#include "walk_thread.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace kvm {
namespace {

// A directory is read on before its subdirectories are entered, best to its end: then it need not stay open
// for more than their names. But not beyond this many bytes of names.
constexpr std::uint32_t kMostWaitingBytes = 8 * 1024;
// Names waiting in all directories that a thread is in. Beyond it less is read at a time and entered at once,
// so that a tree both wide and deep costs memory for its depth only.
constexpr std::uint32_t kMostNameBytes = 512 * 1024;
// Enough for the longest name of any filesystem (FUSE: 1024 bytes).
constexpr std::size_t kLittle = 2048;

// A name that keeps changing between directory and something else is given up.
constexpr int kMostTurns = 16;

const EntryRecord* RecordAt(const char* buffer, std::size_t offset) {
  return reinterpret_cast<const EntryRecord*>(buffer + offset);
}

bool IsDots(const char* name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

}  // namespace

WalkThread::WalkThread(WalkState& state, unsigned number, WalkTally& tally, const WorkClock& clock)
    : state_(state),
      number_(number),
      tally_(tally),
      clock_(clock),
      budget_(Budget(state.options.threads)),
      most_used_(UINT64_MAX / state.options.threads) {}

void WalkThread::Run(std::unique_ptr<WalkShare> share) {
  if (share->part == WalkShare::Part::kRoot && !OpenRoot(share.get())) share = state_.Take(number_, clock_);
  for (; share != nullptr; share = state_.Take(number_, clock_)) {
    if (Adopt(*share)) WalkAll();
    share.reset();
    stack_.Clear();
  }
}

void WalkThread::WalkAll() {
  while (!stack_.empty() && !state_.stopped()) {
    if (records_ < records_end_) {
      CountEntries();
    } else if (ShouldRead(stack_.innermost())) {
      ReadSome();
    } else if (stack_.innermost().waiting > 0) {
      EnterNext();
    } else {
      LeaveDone();
    }
  }
}

bool WalkThread::ShouldRead(const Frame& frame) const {
  if (frame.read_to_end) return false;
  if (frame.waiting == 0) return true;
  return frame.end - frame.next < kMostWaitingBytes && stack_.name_bytes() < kMostNameBytes;
}

void WalkThread::ReadSome() {
  if (stack_.innermost().waiting == 0) stack_.ForgetNames();
  const std::size_t size = stack_.name_bytes() > kMostNameBytes ? kLittle : kBufferBytes;
  std::size_t bytes = 0;
  const int error = ReadEntries(stack_.innermost().fd, buffer_, size, &bytes);
  Returned();
  records_ = 0;
  records_end_ = bytes;
  if (bytes > 0) return;
  stack_.innermost().read_to_end = true;
  // ENOENT: the directory was removed. Then there is nothing in it, but a root that is gone has no usage to
  // report.
  const bool is_root = stack_.depth() == 1 && base_->empty();
  if (error == ENOENT && is_root) return state_.Stop(error, state_.options.path);
  if (error != 0 && error != ENOENT) Fail(error);
}

void WalkThread::CountEntries() {
  while (records_ < records_end_ && !state_.stopped()) {
    const EntryRecord* record = RecordAt(buffer_, records_);
    records_ += record->length;
    if (IsDots(record->name)) continue;
    const MountNode* mounts = stack_.innermost().mounts;
    if (mounts != nullptr) {
      const MountNode* child = mounts->Child(record->name);
      if (child != nullptr && child->IsMountPoint()) continue;
    }
    if (record->type == DT_DIR) {
      NoteSubdirectory(record->name);
    } else {
      CountEntry(record->name);
    }
    if (state_.WantsWork()) ShareWork();
  }
}

void WalkThread::CountEntry(const char* name) {
  EntryStat stat;
  const int error = Stat(stack_.innermost().fd, name, &stat);
  if (error == ENOENT) return;
  if (error != 0) return Fail(error, name);
  if (stat.IsDirectory() && !IsForeign(stat)) return NoteSubdirectory(name);
  Count(stat, name);
}

void WalkThread::NoteSubdirectory(const char* name) {
  if (!stack_.AddNames(name, static_cast<std::uint32_t>(std::strlen(name)) + 1, 1)) Fail(ENOMEM, name);
}

void WalkThread::EnterNext() {
  const std::uint32_t place = stack_.TakeName();
  const char* name = stack_.Name(place);
  Fd dir;
  EntryStat stat;
  const int error = OpenNext(name, &dir, &stat);
  if (error != 0) return Fail(error, name);
  if (!dir || !CountDirectory(dir.get(), "", stat, name)) return;
  const std::uint32_t parent = stack_.depth() - 1;
  const MountNode* mounts = stack_[parent].mounts;
  if (mounts != nullptr) mounts = mounts->Child(name);
  // What has nothing left to do is not returned to, however deep the way down goes on.
  if (!stack_[parent].HasWork()) stack_.Close(parent);
  if (!stack_.Push(std::move(dir), place, stat.ino, mounts)) return Fail(ENOMEM, name);
  KeepToBudget();
  if (state_.WantsWork()) ShareWork();
}

// Opens what was a directory when its name was read. No error and no descriptor: it is not to be walked, and
// what is there now is counted as far as it is part of the walk.
int WalkThread::OpenNext(const char* name, Fd* dir, EntryStat* stat) {
  const int parent = stack_.innermost().fd;
  int error = 0;
  for (int turn = 0; turn < kMostTurns; turn++) {
    if (state_.root.may_have_automounts) {
      error = Stat(parent, name, stat);
      if (error == ENOENT || (error == 0 && stat->IsAutomount())) return 0;
      if (error != 0) return error;
    }
    error = Open(parent, name, kReadDirectory | O_NOFOLLOW | no_atime_, dir);
    // A mount point is EXDEV whatever it is opened for; a filesystem's own EXDEV is an error as any other.
    Fd place;
    if (error == EXDEV && Open(parent, name, O_PATH | O_NOFOLLOW, &place) == EXDEV) return 0;
    if (error == ENOENT) return 0;
    if (error == 0) {
      error = Stat(dir->get(), "", stat, state_.directories.WantsBirth());
      if (error == 0 && IsForeign(*stat)) dir->Reset();
      return error;
    }
    // It cannot be read, which costs its content but not its own count, or it was replaced. What is not part
    // of the walk need not be readable.
    const int stat_error = Stat(parent, name, stat, state_.directories.WantsBirth());
    if (stat_error == ENOENT) return 0;
    const bool replaced = error == ENOTDIR || error == ELOOP;
    if (stat_error != 0) return replaced ? stat_error : error;
    if (replaced && stat->IsDirectory()) continue;
    if (IsForeign(*stat)) return 0;
    if (!stat->IsDirectory()) {
      Count(*stat, name);
    } else if (!CountDirectory(parent, name, *stat, name)) {
      return 0;
    }
    return replaced ? 0 : error;
  }
  return error;
}

bool WalkThread::IsForeign(const EntryStat& stat) const {
  return stat.Device() != state_.root.device || stat.IsMountRoot();
}

void WalkThread::Count(const EntryStat& stat, const char* name) {
  since_shared_++;
  if (IsForeign(stat)) return;
  if (stat.nlink > 1 && !stat.IsDirectory()) {
    switch (state_.linked.Add(stat.ino)) {
      case SeenSet::Insert::kNew:
        break;
      case SeenSet::Insert::kKnown:
        return;
      case SeenSet::Insert::kNoMemory:
        return Fail(ENOMEM, name);
    }
  }
  if (!AddToTally(stat)) Fail(EOVERFLOW, name);
}

// Counts a directory, `dir_name` in `dir`, unless it has been counted. False: there is nothing to enter.
bool WalkThread::CountDirectory(int dir, const char* dir_name, const EntryStat& stat, const char* name) {
  switch (state_.directories.Add(dir, dir_name, stat)) {
    case SeenDirectories::Met::kFirst:
      Count(stat, name);
      return true;
    case SeenDirectories::Met::kMaybeAgain:
      return false;
    case SeenDirectories::Met::kAgain:
      Fail(kMetAgain, name);
      return false;
    case SeenDirectories::Met::kNoMemory:
      Fail(ENOMEM, name);
      return false;
  }
  return false;
}

// False: a size that no filesystem has, with which the sum would wrap.
bool WalkThread::AddToTally(const EntryStat& stat) {
  if (stat.blocks > (most_used_ - tally_.used.load(std::memory_order_relaxed)) / 512) return false;
  Add(tally_.used, stat.blocks * 512);
  Add(tally_.inodes, 1);
  // Stored once: the threads share it.
  if (stat.IsSizedWithoutBlocks() && !state_.sized_without_blocks()) state_.NoteSizedWithoutBlocks();
  return true;
}

int WalkThread::Stat(int dir, const char* name, EntryStat* stat, bool with_birth) {
  const int error = StatEntry(state_.root.kernel, dir, name, with_birth, stat);
  Returned();
  return error;
}

// Of an entry of the innermost directory, or of that itself.
void WalkThread::Fail(int error, const char* name) {
  std::string below = PathFromRoot();
  if (name != nullptr) below += '/' + std::string(name);
  std::string path = state_.options.path;
  while (!below.empty() && !path.empty() && path.back() == '/') path.pop_back();
  state_.Fail(error, path + below);
}

}  // namespace kvm
