/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What the images of a store cost, and what they share.
 *
 * Users are the images that a reference names, and the streams that one names; then the images that nothing names but a
 * collection keeps: mounted ones, and those that are given. Each object of the store
 * has a set of users: those that need it. All figures follow from the sets and their bytes, but what is
 * reclaimable: that is what cairn_store_gc() would remove.
 */
#ifndef CAIRN_USAGE_H
#define CAIRN_USAGE_H

#include <cairn/maintain.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cairn_usage;

enum cairn_usage_kind {
	CAIRN_USAGE_NAMED = 0, /* by references */
	CAIRN_USAGE_MOUNTED,   /* by none; its name is its digest */
	CAIRN_USAGE_ROOT,      /* nor is it mounted, but it is given; likewise, or "image file" */
};

/* An image, or a stream. */
struct cairn_usage_user {
	const char *const *names; /* references that name it, in order; one at least */
	unsigned long nr_names;
	int kind;                              /* enum cairn_usage_kind */
	int mounted;                           /* 1: it is, so it is kept also without a name */
	int stream;                            /* 1: names are those of a stream */
	struct cairn_digest digest;            /* of the image, or the stream's object */
	uint64_t objects, bytes;               /* in the store that it needs, itself included */
	uint64_t unique_objects, unique_bytes; /* of them, those that no other user needs */
	uint64_t elsewhere_objects, elsewhere_bytes; /* needed, and in a parent */
	uint64_t missing;                            /* needed objects that are nowhere */
	uint64_t frees; /* bytes that are no longer needed when its references are gone */
	const char *
		problem; /* NULL, or why it cannot be read; it then counts as needing itself only */
};

/* Objects with the same users. */
struct cairn_usage_set {
	const uint32_t *users; /* places in the list of users, in order; none: nobody needs them */
	unsigned long nr_users;
	uint64_t objects, bytes;
};

struct cairn_usage_total {
	uint64_t objects, bytes;               /* in the store */
	uint64_t needed_objects, needed_bytes; /* of them, those that a user needs */
	uint64_t sum;                          /* bytes that the users need, each by itself */
	uint64_t disk; /* bytes of storage that all objects take, shared blocks counted each time */
	uint64_t reclaimable;      /* bytes of the objects that a collection would remove */
	uint64_t reclaimable_disk; /* what they take on disk */
	uint64_t held; /* bytes that no user needs and that stay: processes at work, children */
	const char *problem; /* NULL, or why a collection would remove nothing */
};

/* Looks at all references and all objects. References that are broken are left out and told by
 * cairn_store_refs(). @options: those of the collection whose result is asked for, may be NULL; it is only thought of,
 * and waits for nobody. Returns 0 or a negative errno. */
CAIRN_API int cairn_usage_new(const struct cairn_store *store,
			      const struct cairn_gc_options *options, struct cairn_usage **ret,
			      struct cairn_error *err);
CAIRN_API void cairn_usage_free(struct cairn_usage *usage);

CAIRN_API const struct cairn_usage_total *cairn_usage_total(const struct cairn_usage *usage);

/* The users, in the order of their first names, images before streams, those without a name last. */
CAIRN_API const struct cairn_usage_user *cairn_usage_users(const struct cairn_usage *usage,
							   unsigned long *ret_nr);

/* The sets, those of most bytes first. */
CAIRN_API const struct cairn_usage_set *cairn_usage_sets(const struct cairn_usage *usage,
							 unsigned long *ret_nr);

/* Bytes that only the users with @chosen[place] need: what is freed when they all go. */
CAIRN_API uint64_t cairn_usage_frees(const struct cairn_usage *usage, const unsigned char *chosen);

#ifdef __cplusplus
}
#endif

#endif
