/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The public function on directories: a scan, and the store that it fills. */
#include <errno.h>

#include "scan/scan.h"
#include "store/store.h"

#define SCAN_FLAGS                                                                                 \
	(CAIRN_SCAN_USE_EPOCH | CAIRN_SCAN_SKIP_DEVICES | CAIRN_SCAN_SKIP_XATTRS |                 \
	 CAIRN_SCAN_USER_XATTRS | CAIRN_SCAN_SPLIT_HARDLINKS | CAIRN_SCAN_ONE_FILE_SYSTEM)

DEFINE_CLEANUP(struct tree *, tree, tree_free)

static int fill_store(int dirfd, const char *path, const struct cairn_scan_options *options,
		      struct tree **ret, struct cairn_scan_result *res, struct cairn_error *err)
{
	struct cairn_store *store = options->store;
	cleanup(tree) struct tree *t = NULL;
	struct scan_sink sink;
	int r;

	r = store_begin(store, err);
	if (r < 0)
		return r;
	sink = (struct scan_sink){
		.store = store,
		.alg = store->alg,
		.dirfd = store->objects,
		.empty = store->empty,
		.has = store_has,
		.put = store_put,
		.begin = store_pending,
		.commit = store_commit,
	};
	r = scan_directory(dirfd, path, options, &sink, &t, res, err);
	if (!r)
		r = store_sync(store, err);
	if (r < 0)
		return r;
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
			   : scan_directory(dirfd, path, options, NULL, &t, res, err);
	if (r < 0)
		return r;
	*ret = (struct cairn_tree *)t;
	return 0;
}
