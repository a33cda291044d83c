/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A collection: what is there, what is needed, what goes (docs/design/gc.md).
 *
 *  1. Only what was there when the collection began is ever removed.
 *  2. Marks only grow. Before anything is removed, the references are read again and what is new in them
 *     is marked: whoever set a reference has either been seen by that, or has a lease whose notes are
 *     read after it.
 *  3. A part of the store (one of 256) is closed to writers while something is removed from it.
 *  4. A store that looks into this one (children.h) is a place like this one: its references lead to objects here,
 *     and whoever is at work on it has found some here, so its parts are closed as well and its notes
 *     read. A child that cannot be asked ends the collection before anything is removed.
 */
#ifndef STORE_GC_INTERNAL_H
#define STORE_GC_INTERNAL_H

#include <cairn/maintain.h>

#include "base/arena.h"
#include "base/buf.h"
#include "store/children.h"
#include "store/gc.h"
#include "store/lease.h"
#include "store/names.h"

#define GC_PARTS 256

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

struct gc;

/* A store whose references lead to objects here: this one, or a child. */
struct gc_place {
	struct gc *g;
	struct cairn_store *store;
	struct gc_entries entries[2]; /* enum store_kind */

	/* Removing. */
	struct lease *lease; /* of a child: NULL where nobody can write there */
	struct notes notes;
	int lock;              /* the store's directory, to lock */
	uint64_t directory[2]; /* its device and inode */
	bool exclusive;        /* it is locked so, and nobody else is at work */
	bool closed;           /* by us: the part that is being swept */
};

/* An image to be read. */
struct gc_image {
	const struct cairn_store *store;
	struct cairn_digest id;
};

struct gc {
	struct cairn_store *store;
	const struct cairn_gc_options *options;
	struct cairn_gc_result *result;
	struct cairn_error *err;
	gc_mounted_fn mounted;
	unsigned int jobs;

	struct gc_part part[GC_PARTS];
	struct gc_place *places;   /* this store, then its children */
	struct gc_place **closing; /* the same in the order in which their parts are closed */
	unsigned int nr_places;
	struct store_children children;
	struct keyset walked; /* images and streams whose objects are marked */
	struct arena arena;   /* of the names of entries */
	struct buf images;    /* struct gc_image: to be read next */
	uint64_t roots;       /* that named something */
	bool told;            /* problems with references */

	/* Removing. */
	bool swept;          /* entries that nothing leads to are gone */
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
const struct gc_entry *gc_find_entry(const struct gc_place *p, enum store_kind kind,
				     const char *name);

/* Whether somebody at work has noted it. */
bool gc_is_noted(const struct gc *g, uint64_t key);

/* Marks what an entry leads to, which nothing names: it stays this time. */
void gc_keep(struct gc *g, enum store_kind kind, const struct gc_entry *e);

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
