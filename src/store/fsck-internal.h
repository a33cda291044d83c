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
#include "erofs/reader.h"
#include "store/fsck.h"
#include "store/keyset.h"
#include "store/names.h"
#include "store/splitstream.h"

#define FSCK_PARTS    256
#define FSCK_USES_MAX 10000 /* of one object; the number of them is always told */

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
	const struct fsck_remotes *remotes;
	struct cairn_fsck_result *result;
	struct cairn_error *err;
	unsigned int jobs;
	size_t id_size;
	struct fsck_part part[FSCK_PARTS];

	pthread_mutex_t lock; /* over what follows */
	struct arena arena;   /* of findings */
	struct buf findings;  /* struct finding * */
	struct keyset bad;    /* objects that have one */
	struct keyset mended; /* of them, those that are right now */
	uint64_t files, bytes, total_files;
	bool cancelled;
	struct cairn_error unreachable; /* why the first remote that failed did */
};

/* Notes a finding. @id: of an object, else NULL. Any thread. */
int fsck_add(struct fsck *f, enum cairn_damage kind, const struct cairn_digest *id,
	     const char *name, const char *fmt, ...) __printf_like(5, 6);

size_t fsck_nr_findings(const struct fsck *f);

/* The finding @i. */
struct finding *fsck_finding(const struct fsck *f, size_t i);

/* The finding of the object; NULL: it is well. They must be in order. */
struct finding *fsck_find(const struct fsck *f, const struct cairn_digest *id);

bool fsck_has(const struct fsck *f, const uint8_t *id);

/* Lists all objects; tells what is no object. */
int fsck_list(struct fsck *f);

/* Reads them, slowly. */
int fsck_scrub(struct fsck *f);

/* The images, or the streams. */
struct fsck_entry {
	const char *name;
	struct cairn_digest id;
	bool checked; /* an image */
};

struct fsck_entries {
	struct fsck *f;
	struct fsck_entry *entry;
	size_t nr, size;
	struct fsck_entry **by_id; /* in that order, where it is needed */
};

/* Reads all objects, and checks the images that are among them as soon as they are known to be well. */
int fsck_read(struct fsck *f, struct fsck_entries *images);

/* Checks the image, unless its object is damaged, and looks for what it needs. Any thread. */
int fsck_check_image(struct fsck_entries *l, struct fsck_entry *e);

/* An image that is open and in memory. */
struct fsck_image {
	int fd;
	void *data;
	uint64_t size;
	struct image image;
};

int fsck_open_image(const struct fsck *f, const struct cairn_digest *id, struct fsck_image *o,
		    struct cairn_error *err);
void fsck_image_fini(struct fsck_image *o);
#define cleanup_fsck_image __attribute__((__cleanup__(fsck_image_fini)))

int fsck_open_stream(const struct fsck *f, const struct cairn_digest *id, int *ret_fd,
		     struct splitstream **ret, struct cairn_error *err);

/* Puts the findings in order, and finds out whom they hurt. */
int fsck_find_uses(struct fsck *f, const struct fsck_entries *images,
		   const struct fsck_entries *streams);

/* Mends what was found and is not mended yet. */
int fsck_repair(struct fsck *f);

#endif
