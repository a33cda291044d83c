/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The protocol of /dev/fuse, 7.x: <linux/fuse.h>, and of what is newer than the oldest header that the
 * project builds with (7.38) the few names that are used here.
 */
#ifndef FUSE_PROTOCOL_INTERNAL_H
#define FUSE_PROTOCOL_INTERNAL_H

#include <linux/fuse.h>

#include "base/macro.h"

/* The oldest kernel that is served: Linux 5.4 has 7.31. */
#define PROTOCOL_MINOR_MIN 31
/* The newest whose structures are known here (Linux 6.9). */
#define PROTOCOL_MINOR 40

/* struct fuse_init_out of 7.40: the first reserved word became max_stack_depth. */
struct protocol_init_out {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background;
	uint16_t congestion_threshold;
	uint32_t max_write;
	uint32_t time_gran;
	uint16_t max_pages;
	uint16_t map_alignment;
	uint32_t flags2;
	uint32_t max_stack_depth;
	uint32_t reserved[6];
};

_Static_assert(sizeof(struct protocol_init_out) == sizeof(struct fuse_init_out), "one layout");

/* struct fuse_open_out of 7.40: the padding became the number of the backing file. */
struct protocol_open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

_Static_assert(sizeof(struct protocol_open_out) == sizeof(struct fuse_open_out), "one layout");

#define PROTOCOL_PASSTHROUGH       (UINT64_C(1) << 37) /* of fuse_init_in, fuse_init_out */
#define PROTOCOL_FOPEN_PASSTHROUGH (UINT32_C(1) << 7)  /* of fuse_open_out */

/* The smallest buffer that the kernel reads requests into. */
#define PROTOCOL_REQUEST_MAX 16384
_Static_assert(PROTOCOL_REQUEST_MAX >= FUSE_MIN_READ_BUFFER, "the kernel's minimum");

/* Seconds that never end, for names and attributes that never change. */
#define PROTOCOL_FOR_EVER (UINT64_C(1) << 40)

#endif
