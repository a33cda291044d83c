/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * layertool STORE LAYER...: each layer into the store, and its exact tar out of it again; its tree from the
 * split stream is that from the tar. Prints diff_id, bytes of the tar, and compression.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "oci/layer_import.h"
#include "sys/io.h"
#include "tree/diff.h"

static struct cairn_error err;

static int same_bytes(void *arg, const void *data, size_t size, struct cairn_error *e)
{
	(void)e;
	*(uint64_t *)arg += size;
	return data ? 0 : -EINVAL;
}

static int count(void *arg, const struct cairn_difference *difference)
{
	(void)arg;
	(void)difference;
	return 0;
}

static int import(struct cairn_store *store, const char *name, struct tree **ret,
		  struct layer_import_result *res)
{
	const struct layer_import_options options = {
		.profile = CAIRN_PROFILE_RUNTIME, .store = store, .keep = true};
	struct layer_import *im;
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	char data[5000];
	ssize_t n;
	int r;

	if (fd < 0)
		return error_errno(&err, -errno, "%s", name);
	r = layer_import_new(&options, &im, &err);
	while (!r && (n = read_full(fd, data, sizeof(data))) > 0)
		r = layer_import_feed(im, data, (size_t)n, &err);
	if (!r)
		r = layer_import_finish(im, ret, res, &err);
	layer_import_free(im);
	close(fd);
	return r;
}

/* One layer, there and back. */
static int check(struct cairn_store *store, const char *name)
{
	struct layer_import_result res;
	struct tree *t = NULL, *again = NULL;
	char path[OBJECT_PATH_MAX];
	uint64_t size = 0;
	int fd = -1;
	int r = import(store, name, &t, &res);

	if (!r)
		r = store_sync(store, &err);
	if (!r) {
		(void)object_path(path, res.stream.bytes,
				  cairn_digest_size((enum cairn_alg)res.stream.alg));
		r = fd = store_open_object(store, path, &err);
	}
	if (r >= 0)
		r = layer_load(fd, CAIRN_PROFILE_RUNTIME, &again, NULL, &err);
	if (!r && tree_diff(t, again, count, NULL) != 0)
		r = error_set(&err, -EINVAL, CAIRN_ERROR_FORMAT, "another tree");
	if (!r)
		r = layer_export(store, fd, res.diff_id, same_bytes, &size, &err);
	if (!r && size != res.size)
		r = error_set(&err, -EINVAL, CAIRN_ERROR_FORMAT, "another size");
	if (!r)
		printf("%s %llu %s\n", res.diff_id, (unsigned long long)res.size,
		       compression_name(res.compression));
	if (fd >= 0)
		close(fd);
	tree_free(t);
	tree_free(again);
	return r;
}

int main(int argc, char **argv)
{
	struct cairn_store *store;
	int r;

	if (argc < 3)
		return 2;
	r = store_open(argv[1], CAIRN_STORE_CREATE, &store, &err);
	if (!r)
		r = store_begin(store, &err);
	for (int i = 2; i < argc && !r; i++)
		r = check(store, argv[i]);
	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		store_close(store);
	return r < 0;
}
