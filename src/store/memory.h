/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What was verified before (docs/design/mount.md): objects whose bytes had their digest, images that were
 * well formed.
 *
 * Promises:
 *  1. A file is remembered by device, inode, size, change time and digest. When any of them is another
 *     one, it is not remembered.
 *  2. A file that had changed less than MEMORY_SETTLED seconds before it was read is not remembered: it
 *     could change again within one tick of the clock that change times come from.
 *  3. A memory that somebody else can write to is not believed.
 *  4. Losing it costs time and nothing else: what goes wrong with it is told to nobody.
 */
#ifndef STORE_MEMORY_H
#define STORE_MEMORY_H

#include <sys/stat.h>

#include <cairn/digest.h>

#include "base/macro.h"

#define MEMORY_SETTLED 2

struct memory;

/* A memory in directory @path, which is made when there is something to remember. NULL: one that
 * forgets everything. Returns NULL when there is no memory for it; the functions below take that. */
struct memory *memory_open(const char *path);
void memory_close(struct memory *m);

/* When the bytes of the file @st were found to have @digest: seconds since 1970; 0: not remembered. Any
 * number of threads may ask. */
int64_t memory_find(const struct memory *m, const struct stat *st,
		    const struct cairn_digest *digest);

/* Remembers it of a file that was read from @when on. */
void memory_add(struct memory *m, const struct stat *st, const struct cairn_digest *digest,
		int64_t when);

/* The same of an image: that it is well formed, and which digest it has. @measured: what the kernel
 * measured, so that all files with this digest are the same image; NULL: it has no fs-verity. */
int64_t memory_find_image(const struct memory *m, const struct stat *st,
			  const struct cairn_digest *measured, struct cairn_digest *ret);
void memory_add_image(struct memory *m, const struct stat *st, const struct cairn_digest *measured,
		      const struct cairn_digest *digest, int64_t when);

/* Writes what was added. */
void memory_save(struct memory *m);

DEFINE_CLEANUP(struct memory *, memory, memory_close)

#endif
