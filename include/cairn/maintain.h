/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Keeping a store in order: removing what nothing names (docs/design/gc.md).
 */
#ifndef CAIRN_MAINTAIN_H
#define CAIRN_MAINTAIN_H

#include <cairn/names.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cairn_gc_flags {
	CAIRN_GC_DRY_RUN = 1 << 0, /* only tell what would be removed; writes nothing */
	/* Also when nothing at all names anything in the store, so that all of it goes. */
	CAIRN_GC_EMPTY = 1 << 1,
};

/* Something that a collection or a check wants to tell: one sentence, without a newline. */
typedef void (*cairn_note_fn)(void *arg, const char *text);

struct cairn_gc_options {
	unsigned int flags;               /* enum cairn_gc_flags */
	const struct cairn_digest *roots; /* images to keep beside those that references name */
	size_t nr_roots;
	const int *images; /* open image files elsewhere, whose objects are kept */
	size_t nr_images;
	unsigned int jobs;          /* threads; 0 or 1: only the caller's */
	unsigned int patience;      /* milliseconds to wait for tools that have the store locked */
	cairn_note_fn note;         /* may be NULL: dangling references and the like */
	void *note_arg;             /* of both */
	cairn_progress_fn progress; /* may be NULL: objects looked at, bytes removed */
};

struct cairn_gc_result {
	uint64_t objects;         /* in the store when it began */
	uint64_t removed_objects; /* or, without having been removed, garbage: see `blocked` */
	uint64_t removed_bytes;   /* what they took on disk */
	uint64_t removed_images;  /* entries of images/ */
	uint64_t removed_streams; /* entries of streams/ */
	uint64_t leftovers;       /* files of writers that have died */
	uint64_t dangling;        /* references that name nothing */
	int blocked;              /* 1: others have the store locked, nothing was removed */
};

/* Removes from the store every object that no reference, image of @options, mounted image or process at
 * work on it needs, and the entries of images/ and streams/ that no reference leads to. Others may
 * read, fill and collect the store meanwhile. It can be interrupted at any moment and begun again.
 *
 * A reference that names nothing is told and skipped. An image or stream that cannot be read stops the
 * collection before anything is removed: its objects are not known.
 *
 * @ret: filled as far as it came, also on failure. Returns 0; -EBUSY: tools that know nothing of leases
 * have the store locked, @err says who, @ret what would have been removed; -ENOTEMPTY (USAGE): nothing
 * names anything, and EMPTY was not given; -EILSEQ (DIGEST), -EINVAL (FORMAT): an image that is not
 * what its name says; or another negative errno. */
CAIRN_API int cairn_store_gc(struct cairn_store *store, const struct cairn_gc_options *options,
			     struct cairn_gc_result *ret, struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
