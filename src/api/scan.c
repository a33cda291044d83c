/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The public function on directories: a scan, and the store that it fills. */
#include <errno.h>
#include <fcntl.h>

#include "scan/cache.h"
#include "scan/sizes.h"
#include "store/store.h"

#define SCAN_FLAGS                                                                                 \
	(CAIRN_SCAN_USE_EPOCH | CAIRN_SCAN_SKIP_DEVICES | CAIRN_SCAN_SKIP_XATTRS |                 \
	 CAIRN_SCAN_USER_XATTRS | CAIRN_SCAN_SPLIT_HARDLINKS | CAIRN_SCAN_ONE_FILE_SYSTEM |        \
	 CAIRN_SCAN_NO_CACHE | CAIRN_SCAN_VERIFY_CACHE)

_Static_assert(STORE_PARENTS_MAX + STORE_FDS_MAX <= SCAN_SINK_FDS_MAX, "they are all handed on");

DEFINE_CLEANUP(struct tree *, tree, tree_free)
DEFINE_CLEANUP(struct scan_cache *, scan_cache, scan_cache_free)

/* Refuses, before anything is written, what certainly has no room. Only a file system that is nearly full costs a walk
 * for it; where a cache tells that the directory was stored before, little is new. */
static int check_room(int dirfd, const char *path, const struct cairn_scan_options *options,
		      const struct scan_cache *cache, struct cairn_error *err)
{
	cleanup_fd int fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct buf sizes cleanup_buf = BUF_INIT(SIZE_MAX / 2);
	const bool one = options->flags & CAIRN_SCAN_ONE_FILE_SYSTEM;

	if (fd < 0 || (cache && scan_cache_knows(cache)) ||
	    store_room_is_sure(options->store, fd) || scan_sizes(dirfd, path, one, &sizes) < 0)
		return 0; /* what is wrong the scan tells */
	return store_room_for_sizes(options->store, fd, &sizes, err);
}

/* What the store keeps of earlier scans of the directory. No failure is one of the scan's. */
static struct scan_cache *open_cache(int dirfd, const char *path,
				     const struct cairn_scan_options *options,
				     char name[SCAN_CACHE_NAME_MAX])
{
	const struct cairn_store *store = options->store;
	unsigned int algs = options->algs | CAIRN_ALG_BIT(store->alg);
	size_t digests = (algs & CAIRN_ALG_BIT(CAIRN_SHA256) ? 32 : 0) +
			 (algs & CAIRN_ALG_BIT(CAIRN_SHA512) ? 64 : 0);
	struct scan_cache *cache = NULL;
	cleanup_fd int fd = -1;
	void *data = NULL;
	size_t size = 0;

	if (options->flags & CAIRN_SCAN_NO_CACHE)
		return NULL;
	fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || scan_cache_name(fd, options, store->alg, store_parents_id(store), name) < 0)
		return NULL;
	(void)store_cache_read(store, name, SCAN_CACHE_SIZE_MAX, &data, &size);
	if (scan_cache_new(data, size, digests, &cache) < 0)
		free(data);
	return cache;
}

static void keep_cache(const struct cairn_store *store, const char *name, struct scan_cache *cache,
		       const struct tree *t, const struct scan_sink *sink)
{
	cleanup_free void *data = NULL;
	size_t size;

	if (!scan_cache_output(cache, t, sink, &data, &size) && data)
		(void)store_cache_write(store, name, data, size);
}

static int fill_store(int dirfd, const char *path, const struct cairn_scan_options *options,
		      struct tree **ret, struct cairn_scan_result *res, struct cairn_error *err)
{
	struct cairn_store *store = options->store;
	cleanup(scan_cache) struct scan_cache *cache = NULL;
	cleanup(tree) struct tree *t = NULL;
	char name[SCAN_CACHE_NAME_MAX];
	int fds[STORE_PARENTS_MAX + STORE_FDS_MAX];
	struct scan_sink sink;
	int r;

	r = store_begin(store, err);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < store->nr_parents; i++)
		fds[i] = store->parents[i]->objects >= 0 ? store->parents[i]->objects
							 : store->objects;
	sink = (struct scan_sink){
		.store = store,
		.alg = store->alg,
		.dirfd = store->objects,
		.empty = store->empty,
		.has = store_has,
		.put = store_put_used,
		.begin = store_pending,
		.commit = store_commit,
		.stamp = store_stamp,
		.keep = store_use_many,
		.fds = fds,
		.nr_fds = store->nr_parents + store_fds(store, fds + store->nr_parents),
	};
	cache = open_cache(dirfd, path, options, name);
	r = check_room(dirfd, path, options, cache, err);
	if (r < 0)
		return r;
	r = scan_directory(dirfd, path, options, &sink, cache, &t, res, err);
	if (r == -ESTALE) {
		/* A collection came between. */
		scan_cache_free(take_ptr(cache));
		r = scan_directory(dirfd, path, options, &sink, NULL, &t, res, err);
	}
	/* The next build shall not stumble over it again. */
	if (r == -EILSEQ && options->flags & CAIRN_SCAN_VERIFY_CACHE)
		store_cache_remove(store, name);
	if (!r && !(cache && scan_cache_durable(cache)))
		r = store_sync(store, err);
	if (r < 0)
		return r;
	if (cache)
		keep_cache(store, name, cache, t, &sink);
	store->empty = false;
	*ret = take_ptr(t);
	return 0;
}

int cairn_tree_from_directory(int dirfd, const char *path, const struct cairn_scan_options *options,
			      struct cairn_tree **ret, struct cairn_scan_result *res,
			      struct cairn_error *err)
{
	static const struct cairn_scan_options defaults = {0};
	struct tree *t;
	int r;

	if (!options)
		options = &defaults;
	if (options->flags & ~(unsigned int)SCAN_FLAGS)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "read %s: unknown flags", path);
	if (options->flags & CAIRN_SCAN_SKIP_XATTRS && options->flags & CAIRN_SCAN_USER_XATTRS)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "read %s: no extended attributes, and only those of users", path);

	r = options->store ? fill_store(dirfd, path, options, &t, res, err)
			   : scan_directory(dirfd, path, options, NULL, NULL, &t, res, err);
	if (r < 0)
		return r;
	*ret = (struct cairn_tree *)t;
	return 0;
}
