/* Preloaded into a program under test: its wall clock stands FIELDPOST_TEST_CLOCK_SHIFT_S seconds from the real one. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec* at) {
  const long failed = syscall(SYS_clock_gettime, clock, at);
  const char* shift_s = getenv("FIELDPOST_TEST_CLOCK_SHIFT_S");
  if (failed == 0 && clock == CLOCK_REALTIME && shift_s != NULL) at->tv_sec += atol(shift_s);
  return (int)failed;
}
