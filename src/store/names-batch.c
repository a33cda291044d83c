/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Names that are given together, with one wait for the disk a promise instead of some for every name.
 *
 *	1. make the directories that are missing
 *	2. syncfs: objects and directories are durable
 *	3. make the entries; fsync of images/ and streams/
 *	4. make the references; fsync of each directory that has got one
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/names-internal.h"

struct batch_name {
	struct names_link link;
	char *name; /* as it was told */
	bool ref;
};

struct names_batch {
	struct cairn_store *store;
	struct batch_name *names;
	size_t nr, room;
};

int names_batch_new(struct cairn_store *s, struct names_batch **ret)
{
	struct names_batch *b = (struct names_batch *)calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->store = s;
	*ret = b;
	return 0;
}

void names_batch_free(struct names_batch *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->nr; i++)
		free(b->names[i].name);
	free(b->names);
	free(b);
}

/* Room for one more, cleared. */
static struct batch_name *add(struct names_batch *b, const char *name, struct cairn_error *err)
{
	struct batch_name *n;

	if (b->nr == b->room) {
		size_t room = b->room ? 2 * b->room : 16;

		n = (struct batch_name *)reallocarray(b->names, room, sizeof(*n));
		if (!n)
			goto no_memory;
		b->names = n;
		b->room = room;
	}
	n = &b->names[b->nr];
	n->name = strdup(name);
	if (n->name)
		return n;
no_memory:
	(void)error_errno(err, -ENOMEM, "%s", name);
	return NULL;
}

/* The name that was added is one of the batch, unless @r tells that its link could not be named. */
static int keep(struct names_batch *b, struct batch_name *n, int r)
{
	if (r < 0)
		free(n->name);
	else
		b->nr++;
	return r;
}

int names_batch_entry(struct names_batch *b, enum store_kind kind, const char *name,
		      const struct cairn_digest *id, struct cairn_error *err)
{
	struct batch_name *n = add(b, name, err);
	int r;

	if (!n)
		return -ENOMEM;
	n->ref = false;
	r = names_entry_link(b->store, kind, name, id, &n->link, err);
	return keep(b, n, r);
}

int names_batch_ref(struct names_batch *b, enum store_kind kind, const char *name,
		    const char *target, struct cairn_error *err)
{
	struct batch_name *n = add(b, name, err);
	int r;

	if (!n)
		return -ENOMEM;
	n->ref = true;
	r = names_ref_link(b->store, kind, name, target, &n->link, err);
	return keep(b, n, r);
}

int names_batch_copy(const struct names_batch *b, struct names_batch **ret)
{
	struct names_batch *copy cleanup(names_batch) = NULL;

	if (names_batch_new(b->store, &copy) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < b->nr; i++) {
		struct batch_name *n = add(copy, b->names[i].name, NULL);

		if (!n)
			return -ENOMEM;
		n->link = b->names[i].link;
		n->ref = b->names[i].ref;
		copy->nr++;
	}
	*ret = take_ptr(copy);
	return 0;
}

/* --- giving them ----------------------------------------------------------------------------- */

static size_t directory_len(const char *path)
{
	return (size_t)(strrchr(path, '/') - path);
}

static bool same_directory(const char *a, const char *b)
{
	size_t len = directory_len(a);

	return directory_len(b) == len && !memcmp(a, b, len);
}

/* Whether no name of its sort before it lies in the same directory. */
static bool is_first(const struct names_batch *b, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (b->names[k].ref == b->names[i].ref &&
		    same_directory(b->names[k].link.path, b->names[i].link.path))
			return false;
	return true;
}

/* The directory of a name, made if need be, with fsync or without. */
static int visit_directory(const struct names_batch *b, const struct batch_name *n, bool sync,
			   struct cairn_error *err)
{
	const char *last;
	cleanup_fd int fd = names_make_parents(b->store, n->link.path, sync, &last);

	if (fd < 0)
		return names_failed(b->store, &n->link, n->name, fd, err);
	if (sync && fsync(fd) < 0)
		return names_failed(b->store, &n->link, n->name, -errno, err);
	return 0;
}

/* Steps 3 and 4. */
static int give(const struct names_batch *b, bool refs, struct cairn_error *err)
{
	for (size_t i = 0; i < b->nr; i++) {
		const struct batch_name *n = &b->names[i];
		int r;

		if (n->ref != refs)
			continue;
		r = names_set_link(b->store, n->link.path, n->link.target, true, false);
		if (r < 0)
			return names_failed(b->store, &n->link, n->name, r, err);
	}
	for (size_t i = 0; i < b->nr; i++) {
		if (b->names[i].ref == refs && is_first(b, i)) {
			int r = visit_directory(b, &b->names[i], true, err);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

int names_batch_commit(const struct names_batch *b, struct cairn_error *err)
{
	int r = 0;

	if (!b->nr)
		return 0;
	for (size_t i = 0; r == 0 && i < b->nr; i++) {
		if (is_first(b, i))
			r = visit_directory(b, &b->names[i], false, err);
	}
	if (r == 0)
		r = store_sync(b->store, err);
	if (r == 0)
		r = give(b, false, err);
	return r < 0 ? r : give(b, true, err);
}
