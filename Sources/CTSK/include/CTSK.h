// libtsk as vhdfs-volume sees it, and the walls around it.
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <tsk/libtsk.h>

/// Reads bytes of the volume; returns how many, or -1.
typedef ssize_t (*ctsk_read_function)(int64_t offset, char *buffer, size_t count);

/// Opens a volume whose bytes come from a function, and nowhere else, and tells how many blocks it has. NULL if libtsk refuses.
TSK_FS_INFO *ctsk_open(int64_t size, unsigned sector_size, TSK_FS_TYPE_ENUM type, ctsk_read_function read,
                       uint64_t *block_count);

/// Reads bytes through libtsk's cache; returns how many, or -1.
ssize_t ctsk_read(TSK_FS_INFO *fs, int64_t offset, char *buffer, size_t count);

/// Gives up everything that this process does not need: descriptors other than 0 and 2, users and groups, new privileges, large memory,
/// processor time without end, and all system calls but a few on what it has. Returns 0, or the number of the step that failed.
int ctsk_enter_sandbox(uint64_t memory_limit, uint64_t processor_seconds);
