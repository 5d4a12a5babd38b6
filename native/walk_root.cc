// The beginning of a walk: its root, and what is asked once.
#include <cerrno>

#include "walk_thread.h"

namespace kvm {

// Counts the root and learns what the walk rests on.
bool WalkThread::OpenRoot(WalkShare* share) {
  share->path = base_ = std::make_shared<std::string>();
  WalkRoot& root = state_.root;
  Fd dir;
  bool unreadable = false;
  EntryStat stat;
  int error = OpenRootItself(&dir, &unreadable);
  if (error == 0) error = Stat(dir.get(), "", &stat);
  if ((error == ENOSYS || error == EPERM) && !HasStatx()) {
    root.kernel.statx = false;
    error = Stat(dir.get(), "", &stat);
  }
  // Without a root there is nothing that part of it could be reported of, whatever the options say.
  if (error != 0) {
    state_.Stop(error, state_.options.path);
    return false;
  }
  root.device = stat.Device();
  root.ino = share->ino = stat.ino;
  if (!AddToTally(stat)) Fail(EOVERFLOW);
  if (unreadable) Fail(EACCES);
  if (unreadable || !stat.IsDirectory()) return false;

  root.kernel.openat2 = HasOpenat2(dir.get());
  const FilesystemTraits traits = TraitsOf(dir.get());
  root.may_have_automounts = traits.may_have_automounts;
  state_.directories.SetTraits(traits);
  Returned();
  if (!ReadMountPoints(dir.get(), stat, *state_.options.mounts, &root.mounts, &error)) {
    // Without the table, a kernel that tells mount points when they are met leaves them out all the same. But
    // a table that only a lack of descriptors hides may name one that never answers.
    const bool told = root.kernel.openat2 && stat.TellsMountRoots();
    if (!told || error == EMFILE || error == ENFILE) {
      state_.Stop(error != 0 ? error : ENOTSUP, "/proc/self/mountinfo");
      return false;
    }
  }
  if (root.mounts.HasChildren()) share->mounts = &root.mounts;
  share->dir = std::move(dir);
  return true;
}

// A directory for reading; or anything else, or a directory that may not be read, for its own count only.
int WalkThread::OpenRootItself(Fd* fd, bool* unreadable) {
  const char* path = state_.options.path.c_str();
  const int error = Open(AT_FDCWD, path, kReadDirectory | no_atime_, fd);
  *unreadable = error == EACCES;
  return error == ENOTDIR || error == EACCES ? Open(AT_FDCWD, path, O_PATH, fd) : error;
}

}  // namespace kvm
