// The floor of one walk: `floor PATH` prints paths (not inodes) and bytes.
#define _GNU_SOURCE
#include "bare_walk.h"

int main(int argc, char **argv) {
  struct counted counted = {0, 0};
  if (argc != 2 || bare_walk(argv[1], &counted)) {
    fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  printf("%llu %llu\n", counted.entries, counted.bytes);
  return 0;
}
