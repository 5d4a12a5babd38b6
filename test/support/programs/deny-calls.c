// Runs COMMAND under a seccomp filter that answers system calls with EPERM or ENOSYS, as old profiles of container runtimes do.
// usage: deny-calls EPERM|ENOSYS NAME[,NAME...] COMMAND...
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

static const struct {
  const char *name;
  unsigned number;
} CALLS[] = {
    {"statx", SYS_statx},
    {"openat2", SYS_openat2},
    {"ioprio_set", SYS_ioprio_set},
    {"setpriority", SYS_setpriority},
    {"name_to_handle_at", SYS_name_to_handle_at},
};

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  const unsigned answer = SECCOMP_RET_ERRNO | (strcmp(argv[1], "ENOSYS") == 0 ? ENOSYS : EPERM);
  struct sock_filter filter[32];
  unsigned short size = 0;
  filter[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (char *name = strtok(argv[2], ","); name != NULL; name = strtok(NULL, ",")) {
    unsigned call = 0;
    while (call < sizeof CALLS / sizeof *CALLS && strcmp(CALLS[call].name, name) != 0) call++;
    if (call == sizeof CALLS / sizeof *CALLS || size > 28) return 2;
    filter[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALLS[call].number, 0, 1);
    filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer);
  }
  filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {size, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("seccomp");
    return 1;
  }
  execvp(argv[3], argv + 3);
  perror(argv[3]);
  return 1;
}
