/* A disk that dies, fails or keeps a record of what was asked of it: stands before the C library's calls that change
   files, for one folder.

   A call within the folder that writes, syncs, cuts, makes, names or removes is counted; the plan says at which of them
   what happens. Other folders, and reading, are left alone. Linked before the C library, or preloaded, it also sees the
   calls of the libraries (LMDB's). Nothing is synced for real while a plan is armed: a killed process loses nothing that
   it gave to the kernel, and for a lost power supply tests/crash/disk_log.h works out what would have been on the disk.

   Thread rule: one thread opens and writes within the folder. One plan a process at a time; files opened before it was
   armed are not seen. What LMDB writes into its lock file through memory is not seen, and needs not last. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum faulty_call {
  FAULTY_WRITE = 1,   /* offset, size bytes */
  FAULTY_WRITE_SYNC,  /* the same through a descriptor that syncs each write */
  FAULTY_SYNC,        /* of a file */
  FAULTY_SYNC_FOLDER, /* */
  FAULTY_TRUNCATE,    /* to offset */
  FAULTY_CREATE,
  FAULTY_RENAME, /* from path to other */
  FAULTY_UNLINK,
  FAULTY_MKDIR,
  FAULTY_NOTE,     /* offset is the mark */
  FAULTY_ALLOCATE, /* is not written down */
};

enum faulty_mode {
  FAULTY_COUNT = 0,   /* nothing happens */
  FAULTY_KILL_BEFORE, /* SIGKILL in the place of the call */
  FAULTY_KILL_AFTER,  /* SIGKILL once the call is done, before its caller hears */
  FAULTY_FAIL,        /* the call does nothing and answers `error` */
  FAULTY_FAIL_AFTER,  /* the call is done and answers `error` all the same */
  FAULTY_FAIL_ON,     /* so does every one after it, too, as FAULTY_FAIL */
  FAULTY_SHORT,       /* a write writes half and says so; any other call as FAULTY_FAIL */
};

struct faulty_plan {
  const char* folder; /* absolute, without a slash at its end; copied */
  enum faulty_mode mode;
  uint64_t at; /* the call at which it happens, counted from 1 */
  int error;   /* errno */
  int log;     /* a descriptor to which every call is written down, or -1 */
  /* How many calls there were, and at which (faulty_call) the plan first came to pass, 0 if it did not; shared memory,
     so that who armed it can read it of a process that died. Neither may be null. */
  uint64_t* calls;
  uint64_t* struck;
};

/* Replaces the plan before. */
void faulty_arm(const struct faulty_plan* plan);
/* From now on nothing happens any more; the calls are counted on. */
void faulty_mend(void);
/* Puts a mark into the log: what the program has told somebody by now. */
void faulty_note(uint64_t mark);

/* One entry of the log, followed by path, other path and bytes. Paths are relative to the folder; "" is the folder. */
struct faulty_entry {
  uint32_t call;
  uint32_t path_size;
  uint32_t other_size;
  uint32_t reserved;
  uint64_t offset;
  uint64_t size;
};

#ifdef __cplusplus
}
#endif
