/* Makes one system call of one process fail, or kills the process at it: loaded into each process by LD_PRELOAD.

   FAULT_ROLE   which process: amlc, worker (a fork of amlc's), fork server, supervisor (a program of its own, or a fork
                of that) or runner (likewise, a fork of a fork)
   FAULT_KIND   ENOSPC, EIO, EMFILE, EACCES, SHORT (half of what was to be written), KILL, GROUP (all of its group),
                STOP (it is suspended; whoever reads FAULT_LOG lets it go on), and, from that call on for all that
                follow, CLOCK (the wall clock is an hour behind) and NOLOCK (the file system has no locks)
   FAULT_AT     at which of the calls that this kind can strike, from 1; 0: at none, they are only counted
   FAULT_ROOT   calls that have to do with a file count below this folder only; but a worker's, which has pipes, all
   FAULT_COUNT  a file of 8 bytes for each kind, in the order of `kind`, that all processes of the role count in
   FAULT_LOG    what was struck is written there, and in a second line the process id

   A call that is not interposed here is not struck; what libc calls by itself (stdio's own writes) is not seen. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { NONE, NOSPC, IO, MFILE, ACCES, SHORT, KILL, GROUP, STOP, CLOCK, NOLOCK, KINDS };

/* What a call does, so that no kind is asked of a call that cannot fail in that way. */
enum call { OPEN, CREATE, LIST, WRITE, NAME, SYNC, LOCK, FORK, EXEC, MAP };

static const char *const call_names[] = {"open", "create", "list", "write", "name", "sync", "lock", "fork", "exec", "map"};
static const int errors[] = {0, ENOSPC, EIO, EMFILE, EACCES, 0, 0, 0, 0, 0, ENOLCK};
static const unsigned strikes[] = {
    [NONE] = 0,
    [NOSPC] = 1u << CREATE | 1u << WRITE | 1u << NAME | 1u << SYNC | 1u << MAP,
    [IO] = 1u << OPEN | 1u << CREATE | 1u << LIST | 1u << WRITE | 1u << NAME | 1u << SYNC | 1u << LOCK | 1u << MAP,
    [MFILE] = 1u << OPEN | 1u << CREATE | 1u << LIST | 1u << FORK,
    [ACCES] = 1u << OPEN | 1u << CREATE | 1u << LIST | 1u << NAME,
    [SHORT] = 1u << WRITE,
    [KILL] = ~0u,
    [GROUP] = ~0u,
    [STOP] = ~0u,
    [CLOCK] = ~0u,
    [NOLOCK] = 1u << LOCK,
};

static enum kind kind;
static unsigned long at;
static char root[4096];
static size_t root_length;
static _Atomic unsigned long *counters;
static int is_role, is_amlc, is_worker, wants_worker;
static int is_server, depth, wanted_depth; /* how often this process was forked since its program began */

static ssize_t raw_write(int fd, const void *data, size_t size) { return syscall(SYS_write, fd, data, size); }

/* The role of this program, by the first words of its command line. */
static const char *role(void) {
    static char line[1 << 16];
    const char *words[4] = {"", "", "", ""};
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
    ssize_t size = fd < 0 ? 0 : syscall(SYS_read, fd, line, sizeof line - 1);
    if (fd >= 0) syscall(SYS_close, fd);
    const char *word = line;
    for (int number = 0; number < 4 && word < line + size; number++, word += strlen(word) + 1) words[number] = word;
    if (!strcmp(words[1], "-m") && !strcmp(words[2], "amlc")) return "amlc";
    if (strstr(words[1], "supervise.sh") || !strcmp(words[0], "mv") || !strcmp(words[0], "sync"))
        return "supervisor";
    if (strstr(words[3], "fork_server.py")) return "fork server";
    return strstr(words[1], "amlc_runner.py") ? "runner" : "other";
}

static void became_fork(void) {
    is_worker = is_amlc;
    depth++;
}

