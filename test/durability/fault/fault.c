// A faulty disk under the log: loaded with LD_PRELOAD into the server under test, so that the real
// binary is tested and carries no code for it. Only files below a directory named "wal" are
// touched; calls are counted over all of them. Plain C, for any server that writes its log with
// pwrite or pwritev and makes it durable with fdatasync through the C library.
//
//   FAULT_SYNC_FAILS=N   the N-th fdatasync, and every later one, fails with EIO
//   FAULT_LOSE=N         at the N-th fdatasync the power fails, then SIGKILL: of what was written
//                        since the last one 512-byte sectors are kept or lost, by FAULT_SEED % 4:
//                        0 all lost, 1 none, 2 a tail, 3 any (of two or more: neither all nor none)
//                        Sectors that were written without changing are neither counted nor lost.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { kSector = 512, kWritesMax = 4096, kSectorsMax = 1 << 18, kPathMax = 4096 };

// What a not yet durable write covered, and what was there before.
typedef struct {
    int fd;
    int plain;  // the same file without O_DIRECT, which would want everything aligned
    off_t offset;
    size_t bytes;
    char* before;
} Write;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  // guards all below
static Write writes[kWritesMax];
static int write_count;
static long sync_count;
static unsigned long random_state;

static long setting(const char* name) {
    const char* text = getenv(name);
    return text ? atol(text) : 0;
}

static int is_log(int fd) {
    char link[64], path[kPathMax];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "/wal/") != NULL;
}

static unsigned next_random(void) {
    random_state = random_state * 6364136223846793005UL + 1442695040888963407UL;
    return (unsigned)(random_state >> 33);
}

static ssize_t real_pwrite(int fd, const void* from, size_t bytes, off_t offset) {
    ssize_t (*real)(int, const void*, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite64");
    return real(fd, from, bytes, offset);
}

static int open_plain(int fd) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const int plain = open(link, O_RDWR | O_CLOEXEC);
    if (plain < 0) abort();
    return plain;
}

static void remember(int fd, off_t offset, size_t bytes) {
    if (!setting("FAULT_LOSE") || !is_log(fd)) return;
    pthread_mutex_lock(&lock);
    if (write_count == kWritesMax) abort();  // a log that hardly ever syncs is no log
    Write* w = &writes[write_count++];
    *w = (Write){fd, open_plain(fd), offset, bytes, calloc(1, bytes)};
    if (!w->before || pread(w->plain, w->before, bytes, offset) < 0) abort();
    pthread_mutex_unlock(&lock);
}

ssize_t pwrite(int fd, const void* from, size_t bytes, off_t offset) {
    remember(fd, offset, bytes);
    return real_pwrite(fd, from, bytes, offset);
}
ssize_t pwrite64(int fd, const void* from, size_t bytes, off_t offset) {
    return pwrite(fd, from, bytes, offset);
}

ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
    ssize_t (*real)(int, const struct iovec*, int, off_t) = dlsym(RTLD_NEXT, "pwritev64");
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += parts[i].iov_len;
    remember(fd, offset, bytes);
    return real(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec* parts, int count, off_t offset) {
    return pwritev(fd, parts, count, offset);
}

// A sector that a write has changed.
typedef struct {
    const Write* write;
    size_t at;
} Sector;

static size_t part_of(const Write* w, size_t at) {
    const size_t part = kSector - (size_t)(w->offset + (off_t)at) % kSector;
    return part < w->bytes - at ? part : w->bytes - at;
}

static int changed(const Write* w, size_t at) {
    char now[kSector];
    const ssize_t part = (ssize_t)part_of(w, at);
    if (pread(w->plain, now, (size_t)part, w->offset + (off_t)at) != part) abort();
    return memcmp(now, w->before + at, (size_t)part) != 0;
}

// Whether a sector is lost, when `one` must be and `other` must not.
static int is_lost(size_t sector, size_t one, size_t other) {
    switch (setting("FAULT_SEED") % 4) {
        case 0: return 1;
        case 1: return 0;
        case 2: return sector >= one;
        default: return sector == one || (sector != other && next_random() % 2);
    }
}

// Puts lost sectors back to what they were, newest write first, and ends the process.
static void lose_power(void) {
    static Sector sectors[kSectorsMax];
    size_t count = 0, lost = 0;
    for (const Write* w = writes; w < writes + write_count; w++) {
        for (size_t at = 0; at < w->bytes; at += part_of(w, at)) {
            if (!changed(w, at)) continue;
            if (count == kSectorsMax) abort();
            sectors[count++] = (Sector){w, at};
        }
    }
    random_state = (unsigned long)setting("FAULT_SEED") + 1;
    // A tail begins behind the first sector.
    const size_t one = count > 1 ? 1 + next_random() % (count - 1) : 0;
    const size_t other = count > 1 ? one - 1 : 1;
    for (size_t i = count; i-- > 0;) {
        const Write* w = sectors[i].write;
        const size_t at = sectors[i].at;
        if (!is_lost(i, one, other)) continue;
        const ssize_t part = (ssize_t)part_of(w, at);
        if (real_pwrite(w->plain, w->before + at, (size_t)part, w->offset + (off_t)at) != part)
            abort();
        lost++;
    }
    dprintf(STDERR_FILENO, "fault: power lost with %zu of %zu sectors\n", lost, count);
    kill(getpid(), SIGKILL);
}

static void forget(int fd) {
    int kept = 0;
    for (int i = 0; i < write_count; i++) {
        if (writes[i].fd == fd) {
            close(writes[i].plain);
            free(writes[i].before);
        } else {
            writes[kept++] = writes[i];
        }
    }
    write_count = kept;
}

int fdatasync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    if (!is_log(fd)) return real(fd);
    pthread_mutex_lock(&lock);
    sync_count++;
    const long fails = setting("FAULT_SYNC_FAILS"), loses = setting("FAULT_LOSE");
    const int failing = fails > 0 && sync_count >= fails;
    if (loses > 0 && sync_count == loses) lose_power();
    forget(fd);
    pthread_mutex_unlock(&lock);
    if (failing) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}
