// The floor of a walk: the bare system calls in one thread, openat, getdents64 and statx by name for every entry, and
// nothing else. No hard links, no mount points, no errors: the program ends at the first.
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Paths (not inodes), and bytes of their blocks.
struct counted {
  unsigned long long entries, bytes;
};

struct record {
  uint64_t ino;
  int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[];
};

static void bare_walk_below(int dir, struct counted *counted) {
  _Alignas(8) char buffer[32 * 1024];
  long size;
  while ((size = syscall(SYS_getdents64, dir, buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < size;) {
      struct record *entry = (struct record *)(buffer + at);
      at += entry->length;
      if (!strcmp(entry->name, ".") || !strcmp(entry->name, "..")) continue;
      struct statx stat;
      if (syscall(SYS_statx, dir, entry->name, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_INO | STATX_NLINK | STATX_BLOCKS, &stat)) {
        perror(entry->name);
        _exit(1);
      }
      counted->entries++;
      counted->bytes += stat.stx_blocks * 512;
      if (entry->type != DT_DIR) continue;
      int child = openat(dir, entry->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
      if (child < 0) {
        perror(entry->name);
        _exit(1);
      }
      bare_walk_below(child, counted);
      close(child);
    }
  }
}

// Adds what is at the path to what is counted. Returns 0, or -1 if it cannot be opened.
static int bare_walk(const char *path, struct counted *counted) {
  int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return -1;
  struct statx stat;
  syscall(SYS_statx, root, "", AT_EMPTY_PATH, STATX_BLOCKS, &stat);
  counted->entries++;
  counted->bytes += stat.stx_blocks * 512;
  bare_walk_below(root, counted);
  close(root);
  return 0;
}
