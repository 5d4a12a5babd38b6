// The floor of a node's round: the system calls that its volumes need, and nothing else.
//   floor LIST THREADS NICE TIMES PAUSE
// LIST has a line for each volume: `statfs PATH`, `tree PATH` for a walk, or `walk PATH` for both, as a reading of a
// directory needs them. Each of the THREADS takes one volume after the other and walks it alone; with 0 of them, each volume has a thread
// that is made for it, and they go one after the other. Goes through the list TIMES times, PAUSE milliseconds before each volume, and prints paths (not inodes) and bytes
// of all walks of the last time, then milliseconds of wall time and of processor time for all times.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <time.h>

#include "../walk/bare_walk.h"

struct volume {
  int asks, walks;
  char *path;
};

static struct volume *volumes;
static long count, pause_ms;
static atomic_long next;
static atomic_ullong entries, bytes;

static void fail(const char *what) {
  perror(what);
  _exit(1);
}

static void take(const struct volume *volume, struct counted *counted) {
  const struct timespec pause = {pause_ms / 1000, pause_ms % 1000 * 1000000};
  if (pause_ms > 0) nanosleep(&pause, NULL);
  struct statfs filesystem;
  if (volume->asks && statfs(volume->path, &filesystem)) fail(volume->path);
  if (volume->walks && bare_walk(volume->path, counted)) fail(volume->path);
}

static void *take_one(void *volume) {
  struct counted counted = {0, 0};
  take(volume, &counted);
  entries += counted.entries;
  bytes += counted.bytes;
  return NULL;
}

static void *take_volumes(void *unused) {
  struct counted counted = {0, 0};
  for (long at; (at = next++) < count;) take(&volumes[at], &counted);
  entries += counted.entries;
  bytes += counted.bytes;
  return unused;
}

static void start(pthread_t *thread, void *(*work)(void *), void *about) {
  if (pthread_create(thread, NULL, work, about)) fail("pthread_create");
}

static void read_list(const char *name) {
  FILE *list = fopen(name, "r");
  if (!list) fail(name);
  char kind[16], path[4096];
  while (fscanf(list, "%15s %4095[^\n]", kind, path) == 2) {
    volumes = realloc(volumes, (size_t)(count + 1) * sizeof *volumes);
    if (!volumes) fail("realloc");
    volumes[count].asks = strcmp(kind, "tree") != 0;
    volumes[count].walks = strcmp(kind, "statfs") != 0;
    volumes[count++].path = strdup(path);
  }
  fclose(list);
}

static double cpu_ms(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "usage: %s LIST THREADS NICE TIMES PAUSE\n", argv[0]), 2;
  read_list(argv[1]);
  long threads = atol(argv[2]), times = atol(argv[4]);
  pause_ms = atol(argv[5]);
  // Of this thread, and of those that it makes.
  if (setpriority(PRIO_PROCESS, 0, atoi(argv[3]))) fail("setpriority");
  double wall = now_ms(), cpu = cpu_ms();
  for (long time = 0; time < times; time++) {
    next = 0;
    entries = 0;
    bytes = 0;
    pthread_t others[threads + 1];
    for (long at = 0; threads == 0 && at < count; at++) {
      start(others, take_one, &volumes[at]);
      pthread_join(others[0], NULL);
    }
    for (long i = 1; i < threads; i++) start(&others[i], take_volumes, NULL);
    if (threads > 0) take_volumes(NULL);
    for (long i = 1; i < threads; i++) pthread_join(others[i], NULL);
  }
  printf("%llu %llu %.3f %.3f\n", (unsigned long long)entries, (unsigned long long)bytes, now_ms() - wall, cpu_ms() - cpu);
  return 0;
}
