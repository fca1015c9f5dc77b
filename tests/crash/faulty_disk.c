/* See faulty_disk.h. Preloaded into a whole program, the plan comes from the environment: FIELDPOST_TEST_DISK names the
   folder, FIELDPOST_TEST_DISK_KILL the call in whose place the program is killed. */
#define _GNU_SOURCE
#include "faulty_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 1024, PATH_BYTES_MAX = 256, WRITE_PIECES_MAX = 1024 };

struct tracked {
  int used;
  int folder;
  int sync_each; /* opened so that each write is synced; the flag itself is taken away */
  char path[PATH_BYTES_MAX];
};

static struct faulty_plan plan;
static int armed;
static char folder[4096];
static size_t folder_size;
static struct tracked files[FILES_MAX];
static uint64_t own_calls, own_struck;

static void die(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

/* What becomes of a call, decided before it is made. */
struct verdict {
  int error;       /* not 0: the call is not made, and answers this */
  int error_after; /* not 0: it is made, and answers this */
  int halve;       /* a write writes half */
  int kill_after;
};

static struct verdict judge(enum faulty_call call) {
  struct verdict verdict = {0, 0, 0, 0};
  const uint64_t now = ++*plan.calls;
  const int hit = plan.mode == FAULTY_FAIL_ON ? now >= plan.at : now == plan.at;
  if (plan.mode == FAULTY_COUNT || !hit) return verdict;
  if (*plan.struck == 0) *plan.struck = call;
  switch (plan.mode) {
    case FAULTY_KILL_BEFORE: die(); break;
    case FAULTY_KILL_AFTER: verdict.kill_after = 1; break;
    case FAULTY_FAIL:
    case FAULTY_FAIL_ON: verdict.error = plan.error; break;
    case FAULTY_FAIL_AFTER: verdict.error_after = plan.error; break;
    case FAULTY_SHORT: verdict.halve = 1; break;
    case FAULTY_COUNT: break;
  }
  return verdict;
}

static long answer(struct verdict verdict, long result) {
  if (verdict.kill_after) die();
  if (verdict.error_after != 0) {
    errno = verdict.error_after;
    return -1;
  }
  return result;
}

static long refuse(int error) {
  errno = error;
  return -1;
}

/* Of a call that is no write and can only be done or not. */
static int refused(struct verdict verdict) {
  if (verdict.error == 0 && verdict.halve) verdict.error = plan.error;
  if (verdict.error == 0) return 0;
  errno = verdict.error;
  return 1;
}

static void put(const void* bytes, size_t size) {
  const char* at = bytes;
  while (size > 0) {
    const long done = syscall(SYS_write, plan.log, at, size);
    if (done <= 0) abort(); /* a log with a hole in it proves nothing */
    at += done;
    size -= (size_t)done;
  }
}

static void note_down(uint32_t call, const char* path, const char* other, uint64_t offset, uint64_t size) {
  if (!armed || plan.log < 0) return;
  const struct faulty_entry entry = {call, (uint32_t)strlen(path), (uint32_t)strlen(other), 0, offset, size};
  put(&entry, sizeof entry);
  put(path, entry.path_size);
  put(other, entry.other_size);
}

static struct tracked* tracked(int fd) {
  return armed && fd >= 0 && fd < FILES_MAX && files[fd].used ? &files[fd] : NULL;
}

/* The path within the folder, or NULL. */
static const char* inside(const char* path) {
  if (!armed || path == NULL || strncmp(path, folder, folder_size) != 0) return NULL;
  if (path[folder_size] == '\0') return path + folder_size;
  if (path[folder_size] != '/') return NULL;
  path += folder_size;
  while (*path == '/') ++path;
  return path;
}

void faulty_arm(const struct faulty_plan* wanted) {
  plan = *wanted;
  folder_size = strlen(plan.folder);
  if (folder_size >= sizeof folder) abort();
  memcpy(folder, plan.folder, folder_size + 1);
  memset(files, 0, sizeof files);
  armed = 1;
}

void faulty_mend(void) { plan.mode = FAULTY_COUNT; }

void faulty_note(uint64_t mark) { note_down(FAULTY_NOTE, "", "", mark, 0); }

__attribute__((constructor)) static void arm_from_environment(void) {
  const char* where = getenv("FIELDPOST_TEST_DISK");
  const char* at = getenv("FIELDPOST_TEST_DISK_KILL");
  if (where == NULL || at == NULL) return;
  const struct faulty_plan wanted = {where, FAULTY_KILL_BEFORE, strtoull(at, NULL, 10), 0, -1, &own_calls, &own_struck};
  faulty_arm(&wanted);
}

/* ---- opening and closing ---- */

static int keep(int fd, const char* path, int flags) {
  if (fd < 0) return fd;
  if (fd >= FILES_MAX || strlen(path) >= PATH_BYTES_MAX) abort();
  struct stat status;
  files[fd].used = 1;
  files[fd].folder = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
  files[fd].sync_each = (flags & (O_DSYNC | O_SYNC)) != 0;
  strcpy(files[fd].path, path);
  return fd;
}

static int open_inside(int at, const char* full, const char* path, int flags, mode_t mode) {
  struct verdict verdict = {0, 0, 0, 0};
  const int making = (flags & O_CREAT) != 0;
  if (making) verdict = judge(FAULTY_CREATE);
  if (making && refused(verdict)) return -1;
  const int was_there = access(full, F_OK) == 0;
  const int fd = keep((int)syscall(SYS_openat, at, full, flags & ~(O_DSYNC | O_SYNC), mode), path, flags);
  if (fd >= 0 && making && !was_there) note_down(FAULTY_CREATE, path, "", 0, 0);
  if (fd >= 0 && (flags & O_TRUNC) && was_there) note_down(FAULTY_TRUNCATE, path, "", 0, 0);
  if (verdict.error_after != 0 && fd >= 0) close(fd);
  return (int)answer(verdict, fd);
}

static mode_t mode_of(int flags, va_list rest) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? (mode_t)va_arg(rest, int) : 0;
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  const char* own = inside(path);
  if (own != NULL) return open_inside(AT_FDCWD, path, own, flags, mode);
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int openat(int at, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  const char* own = inside(path);
  if (own != NULL) return open_inside(at, path, own, flags, mode);
  return (int)syscall(SYS_openat, at, path, flags, mode);
}

/* With 64-bit offsets from the start, the long names are the same functions. */
int open64(const char* path, int flags, ...) __attribute__((alias("open")));
int openat64(int at, const char* path, int flags, ...) __attribute__((alias("openat")));

int mkostemp(char* pattern, int flags) {
  static uint64_t number;
  char* letters = pattern + strlen(pattern) - 6;
  for (;;) {
    snprintf(letters, 7, "%06llx", (unsigned long long)((number++ * 2654435761u + (uint64_t)getpid()) & 0xffffff));
    const int fd = open(pattern, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
}
int mkostemp64(char* pattern, int flags) __attribute__((alias("mkostemp")));

int close(int fd) {
  if (fd >= 0 && fd < FILES_MAX) files[fd].used = 0;
  return (int)syscall(SYS_close, fd);
}

/* ---- writing ---- */

static ssize_t write_inside(struct tracked* file, int fd, const struct iovec* pieces, int count, off_t offset,
                            int moves) {
  struct iovec some[WRITE_PIECES_MAX];
  const struct verdict verdict = judge(file->sync_each ? FAULTY_WRITE_SYNC : FAULTY_WRITE);
  if (verdict.error != 0) return refuse(verdict.error);
  if (count < 0 || count > WRITE_PIECES_MAX) abort();
  size_t total = 0;
  for (int i = 0; i < count; ++i) total += pieces[i].iov_len;
  size_t left = verdict.halve ? (total + 1) / 2 : total;
  int used = 0;
  for (; used < count && left > 0; ++used) {
    some[used] = pieces[used];
    if (some[used].iov_len > left) some[used].iov_len = left;
    left -= some[used].iov_len;
  }
  if (moves) offset = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
  const long done = moves ? syscall(SYS_writev, fd, some, used)
                          : syscall(SYS_pwritev, fd, some, used, (long)offset, (long)((uint64_t)offset >> 32));
  if (done > 0) {
    note_down(file->sync_each ? FAULTY_WRITE_SYNC : FAULTY_WRITE, file->path, "", (uint64_t)offset, (uint64_t)done);
    size_t rest = (size_t)done;
    for (int i = 0; i < used && rest > 0 && plan.log >= 0; ++i) {
      const size_t size = some[i].iov_len < rest ? some[i].iov_len : rest;
      put(some[i].iov_base, size);
      rest -= size;
    }
  }
  return answer(verdict, done);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  struct tracked* file = tracked(fd);
  const struct iovec piece = {(void*)bytes, size};
  if (file == NULL) return syscall(SYS_write, fd, bytes, size);
  return write_inside(file, fd, &piece, 1, 0, 1);
}

ssize_t writev(int fd, const struct iovec* pieces, int count) {
  struct tracked* file = tracked(fd);
  if (file == NULL) return syscall(SYS_writev, fd, pieces, count);
  return write_inside(file, fd, pieces, count, 0, 1);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  struct tracked* file = tracked(fd);
  const struct iovec piece = {(void*)bytes, size};
  if (file == NULL) return syscall(SYS_pwrite64, fd, bytes, size, offset);
  return write_inside(file, fd, &piece, 1, offset, 0);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) __attribute__((alias("pwrite")));

ssize_t pwritev(int fd, const struct iovec* pieces, int count, off_t offset) {
  struct tracked* file = tracked(fd);
  if (file == NULL) return syscall(SYS_pwritev, fd, pieces, count, (long)offset, (long)((uint64_t)offset >> 32));
  return write_inside(file, fd, pieces, count, offset, 0);
}
ssize_t pwritev64(int fd, const struct iovec* pieces, int count, off64_t offset) __attribute__((alias("pwritev")));

/* ---- syncing ---- */

static int sync_inside(struct tracked* file) {
  const struct verdict verdict = judge(file->folder ? FAULTY_SYNC_FOLDER : FAULTY_SYNC);
  if (refused(verdict)) return -1;
  note_down(file->folder ? FAULTY_SYNC_FOLDER : FAULTY_SYNC, file->path, "", 0, 0);
  return (int)answer(verdict, 0);
}

int fsync(int fd) {
  struct tracked* file = tracked(fd);
  return file != NULL ? sync_inside(file) : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
  struct tracked* file = tracked(fd);
  return file != NULL ? sync_inside(file) : (int)syscall(SYS_fdatasync, fd);
}

/* Files are never written through memory (LmdbKv's first invariant): that would go past the log. */
int msync(void* at, size_t size, int flags) {
  if (armed) abort();
  return (int)syscall(SYS_msync, at, size, flags);
}

/* ---- sizes and names ---- */

int ftruncate(int fd, off_t size) {
  struct tracked* file = tracked(fd);
  if (file == NULL) return (int)syscall(SYS_ftruncate, fd, size);
  const struct verdict verdict = judge(FAULTY_TRUNCATE);
  if (refused(verdict)) return -1;
  const int done = (int)syscall(SYS_ftruncate, fd, size);
  if (done == 0) note_down(FAULTY_TRUNCATE, file->path, "", (uint64_t)size, 0);
  return (int)answer(verdict, done);
}
int ftruncate64(int fd, off64_t size) __attribute__((alias("ftruncate")));

/* Takes room without changing what the file says: counted, not written down. */
int fallocate(int fd, int mode, off_t offset, off_t size) {
  if (tracked(fd) == NULL) return (int)syscall(SYS_fallocate, fd, mode, offset, size);
  if (mode != FALLOC_FL_KEEP_SIZE) abort();
  const struct verdict verdict = judge(FAULTY_ALLOCATE);
  if (refused(verdict)) return -1;
  return (int)answer(verdict, 0);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t size) __attribute__((alias("fallocate")));

static int rename_inside(const char* from, const char* to, unsigned flags) {
  const char* own = inside(from);
  const char* other = inside(to);
  if (own == NULL || other == NULL) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
  const struct verdict verdict = judge(FAULTY_RENAME);
  if (refused(verdict)) return -1;
  const int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
  if (done == 0) note_down(FAULTY_RENAME, own, other, 0, 0);
  return (int)answer(verdict, done);
}

int rename(const char* from, const char* to) { return rename_inside(from, to, 0); }

int renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) {
  if (from_at != AT_FDCWD || to_at != AT_FDCWD) return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
  return rename_inside(from, to, flags);
}

int unlink(const char* path) {
  const char* own = inside(path);
  if (own == NULL) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  const struct verdict verdict = judge(FAULTY_UNLINK);
  if (refused(verdict)) return -1;
  const int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  if (done == 0) note_down(FAULTY_UNLINK, own, "", 0, 0);
  return (int)answer(verdict, done);
}

int mkdir(const char* path, mode_t mode) {
  const char* own = inside(path);
  if (own == NULL) return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  const struct verdict verdict = judge(FAULTY_MKDIR);
  if (refused(verdict)) return -1;
  const int done = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  if (done == 0) note_down(FAULTY_MKDIR, own, "", 0, 0);
  return (int)answer(verdict, done);
}
