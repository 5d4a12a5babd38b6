// Makes DEPTH nested directories below ROOT, mounts a tmpfs on one more and runs COMMAND, in a mount namespace of its own.
// usage: deep-mount ROOT DEPTH COMMAND...
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(int result, const char *what) {
  if (result == 0) return;
  perror(what);
  exit(1);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  must(unshare(CLONE_NEWNS), "unshare");
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount --make-rprivate");
  must(mount("deep", argv[1], "tmpfs", 0, NULL), "mount of the root");
  must(chdir(argv[1]), "chdir");
  for (int depth = atoi(argv[2]); depth > 0; depth--) {
    must(mkdir("d", 0755), "mkdir");
    must(chdir("d"), "chdir");
  }
  must(mkdir("m", 0755), "mkdir");
  must(mount("none", "m", "tmpfs", 0, "size=64k"), "mount of the deepest");
  must(chdir("/"), "chdir");
  execvp(argv[3], argv + 3);
  perror(argv[3]);
  return 1;
}
