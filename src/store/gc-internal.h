/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A collection: what is there, what is needed, what goes (docs/design/gc.md).
 *
 *  1. Only what was there when the collection began is ever removed.
 *  2. Marks only grow. Before anything is removed, the references are read again and what is new in them
 *     is marked: whoever set a reference has either been seen by that, or has a lease whose notes are
 *     read after it.
 *  3. A part of the store (one of 256) is closed to writers while something is removed from it.
 */
#ifndef STORE_GC_INTERNAL_H
#define STORE_GC_INTERNAL_H

#include <cairn/maintain.h>

#include "base/arena.h"
#include "base/buf.h"
#include "store/gc.h"
#include "store/lease.h"
#include "store/names.h"

#define GC_PARTS 256

int gc_open_part(const struct cairn_store *s, unsigned int i);

/* The key of the object @prefix/@name; 0: not the name of one. */
uint64_t gc_key(const struct cairn_store *s, uint8_t prefix, const char *name, size_t len);

/* The objects of one directory: their keys in order, and a bit for each that is needed. */
struct gc_part {
	uint64_t *key;
	_Atomic uint64_t *live;
	uint32_t nr, size;
};

/* An entry of images/ or streams/. */
struct gc_entry {
	const char *name;
	struct cairn_digest id;
};

struct gc_entries {
	struct gc_entry *entry; /* in order of the names */
	size_t nr, size;
	struct keyset ids;
};

struct gc {
	struct cairn_store *store;
	const struct cairn_gc_options *options;
	struct cairn_gc_result *result;
	struct cairn_error *err;
	gc_mounted_fn mounted;
	unsigned int jobs;

	struct gc_part part[GC_PARTS];
	struct keyset walked;         /* images and streams whose objects are marked */
	struct gc_entries entries[2]; /* enum store_kind */
	struct arena arena;           /* of their names */
	struct buf images;            /* struct cairn_digest: to be read next */
	uint64_t roots;               /* that named something */
	bool told;                    /* problems with references */

	/* Removing. */
	struct lease *lease;
	struct notes notes;
	int lock;            /* the store's directory, to lock */
	bool exclusive;      /* it is, so nobody else is at work */
	bool closed;         /* by us: the part that is being swept */
	double last_gap;     /* seconds, when others could last have it */
	int trash;           /* STORE/cairn/trash */
	unsigned int waited; /* milliseconds, for others */
	uint64_t restored;   /* objects put back out of the trash */
	int dropping;        /* directory whose temporary names go */
};

/* Prints into the caller's note function. */
void gc_note(const struct gc *g, const char *fmt, ...) __printf_like(2, 3);

/* Lists all objects. Returns 0 or a negative errno. */
int gc_list(struct gc *g);

/* Reads references and entries, and marks all that is needed since the last time. */
int gc_mark(struct gc *g);

/* The entry as it was at the last gc_mark(), or NULL. */
const struct gc_entry *gc_find_entry(const struct gc *g, enum store_kind kind, const char *name);

bool gc_is_live(const struct gc *g, uint64_t key);
bool gc_is_listed(const struct gc *g, uint64_t key);

/* Makes ready for removing, and mends what a collector left that died. */
int gc_begin(struct gc *g);
void gc_end(struct gc *g);

/* Removes what is not needed. -EBUSY: may not. */
int gc_sweep(struct gc *g);

/* Counts what is not needed. */
int gc_count(struct gc *g);

#endif