__attribute__((constructor)) static void begin(void) {
    const char *wanted = getenv("FAULT_ROLE"), *name = getenv("FAULT_KIND"), *folder = getenv("FAULT_ROOT");
    const char *count = getenv("FAULT_COUNT");
    static const char *const names[] = {"", "ENOSPC", "EIO", "EMFILE", "EACCES", "SHORT", "KILL", "GROUP",
                                         "STOP", "CLOCK", "NOLOCK"};
    if (!wanted || !name || !folder || !count) return;
    for (enum kind one = NOSPC; one <= NOLOCK; one++)
        if (!strcmp(names[one], name)) kind = one;
    at = strtoul(getenv("FAULT_AT") ? getenv("FAULT_AT") : "0", NULL, 10);
    snprintf(root, sizeof root, "%s", folder);
    root_length = strlen(root);
    wants_worker = !strcmp(wanted, "worker");
    is_amlc = !strcmp(role(), "amlc");
    is_server = !strcmp(role(), "fork server");
    wanted_depth = !strcmp(wanted, "supervisor") ? 1 : !strcmp(wanted, "runner") ? 2 : 0;
    is_role = !strcmp(role(), wants_worker ? "amlc" : wanted) || (is_server && wanted_depth);
    if (!is_role) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, count, O_RDWR);
    void *shared = fd < 0 ? MAP_FAILED : (void *)syscall(SYS_mmap, NULL, 8 * KINDS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) syscall(SYS_close, fd);
    is_role = shared != MAP_FAILED;
    counters = shared;
    pthread_atfork(NULL, NULL, became_fork);
}

static int is_below(const char *path) {
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || path[root_length] == 0);
}

static int fd_is_below(int fd) {
    if (wants_worker) return 1; /* it has no files, only pipes */
    char link[64], target[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, target, sizeof target - 1);
    if (size < 0) return 0;
    target[size] = 0;
    return is_below(target);
}

static int path_is_below(int folder, const char *path) {
    char whole[8192];
    if (!path) return 0;
    if (path[0] == '/') return is_below(path);
    if (folder != AT_FDCWD) return fd_is_below(folder);
    if (!getcwd(whole, sizeof whole / 2)) return 0;
    snprintf(whole + strlen(whole), sizeof whole / 2, "/%s", path);
    return is_below(whole);
}

/* Says whether the call is to fail now, with errno set; or does not return. */
static int strikes_now(enum call call, const char *what) {
    unsigned long number = 0;
    for (enum kind one = NOSPC; one < KINDS; one++)
        if (strikes[one] >> call & 1) {
            unsigned long found = atomic_fetch_add(&counters[one], 1) + 1;
            if (one == kind) number = found;
        }
    if (!number) return 0;
    errno = errors[kind];
    if (kind == NOLOCK && at && number > at) return 1;
    if (number != at) return 0;
    const char *log = getenv("FAULT_LOG");
    char text[512];
    int fd = log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
    int size = snprintf(text, sizeof text, "%s %.400s\n%d\n", call_names[call], what ? what : "", getpid());
    if (fd >= 0) raw_write(fd, text, (size_t)size), syscall(SYS_close, fd);
    if (kind == KILL) kill(getpid(), SIGKILL);
    if (kind == GROUP) kill(0, SIGKILL);
    if (kind == STOP) kill(getpid(), SIGSTOP);
    errno = call == FORK ? EAGAIN : errors[kind];
    return kind != STOP && kind != CLOCK;
}

static int counts(void) { return is_role && wants_worker == is_worker && (!is_server || depth == wanted_depth); }

static int on_path(enum call call, int folder, const char *path) {
    return counts() && path_is_below(folder, path) && strikes_now(call, path);
}

static int on_fd(enum call call, int fd) {
    int saved = errno, struck;
    if (!counts() || !fd_is_below(fd)) return errno = saved, 0;
    char link[64], target[400] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (syscall(SYS_readlinkat, AT_FDCWD, link, target, sizeof target - 1) < 0) target[0] = 0;
    struck = strikes_now(call, target);
    if (!struck) errno = saved;
    return struck;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define OPENS(name, declared, first, path_, folder_)                       \
    int name declared {                                                    \
        mode_t mode = 0;                                                   \
        REAL(name);                                                        \
        if (flags & O_CREAT) {                                             \
            va_list more;                                                  \
            va_start(more, flags);                                         \
            mode = va_arg(more, mode_t);                                   \
            va_end(more);                                                  \
        }                                                                  \
        if (on_path(flags & O_CREAT ? CREATE : flags & O_DIRECTORY ? LIST : OPEN, folder_, path_)) return -1; \
        return real first;                                                 \
    }

OPENS(open, (const char *path, int flags, ...), (path, flags, mode), path, AT_FDCWD)
OPENS(open64, (const char *path, int flags, ...), (path, flags, mode), path, AT_FDCWD)
OPENS(openat, (int folder, const char *path, int flags, ...), (folder, path, flags, mode), path, folder)
OPENS(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode), path, folder)

