/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The public functions on stores. */
#include <errno.h>

#include <cairn/image.h>

#include "store/children.h"

#define OPEN_FLAGS                                                                                 \
	(CAIRN_STORE_CREATE | CAIRN_STORE_READ_ONLY | CAIRN_STORE_BARE | CAIRN_STORE_NO_PARENTS)

int cairn_store_open(const char *path, unsigned int flags, struct cairn_store **ret,
		     struct cairn_error *err)
{
	if (!*path || flags & ~(unsigned int)OPEN_FLAGS)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 *path ? "open a store: unknown flags" : "empty path of a store");
	return store_open(path, flags, ret, err);
}

int cairn_store_init(const char *path, const struct cairn_store_config *config,
		     struct cairn_store **ret, struct cairn_error *err)
{
	if (!*path)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "empty path of a store");
	if (config && ((config->alg && !cairn_digest_size((enum cairn_alg)config->alg)) ||
		       config->format < CAIRN_FORMAT_AUTO || config->format > CAIRN_FORMAT_V2 ||
		       config->formats >> (CAIRN_FORMAT_V2 + 1)))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "%s: there is no such algorithm or format", path);
	return store_init(path, config, ret, err);
}

void cairn_store_info(const struct cairn_store *store, struct cairn_store_info *ret)
{
	store_info(store, ret);
}

void cairn_store_close(struct cairn_store *store)
{
	store_close(store);
}

enum cairn_alg cairn_store_alg(const struct cairn_store *store)
{
	return store->alg;
}

int cairn_store_set_alg(struct cairn_store *store, enum cairn_alg alg)
{
	if (!cairn_digest_size(alg) || (store->alg_fixed && store->alg != alg))
		return -EINVAL;
	store->alg = alg;
	store->alg_fixed = true;
	return 0;
}

const char *cairn_store_objects_path(const struct cairn_store *store)
{
	return store->objects_path;
}

int cairn_store_open_object(const struct cairn_store *store, const char *object_path,
			    struct cairn_error *err)
{
	return store_open_object(store, object_path, err);
}

int cairn_store_read_object(const struct cairn_store *store, const char *object_path,
			    const struct cairn_digest *digest, cairn_write_fn write, void *arg,
			    struct cairn_error *err)
{
	if (!cairn_digest_size((enum cairn_alg)digest->alg))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "read an object: unknown digest algorithm");
	return store_read_object(store, object_path, digest, write, arg, err);
}

const struct cairn_store *cairn_store_parent(const struct cairn_store *store, unsigned int i)
{
	return i < store->nr_parents ? store->parents[i] : NULL;
}

const char *cairn_store_path(const struct cairn_store *store)
{
	return store->path;
}

int cairn_store_parent_lines(const struct cairn_store *store,
			     int (*fn)(void *arg, const char *line), void *arg,
			     struct cairn_error *err)
{
	return store_parent_lines(store, fn, arg, err);
}

int cairn_store_set_parents(struct cairn_store *store, const char *const *lines, unsigned long nr,
			    struct cairn_error *err)
{
	return store_set_parents(store, lines, nr, err);
}

int cairn_store_find_object(const struct cairn_store *store, const char *object_path,
			    const struct cairn_store **ret, uint64_t *ret_size)
{
	struct stat st;
	int r = store_find_object(store, object_path, ret, &st);

	if (!r)
		*ret_size = (uint64_t)st.st_size;
	return r;
}

struct telling {
	int (*fn)(void *arg, const struct cairn_store_child *child);
	void *arg;
};

static int tell_child(void *arg, const struct child_line *line)
{
	const struct telling *t = (const struct telling *)arg;
	const struct cairn_store_child child = {line->path, line->machine, line->here};

	return t->fn(t->arg, &child);
}

int cairn_store_children(const struct cairn_store *store,
			 int (*fn)(void *arg, const struct cairn_store_child *child), void *arg,
			 struct cairn_error *err)
{
	struct telling t = {fn, arg};

	return store_child_lines(store, tell_child, &t, err);
}

int cairn_store_forget_child(struct cairn_store *store, const char *path, struct cairn_error *err)
{
	return store_forget_child(store, path, err);
}
