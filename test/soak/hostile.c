// An unprivileged owner of a volume who fights every walk of it. inotify tells him which directory was
// opened, so he knows which directories the walker has left and which it has only seen the names of. He moves
// some of the former, chosen at random, into one of the latter: the walker meets them again, and its walk
// need never end. He also moves directories into the one that was just opened, moves them anywhere while
// nobody walks, and swaps a directory with a symlink that leads out of the volume. He never makes or removes
// a file, so the volume's real content stays the same.
//
// usage: hostile ROOT SEED DIRECTORIES FILES      (FILES of one page in each directory)
// Ends with its standard input.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST 256
#define PAGE 4096

static int root, count;
static int directory[MOST], watch[MOST];
// The index of the directory that each lies in; -1 is the root.
static int place[MOST];
// Whether a walker has listed its parent since it was opened itself.
static int queued[MOST];
static int root_watch;
static uint64_t state;
// The folder of all volumes.
static char outside[4096];

static unsigned below(unsigned limit) {
  // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (unsigned)((state * 2685821657736338717u) >> 33) % limit;
}

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static int parent(int which) { return place[which] < 0 ? root : directory[place[which]]; }

static void name(char* out, const char* prefix, int which) { snprintf(out, 16, "%s%d", prefix, which); }

// Into another directory, or to the root. The kernel refuses to move one into itself, which is fine.
static void move(int which, int to) {
  char own[16];
  name(own, "d", which);
  int target = to < 0 ? root : directory[to];
  if (to != which && renameat2(parent(which), own, target, own, RENAME_NOREPLACE) == 0) place[which] = to;
}

// For a moment a symlink stands where the directory was.
static void flicker(int which) {
  char own[16], link[16];
  name(own, "d", which);
  name(link, "s", which);
  if (symlinkat(outside, parent(which), link) != 0) return;
  if (renameat2(parent(which), own, parent(which), link, RENAME_EXCHANGE) == 0) {
    usleep(below(200));
    if (renameat2(parent(which), own, parent(which), link, RENAME_EXCHANGE) != 0) fail("exchange");
  }
  if (unlinkat(parent(which), link, 0) != 0) fail("unlink");
}

static void make(int files) {
  char own[16], page[PAGE];
  memset(page, 'x', sizeof page);
  for (int i = 0; i < count; i++) {
    name(own, "d", i);
    if (mkdirat(root, own, 0755) != 0) fail("mkdir");
    directory[i] = openat(root, own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory[i] < 0) fail("open");
    place[i] = -1;
    for (int j = 0; j < files; j++) {
      name(own, "f", j);
      int file = openat(directory[i], own, O_WRONLY | O_CREAT | O_EXCL, 0644);
      if (file < 0 || write(file, page, sizeof page) != (ssize_t)sizeof page) fail("write");
      close(file);
    }
  }
}

// One of those that are queued, or of those that are not; -1 for none.
static int any(int wanted) {
  for (int tries = 0; tries < 2 * count; tries++) {
    int which = (int)below((unsigned)count);
    if (queued[which] == wanted) return which;
  }
  return -1;
}

static void queue_children(int of) {
  for (int i = 0; i < count; i++)
    if (place[i] == of) queued[i] = 1;
}

static void opened(int which) {
  queued[which] = 0;
  queue_children(which);
  int to = below(4) == 0 ? which : any(1);
  for (unsigned moves = 1 + below(3); moves > 0 && to >= 0; moves--) {
    int old = any(0);
    if (old >= 0) move(old, to);
  }
}

static int watched(int descriptor) {
  for (int i = 0; i < count; i++)
    if (watch[i] == descriptor) return i;
  return -1;
}

static void fight(int events) {
  char buffer[16384] __attribute__((aligned(8)));
  ssize_t size = read(events, buffer, sizeof buffer);
  for (char* at = buffer; size > 0 && at < buffer + size;) {
    const struct inotify_event* event = (const struct inotify_event*)at;
    at += sizeof *event + event->len;
    // With a name it is about a child of the directory.
    if (event->len > 0) continue;
    int which = watched(event->wd);
    if (which >= 0) opened(which);
    else if (event->wd == root_watch) queue_children(-1);
  }
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  root = open(argv[1], O_RDONLY | O_DIRECTORY);
  if (root < 0) fail(argv[1]);
  snprintf(outside, sizeof outside, "%s/..", argv[1]);
  state = strtoull(argv[2], NULL, 10) + 1;
  count = atoi(argv[3]);
  if (count < 1 || count > MOST) return 2;
  make(atoi(argv[4]));

  int events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (events < 0) fail("inotify");
  char path[32];
  for (int i = 0; i < count; i++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", directory[i]);
    watch[i] = inotify_add_watch(events, path, IN_OPEN | IN_ONLYDIR);
    if (watch[i] < 0) fail("watch");
  }
  root_watch = inotify_add_watch(events, argv[1], IN_OPEN | IN_ONLYDIR);
  if (root_watch < 0) fail("watch");
  puts("ready");
  fflush(stdout);

  struct pollfd wait[] = {{events, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  for (;;) {
    poll(wait, 2, 5);
    if (wait[1].revents != 0) return 0;
    if (wait[0].revents != 0) {
      fight(events);
      continue;
    }
    // Nobody walks now.
    int which = (int)below((unsigned)count);
    if (below(3) == 0) flicker(which);
    else move(which, below(2) == 0 ? -1 : (int)below((unsigned)count));
  }
}
