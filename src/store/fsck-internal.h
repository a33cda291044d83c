/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A check: first the objects, then what needs them, then whom the damage hurts, then mending.
 *
 *  1. Nothing is written without CAIRN_FSCK_REPAIR, but where a scrub has stopped.
 *  2. What is found is told only when all is known about it.
 */
#ifndef STORE_FSCK_INTERNAL_H
#define STORE_FSCK_INTERNAL_H

#include <pthread.h>

#include "base/arena.h"
#include "base/buf.h"
#include "store/fsck.h"
#include "store/keyset.h"
#include "store/names.h"

#define FSCK_PARTS 256

/* The objects of one directory, in order: cairn_digest_size() bytes of each. */
struct fsck_part {
	uint8_t *ids;
	uint32_t nr, size;
};

struct fsck_use {
	const char *image, *path;
	struct fsck_use *next;
};

/* Something that is wrong; of objects: one for each. */
struct finding {
	enum cairn_damage kind;
	struct cairn_digest id; /* of an object */
	const char *name, *text;
	struct fsck_use *uses;
	size_t nr_uses;
	bool repaired;
};

struct fsck {
	struct cairn_store *store;
	const struct cairn_fsck_options *options;
	struct cairn_fsck_result *result;
	struct cairn_error *err;
	unsigned int jobs;
	size_t id_size;
	struct fsck_part part[FSCK_PARTS];

	pthread_mutex_t lock; /* over what follows */
	struct arena arena;   /* of findings */
	struct buf findings;  /* struct finding * */
	struct keyset bad;    /* objects that have one */
	uint64_t files, bytes, total_files;
	bool cancelled;
};

/* Notes a finding. @id: of an object, else NULL. Any thread. */
int fsck_add(struct fsck *f, enum cairn_damage kind, const struct cairn_digest *id,
	     const char *name, const char *fmt, ...) __printf_like(5, 6);

/* The object of finding of key @key; NULL: it is well. */
struct finding *fsck_find(const struct fsck *f, const struct cairn_digest *id);

bool fsck_has(const struct fsck *f, const uint8_t *id);

/* Lists all objects; tells what is no object. */
int fsck_list(struct fsck *f);

/* Reads them. */
int fsck_read(struct fsck *f);
int fsck_scrub(struct fsck *f);

/* Mends what was found. */
int fsck_repair(struct fsck *f);

#endif
