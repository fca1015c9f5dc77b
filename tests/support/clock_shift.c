/* Preloaded into a program under test: its wall clock stands some seconds from the real one. How many is the number in
   the file that FIELDPOST_TEST_CLOCK_SHIFT_FILE names, looked at each time, so that a test can set the clock of a
   program that runs; without a file, FIELDPOST_TEST_CLOCK_SHIFT_S. The monotonic clocks stay as they are. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift_s(void) {
  const char* path = getenv("FIELDPOST_TEST_CLOCK_SHIFT_FILE");
  const char* fixed = getenv("FIELDPOST_TEST_CLOCK_SHIFT_S");
  if (path != NULL) {
    char text[32] = {0};
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    return size > 0 ? atol(text) : 0;
  }
  return fixed != NULL ? atol(fixed) : 0;
}

int clock_gettime(clockid_t clock, struct timespec* at) {
  const long failed = syscall(SYS_clock_gettime, clock, at);
  if (failed == 0 && clock == CLOCK_REALTIME) at->tv_sec += shift_s();
  return (int)failed;
}

time_t time(time_t* out) {
  struct timespec at = {0, 0};
  clock_gettime(CLOCK_REALTIME, &at);
  if (out != NULL) *out = at.tv_sec;
  return at.tv_sec;
}

int gettimeofday(struct timeval* restrict at, void* restrict zone) {
  struct timespec now = {0, 0};
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}
