// libfuse3 as Swift sees it.
//
// The system headers come first and *without* _FILE_OFFSET_BITS, as Swift's Glibc module saw them; libfuse insists on the macro, so
// it is defined only afterwards. (On 64-bit Linux both spellings of off_t are the same type.)
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
