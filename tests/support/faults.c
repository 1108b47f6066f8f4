/* Fails one system call on the files below a folder; loaded into a process by LD_PRELOAD (see faults.py).
 *
 * Calls are counted from the moment that `faults_arm` is called. A call counts if its path, or the file that its
 * descriptor was opened on, lies below the folder.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_DESCRIPTORS 65536

static char root[4096];
static size_t length;
static int fail_at, code, count, log_to = -1;
static char watched[MOST_DESCRIPTORS];

/* Fail call number `at` on files below `folder` with an errno; each call is logged to a descriptor as a line. */
void faults_arm(const char *folder, int at, int error, int descriptor) {
    strncpy(root, folder, sizeof root - 1);
    length = strlen(root);
    fail_at = at;
    code = error;
    count = 0;
    log_to = descriptor;
}

static int below(int folder, const char *path) {
    if (!length || !path) return 0;
    if (*path == '/') return !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
    return folder >= 0 && folder < MOST_DESCRIPTORS && watched[folder];
}

static int open_below(int descriptor) {
    return length && descriptor >= 0 && descriptor < MOST_DESCRIPTORS && watched[descriptor];
}

/* Count a call; return whether it is to fail. */
static int fails(const char *name) {
    char line[64];
    int size = snprintf(line, sizeof line, "%s\n", name);
    if (log_to >= 0 && syscall(SYS_write, log_to, line, size) < 0) return 0;
    if (++count != fail_at) return 0;
    errno = code;
    return 1;
}

static int watch(int descriptor, int is_below) {
    if (descriptor >= 0 && descriptor < MOST_DESCRIPTORS) watched[descriptor] = is_below;
    return descriptor;
}

#define NEXT(type, name, parameters) \
    static type (*next) parameters; \
    if (!next) next = (type(*) parameters) dlsym(RTLD_NEXT, name)

/* A call on a path, on a path relative to a folder, or on a descriptor. */
#define ON_PATH(type, failed, name, parameters, arguments, path) \
    type name parameters { \
        NEXT(type, #name, parameters); \
        return below(AT_FDCWD, path) && fails(#name) ? failed : next arguments; \
    }
#define AT_FOLDER(type, failed, name, parameters, arguments, folder, path) \
    type name parameters { \
        NEXT(type, #name, parameters); \
        return below(folder, path) && fails(#name) ? failed : next arguments; \
    }
#define ON_OPEN(type, failed, name, parameters, arguments) \
    type name parameters { \
        NEXT(type, #name, parameters); \
        return open_below(fd) && fails(#name) ? failed : next arguments; \
    }

static int mode_of(int flags, va_list more) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        NEXT(int, #name, (const char *, int, ...)); \
        va_list more; \
        va_start(more, flags); \
        int mode = mode_of(flags, more); \
        va_end(more); \
        int is_below = below(AT_FDCWD, path); \
        return is_below && fails("open") ? -1 : watch(next(path, flags, mode), is_below); \
    }
#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        NEXT(int, #name, (int, const char *, int, ...)); \
        va_list more; \
        va_start(more, flags); \
        int mode = mode_of(flags, more); \
        va_end(more); \
        int is_below = below(folder, path); \
        return is_below && fails("open") ? -1 : watch(next(folder, path, flags, mode), is_below); \
    }
#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) { \
        NEXT(FILE *, #name, (const char *, const char *)); \
        return below(AT_FDCWD, path) && fails("fopen") ? NULL : next(path, mode); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
FOPEN(fopen)
FOPEN(fopen64)

int close(int fd) {
    NEXT(int, "close", (int));
    int is_below = open_below(fd) && fails("close"), error = errno;
    watch(fd, 0);
    int result = next(fd); /* a descriptor is closed in any case */
    if (!is_below) return result;
    errno = error;
    return -1;
}

int fcntl(int fd, int command, ...) {
    NEXT(int, "fcntl", (int, int, ...));
    va_list more;
    va_start(more, command);
    long argument = va_arg(more, long);
    va_end(more);
    int result = next(fd, command, argument);
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? watch(result, open_below(fd)) : result;
}

ON_OPEN(ssize_t, -1, read, (int fd, void *data, size_t size), (fd, data, size))
ON_OPEN(ssize_t, -1, pread, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
ON_OPEN(ssize_t, -1, pread64, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
ON_OPEN(ssize_t, -1, write, (int fd, const void *data, size_t size), (fd, data, size))
ON_OPEN(int, -1, fsync, (int fd), (fd))
ON_OPEN(int, -1, ftruncate, (int fd, off_t size), (fd, size))
ON_OPEN(int, -1, ftruncate64, (int fd, off_t size), (fd, size))
ON_OPEN(int, -1, flock, (int fd, int operation), (fd, operation))
ON_OPEN(int, -1, fstat, (int fd, struct stat *facts), (fd, facts))
ON_OPEN(int, -1, fstat64, (int fd, struct stat64 *facts), (fd, facts))
ON_OPEN(DIR *, NULL, fdopendir, (int fd), (fd))
ON_OPEN(void *, MAP_FAILED, mmap, (void *at, size_t size, int access, int flags, int fd, off_t from),
        (at, size, access, flags, fd, from))
ON_OPEN(void *, MAP_FAILED, mmap64, (void *at, size_t size, int access, int flags, int fd, off_t from),
        (at, size, access, flags, fd, from))
ON_PATH(DIR *, NULL, opendir, (const char *path), (path), path)
ON_PATH(int, -1, stat, (const char *path, struct stat *facts), (path, facts), path)
ON_PATH(int, -1, stat64, (const char *path, struct stat64 *facts), (path, facts), path)
ON_PATH(int, -1, lstat, (const char *path, struct stat *facts), (path, facts), path)
ON_PATH(int, -1, lstat64, (const char *path, struct stat64 *facts), (path, facts), path)
ON_PATH(int, -1, access, (const char *path, int mode), (path, mode), path)
ON_PATH(int, -1, mkdir, (const char *path, mode_t mode), (path, mode), path)
ON_PATH(int, -1, rmdir, (const char *path), (path), path)
ON_PATH(int, -1, unlink, (const char *path), (path), path)
ON_PATH(int, -1, rename, (const char *path, const char *to), (path, to), to)
ON_PATH(ssize_t, -1, readlink, (const char *path, char *to, size_t size), (path, to, size), path)
AT_FOLDER(int, -1, fstatat, (int at, const char *path, struct stat *facts, int flags), (at, path, facts, flags), at, path)
AT_FOLDER(int, -1, fstatat64, (int at, const char *path, struct stat64 *facts, int flags), (at, path, facts, flags), at,
          path)
AT_FOLDER(int, -1, statx, (int at, const char *path, int flags, unsigned mask, struct statx *facts),
          (at, path, flags, mask, facts), at, path)
AT_FOLDER(int, -1, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode), at, path)
AT_FOLDER(int, -1, unlinkat, (int at, const char *path, int flags), (at, path, flags), at, path)
AT_FOLDER(int, -1, renameat, (int at, const char *path, int other, const char *to), (at, path, other, to), other, to)
