// The owner of a volume who fights a walk of it, with nothing but renames: inotify tells him which of his directories was
// opened, and he moves a random one of those that were opened before into it. Runs until its standard input ends.
// usage: fighting-owner ROOT DIRECTORIES SEED    prints "ready" when the tree is there
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST 200
static int root, dirs, fds[MOST], watches[MOST], parents[MOST], opened[MOST];

static int holds(int outer, int inner) {
  for (int at = inner; at >= 0; at = parents[at])
    if (at == outer) return 1;
  return 0;
}

static void move(int dir, int into) {
  char name[16];
  snprintf(name, sizeof name, "d%d", dir);
  const int from = parents[dir] < 0 ? root : fds[parents[dir]];
  if (renameat(from, name, into < 0 ? root : fds[into], name) == 0) parents[dir] = into;
}

int main(int argc, char **argv) {
  if (argc < 4 || (dirs = atoi(argv[2])) > MOST) return 2;
  srand(atoi(argv[3]));
  root = open(argv[1], O_RDONLY | O_DIRECTORY);
  const int events = inotify_init1(IN_NONBLOCK);
  for (int i = 0; i < dirs; i++) {
    char name[64];
    snprintf(name, sizeof name, "d%d", i);
    if (mkdirat(root, name, 0755) != 0) return 1;
    fds[i] = openat(root, name, O_RDONLY | O_DIRECTORY);
    for (int j = 0; j < 200; j++) {
      snprintf(name, sizeof name, "file%d", j);
      const int file = openat(fds[i], name, O_CREAT | O_WRONLY, 0644);
      if (file < 0 || write(file, argv, 8) != 8) return 1;
      close(file);
    }
    parents[i] = -1;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fds[i]);
    watches[i] = inotify_add_watch(events, name, IN_OPEN | IN_ONLYDIR);
  }
  printf("ready\n");
  fflush(stdout);
  static char buffer[65536] __attribute__((aligned(8)));
  for (;;) {
    struct pollfd polled[] = {{events, POLLIN, 0}, {0, POLLIN, 0}};
    poll(polled, 2, -1);
    if (polled[1].revents != 0) return 0;
    const ssize_t bytes = read(events, buffer, sizeof buffer);
    for (char *at = buffer; at < buffer + bytes;) {
      const struct inotify_event *event = (void *)at;
      at += sizeof *event + event->len;
      int into = 0;
      while (into < dirs && watches[into] != event->wd) into++;
      if (event->len != 0 || into == dirs) continue;
      opened[into] = 1;
      for (int tries = 0; tries < 8; tries++) {
        const int dir = rand() % dirs;
        if (!opened[dir] || holds(dir, into)) continue;
        move(dir, into);
        break;
      }
    }
  }
}
