// Makes the volumes of pods as the kubelet lays them out, below a directory that exists:
//   make_node ROOT mounted|plain FROM TO    pods FROM to TO - 1
//   make_node ROOT mounted|plain fill N     N more volumes of a token each, as fill/0 and so on
// bench/round/layout.mjs has what a pod has. Without mounts, what would be mounted is a plain directory.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_mounted;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void make_dir(const char *path) {
  if (mkdir(path, 0755) && errno != EEXIST) fail(path);
}

static void make_file(const char *path, const char *content) {
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) fail(path);
  size_t size = strlen(content);
  if (size > 0 && write(file, content, size) != (ssize_t)size) fail(path);
  close(file);
}

static void mount_tmpfs(const char *path) {
  make_dir(path);
  if (is_mounted && mount("tmpfs", path, "tmpfs", 0, "size=8m")) fail(path);
}

// What the kubelet's atomic writer leaves: a folder with a time for a name, ..data that leads to it, and a link for
// each key. With four keys these are eleven inodes.
static void write_keys(const char *path) {
  static const char *keys[] = {"ca.crt", "namespace", "token", "expiry"};
  static const char folder[] = "..2026_01_02_03_04_05.1234567890";
  char name[512], target[64];
  snprintf(name, sizeof name, "%s/%s", path, folder);
  make_dir(name);
  snprintf(name, sizeof name, "%s/..data", path);
  if (symlink(folder, name)) fail(name);
  for (size_t key = 0; key < sizeof keys / sizeof *keys; key++) {
    snprintf(name, sizeof name, "%s/%s/%s", path, folder, keys[key]);
    make_file(name, keys[key]);
    snprintf(name, sizeof name, "%s/%s", path, keys[key]);
    snprintf(target, sizeof target, "..data/%s", keys[key]);
    if (symlink(target, name)) fail(name);
  }
}

static void write_files(const char *path, int folders, int files) {
  char name[512];
  make_dir(path);
  for (int folder = 0; folder < folders; folder++) {
    snprintf(name, sizeof name, "%s/folder-%d", path, folder);
    make_dir(name);
    for (int file = 0; file < files; file++) {
      snprintf(name, sizeof name, "%s/folder-%d/file-%d.txt", path, folder, file);
      make_file(name, "");
    }
  }
}

static const char *below(const char *directory, const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

static void make_pod(const char *root, long pod) {
  char directory[200];
  snprintf(directory, sizeof directory, "%s/pod-%ld", root, pod);
  make_dir(directory);
  mount_tmpfs(below(directory, "token"));
  write_keys(below(directory, "token"));
  mount_tmpfs(below(directory, "secret"));
  write_keys(below(directory, "secret"));
  make_dir(below(directory, "config-map"));
  write_keys(below(directory, "config-map"));
  if (pod % 2 == 0) write_files(below(directory, "empty-dir"), 20, 10);
  if (pod % 5 == 0) mount_tmpfs(below(directory, "claim"));
  if (pod % 10 == 0) write_files(below(directory, "large-empty-dir"), 200, 100);
}

int main(int argc, char **argv) {
  if (argc != 5) return fprintf(stderr, "usage: %s ROOT mounted|plain FROM|fill TO\n", argv[0]), 2;
  is_mounted = !strcmp(argv[2], "mounted");
  long to = atol(argv[4]);
  if (!strcmp(argv[3], "fill")) {
    char directory[200], volume[256];
    snprintf(directory, sizeof directory, "%s/fill", argv[1]);
    make_dir(directory);
    for (long i = 0; i < to; i++) {
      snprintf(volume, sizeof volume, "%s/%ld", directory, i);
      mount_tmpfs(volume);
      write_keys(volume);
    }
    return 0;
  }
  for (long pod = atol(argv[3]); pod < to; pod++) make_pod(argv[1], pod);
  return 0;
}
