# Makes a directory, mounts a tmpfs of 1 MiB on it, unmounts that and removes the directory, again and again until
# its input ends; after each step it waits for a random time.
# usage: mounting-loop.py PATH SEED LONGEST_WAIT_IN_SECONDS
import ctypes, os, random, select, sys, time

libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1].encode()
random.seed(int(sys.argv[2]))
MNT_DETACH = 2


def wait():
    time.sleep(random.random() * float(sys.argv[3]))


print("started", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    os.mkdir(path)
    wait()
    if libc.mount(b"kvm-test", path, b"tmpfs", 0, b"size=1m") != 0:
        raise OSError(ctypes.get_errno(), "mount")
    wait()
    if libc.umount2(path, MNT_DETACH) != 0:
        raise OSError(ctypes.get_errno(), "umount2")
    wait()
    os.rmdir(path)
