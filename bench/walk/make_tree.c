// Makes the trees that walks are measured on, below a directory that must not exist yet:
//   make_tree PATH files FILES DIRS    FILES empty files in DIRS directories, two levels of them
//   make_tree PATH wide DIRS           one directory with DIRS empty subdirectories
//   make_tree PATH chain DEPTH         a chain of directories
//   make_tree PATH comb CHAINS DEPTH   chains side by side, names of 200 bytes
//   make_tree PATH links FILES         FILES files, each with a second link beside it
// Remove them with `rm -rf`: paths get longer than other tools can handle.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int open_dir(int parent, const char *name) {
  int dir = openat(parent, name, O_RDONLY | O_DIRECTORY);
  if (dir < 0) fail(name);
  return dir;
}

static int make_dir(int parent, const char *name) {
  if (mkdirat(parent, name, 0777)) fail(name);
  return open_dir(parent, name);
}

static void make_file(int dir, const char *name) {
  int file = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0666);
  if (file < 0) fail(name);
  close(file);
}

static void files(int root, long count, long dirs) {
  // Of n directories about the square root stand in the root, and the others share them.
  long upper = 1;
  while (upper * (upper + 1) < dirs) upper++;
  char name[64];
  long made = 0, written = 0;
  for (long i = 0; i < upper && made < dirs; i++) {
    snprintf(name, sizeof name, "d%ld", i);
    int dir = make_dir(root, name);
    made++;
    long lower = (dirs - made) / (upper - i);
    for (long j = 0; j <= lower && made <= dirs; j++) {
      int here = dir;
      if (j > 0) {
        snprintf(name, sizeof name, "sub%ld", j);
        here = make_dir(dir, name);
        made++;
      }
      for (long end = count * made / dirs; written < end; written++) {
        snprintf(name, sizeof name, "file-%ld.txt", written);
        make_file(here, name);
      }
      if (j > 0) close(here);
    }
    close(dir);
  }
}

static void chain(int root, long depth, const char *name) {
  int dir = dup(root);
  for (long i = 0; i < depth; i++) {
    int next = make_dir(dir, name);
    close(dir);
    dir = next;
  }
  close(dir);
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: %s PATH files|wide|chain|comb|links NUMBER [NUMBER]\n", argv[0]);
    return 2;
  }
  const char *kind = argv[2];
  long first = atol(argv[3]);
  long second = argc > 4 ? atol(argv[4]) : 1;
  int root = make_dir(AT_FDCWD, argv[1]);
  char name[256];
  if (!strcmp(kind, "files")) {
    files(root, first, second);
  } else if (!strcmp(kind, "wide")) {
    for (long i = 0; i < first; i++) {
      snprintf(name, sizeof name, "%ld", i);
      if (mkdirat(root, name, 0777)) fail(name);
    }
  } else if (!strcmp(kind, "chain")) {
    chain(root, first, "d");
  } else if (!strcmp(kind, "comb")) {
    for (long i = 0; i < first; i++) {
      memset(name, 'n', 200);
      snprintf(name + 180, sizeof name - 180, "%020ld", i);
      chain(root, second, name);
    }
  } else if (!strcmp(kind, "links")) {
    for (long i = 0; i < first; i++) {
      char other[64];
      snprintf(name, sizeof name, "%ld", i);
      snprintf(other, sizeof other, "%ld-link", i);
      make_file(root, name);
      if (linkat(root, name, root, other, 0)) fail(other);
    }
  } else {
    fprintf(stderr, "%s: no such kind of tree\n", kind);
    return 2;
  }
  return 0;
}
