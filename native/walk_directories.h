// The directories that a walk has entered, so that it enters each once, however they are moved meanwhile.
//
// Whoever may rename inside a volume can put directories that were walked already where the walk goes next:
// it would never end, and count them again and again. An inode number alone does not tell, because
// filesystems give the number of a directory that was removed to the next one that is made. So a directory is
// known by its inode number and
//
//   the time of its birth, which statx reports and only the kernel sets; or, where the filesystem keeps none,
//   statx is denied, or a server makes up the numbers,
//   its handle, which holds a generation of the number.
//
// What is known already is not entered: it has been counted, or is being counted. How sure that is decides
// whether anybody is told. It is certain by a handle, or if the directory was born before the walk began:
// then the tree is being moved under the walk, and the numbers of other parts may be off. A directory born
// during the walk may be a new one with the number and the clock tick of one that was removed a moment ago,
// as build jobs make them; to leave it out is as right as to count it. Directories known by number alone are
// left out in silence too. With neither, and numbers made up by a server, nothing is known: such directories
// are not kept here.
#pragma once

#include <cstdint>

#include "walk_kernel.h"
#include "walk_seen.h"

namespace kvm {

// Used by all threads of a walk; 11 to 22 bytes a directory. No path and no descriptor is kept.
class SeenDirectories {
 public:
  enum class Met {
    kFirst,
    kAgain,       // for certain
    kMaybeAgain,  // or another one that cannot be told from it
    kNoMemory,
  };

  SeenDirectories();

  // The filesystem that is walked; before anything is added.
  void SetTraits(const FilesystemTraits& traits) { traits_ = traits; }
  // Whether Add makes use of the time of birth.
  bool WantsBirth() const { return !traits_.may_alias_directories; }
  // The directory `name` in `dir`, or `dir` itself if the name is empty. `stat` is its own.
  Met Add(int dir, const char* name, const EntryStat& stat);

 private:
  FilesystemTraits traits_;
  EntryTime begun_{};
  // Makes keys that a tree's owner cannot foresee: 64 bits of hash stand for the whole identity.
  std::uint64_t secret_ = 0;
  SeenSet keys_;
};

}  // namespace kvm
