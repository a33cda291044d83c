/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Verifying many objects at once, with a memory of what was verified before. */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "base/error.h"
#include "store/memory.h"

/* An object that must be there. */
struct wanted {
	const char *path; /* below an object directory */
	struct cairn_digest digest;
	uint64_t size;
};

struct verify_result {
	uint64_t done;       /* objects that were read */
	uint64_t remembered; /* objects that were not */
	int64_t when;        /* seconds since 1970 of the oldest reading */
};

/* Sees that each of @wanted[0..@nr), in the first of the object directories @dirs[0..@nr_dirs) that has it,
 * has its size and digest. @jobs: threads. @memory: asked first, and told; may be NULL.
 * Returns 0; -EILSEQ (kind DIGEST): one has other bytes; -ENOENT: none has it; or another negative
 * errno. */
int objects_verify(const int *dirs, size_t nr_dirs, const struct wanted *wanted, size_t nr,
		   unsigned int jobs, struct memory *memory, struct verify_result *ret,
		   struct cairn_error *err);

#endif
