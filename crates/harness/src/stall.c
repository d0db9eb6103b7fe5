// Loaded into a node (LD_PRELOAD): while the file named by STALL_FILE exists, nothing is written or synced, and whoever tries
// waits, as with a disk that does not answer. The node writes its files with pwrite, and nothing else.
// And its wall clock is as many seconds ahead as CLOCK_AHEAD_SECONDS says.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static void wait_for_disk(void) {
    const char *file = getenv("STALL_FILE");
    while (file && access(file, F_OK) == 0)
        usleep(500);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int clock_gettime(clockid_t clock, struct timespec *time) {
    static __typeof__(&clock_gettime) real;
    if (!real)
        real = REAL(clock_gettime);
    int outcome = real(clock, time);
    const char *ahead = getenv("CLOCK_AHEAD_SECONDS");
    if (ahead && clock == CLOCK_REALTIME)
        time->tv_sec += atoll(ahead);
    return outcome;
}

int fsync(int fd) {
    wait_for_disk();
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    wait_for_disk();
    return REAL(fdatasync)(fd);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    wait_for_disk();
    return REAL(pwrite)(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    wait_for_disk();
    return REAL(pwrite64)(fd, bytes, count, offset);
}