DIR *opendir(const char *path) {
    REAL(opendir);
    return on_path(LIST, AT_FDCWD, path) ? NULL : real(path);
}

DIR *fdopendir(int fd) {
    REAL(fdopendir);
    return on_fd(LIST, fd) ? NULL : real(fd);
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (size > (kind == SHORT) && on_fd(WRITE, fd)) return kind == SHORT ? real(fd, data, size / 2) : -1;
    return real(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    REAL(pwrite64);
    if (size > (kind == SHORT) && on_fd(WRITE, fd)) return kind == SHORT ? real(fd, data, size / 2, offset) : -1;
    return real(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    REAL(pwrite);
    if (size > (kind == SHORT) && on_fd(WRITE, fd)) return kind == SHORT ? real(fd, data, size / 2, offset) : -1;
    return real(fd, data, size, offset);
}

#define NAMES(name, declared, given, folder_, path_)                         \
    int name declared {                                                      \
        REAL(name);                                                          \
        return on_path(NAME, folder_, path_) ? -1 : real given;              \
    }

NAMES(rename, (const char *from, const char *to), (from, to), AT_FDCWD, to)
NAMES(renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), b, to)
NAMES(renameat2, (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags), b, to)
NAMES(link, (const char *from, const char *to), (from, to), AT_FDCWD, to)
NAMES(unlink, (const char *path), (path), AT_FDCWD, path)
NAMES(unlinkat, (int folder, const char *path, int flags), (folder, path, flags), folder, path)
NAMES(rmdir, (const char *path), (path), AT_FDCWD, path)
NAMES(mkdir, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path)
NAMES(mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode), folder, path)
NAMES(symlink, (const char *to, const char *path), (to, path), AT_FDCWD, path)

#define ON_FD(name, call, declared, given)                                  \
    int name declared {                                                     \
        REAL(name);                                                         \
        return on_fd(call, fd) ? -1 : real given;                           \
    }

ON_FD(fsync, SYNC, (int fd), (fd))
ON_FD(fdatasync, SYNC, (int fd), (fd))
ON_FD(ftruncate, WRITE, (int fd, off_t size), (fd, size))
ON_FD(ftruncate64, WRITE, (int fd, off64_t size), (fd, size))
ON_FD(flock, LOCK, (int fd, int operation), (fd, operation))

#define CONTROLS(name)                                                      \
    int name(int fd, int command, ...) {                                    \
        REAL(name);                                                         \
        va_list more;                                                       \
        va_start(more, command);                                            \
        void *argument = va_arg(more, void *);                              \
        va_end(more);                                                       \
        if ((command == F_SETLK || command == F_SETLKW) && on_fd(LOCK, fd)) return -1; \
        return real(fd, command, argument);                                 \
    }

CONTROLS(fcntl)
CONTROLS(fcntl64)

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset) {
    REAL(mmap64);
    return fd >= 0 && on_fd(MAP, fd) ? MAP_FAILED : real(address, size, protection, flags, fd, offset);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    REAL(mmap);
    return fd >= 0 && on_fd(MAP, fd) ? MAP_FAILED : real(address, size, protection, flags, fd, offset);
}

pid_t fork(void) {
    REAL(fork);
    return counts() && strikes_now(FORK, NULL) ? -1 : real();
}

/* A function cannot return twice from vfork, so that it is a fork, which whoever may call vfork cannot tell from it. */
pid_t vfork(void) {
    if (counts() && strikes_now(FORK, NULL)) return -1;
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *how,
                char *const arguments[], char *const environment[]) {
    REAL(posix_spawn);
    return counts() && strikes_now(FORK, path) ? errno : real(pid, path, actions, how, arguments, environment);
}

int execve(const char *path, char *const arguments[], char *const environment[]) {
    REAL(execve);
    return is_role && strikes_now(EXEC, path) ? -1 : real(path, arguments, environment);
}

static int is_late(void) { return counts() && kind == CLOCK && at && atomic_load(&counters[CLOCK]) >= at; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime);
    int answer = real(clock, now);
    if ((clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) && is_late()) now->tv_sec -= 3600;
    return answer;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    REAL(gettimeofday);
    int answer = real(now, zone);
    if (is_late()) now->tv_sec -= 3600;
    return answer;
}
