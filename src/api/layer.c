/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Layers: reading them, merging them. */
#include <errno.h>
#include <string.h>

#include "api/api-internal.h"
#include "export/export.h"
#include "oci/layer_import.h"
#include "sys/io.h"

#define READ_SIZE (256u << 10)

static int check_profile(enum cairn_profile profile, struct cairn_error *err)
{
	if (profile == CAIRN_PROFILE_COMPOSEFS || profile == CAIRN_PROFILE_RUNTIME)
		return 0;
	return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "no such profile: %d", (int)profile);
}

static int read_layer(int fd, struct layer_import *im, const struct cairn_layer_options *options,
		      struct cairn_error *err)
{
	cleanup_free char *data = (char *)malloc(READ_SIZE);
	uint64_t done = 0;
	int r = 0;

	if (!data)
		return error_errno(err, -ENOMEM, "read the layer");
	while (!r) {
		ssize_t n = read_full(fd, data, READ_SIZE);

		if (n <= 0)
			return n < 0 ? error_errno(err, (int)n, "read the layer") : 0;
		r = layer_import_feed(im, data, (size_t)n, err);
		done += (uint64_t)n;
		if (!r && options->progress &&
		    options->progress(options->progress_arg, 0, done, 0, 0))
			r = error_errno(err, -ECANCELED, "read the layer");
	}
	return r;
}

int cairn_layer_read(int fd, const struct cairn_layer_options *options, struct cairn_tree **ret,
		     struct cairn_layer_result *res, struct cairn_error *err)
{
	struct layer_import *im cleanup(layer_import) = NULL;
	struct layer_import_result got;
	struct layer_import_options o = {.profile = options->profile,
					 .store = options->store,
					 .algs = options->algs,
					 .diff_id = options->diff_id};
	struct tree *t = NULL;
	int r = check_profile(options->profile, err);

	if (!r && options->store)
		r = store_begin(options->store, err);
	if (!r)
		r = layer_import_new(&o, &im, err);
	if (!r)
		r = read_layer(fd, im, options, err);
	if (!r)
		r = layer_import_finish(im, &t, &got, err);
	if (!r && options->store)
		r = store_sync(options->store, err);
	if (r < 0) {
		tree_free(t);
		return r;
	}
	if (res)
		*res = (struct cairn_layer_result){.size = got.size,
						   .stats = got.stats,
						   .new_objects = got.new_objects,
						   .new_bytes = got.new_bytes};
	if (res)
		memcpy(res->diff_id, got.diff_id, MIN(sizeof(res->diff_id), sizeof(got.diff_id)));
	*ret = tree_to_public(t);
	return 0;
}

int cairn_layers_merge(const struct cairn_tree *const *layers, size_t nr,
		       const struct cairn_merge_options *options, struct cairn_tree **ret,
		       struct cairn_error *err)
{
	struct tree *t;
	int r = check_profile(options->profile, err);

	if (r < 0)
		return r;
	if (!nr || nr > LAYERS_MAX || options->xattrs > CAIRN_XATTRS_ALL)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "merge layers: an image has 1 to %u of them", LAYERS_MAX);
	r = layer_merge((const struct tree *const *)(const void *)layers, nr, options, &t, err);
	if (r < 0)
		return r;
	*ret = tree_to_public(t);
	return 0;
}

int cairn_layer_from_upper(const struct cairn_tree *upper, struct cairn_tree **ret,
			   struct cairn_error *err)
{
	struct tree *t;
	int r = layer_from_upper(tree_from_public(upper), &t, err);

	if (r < 0)
		return r;
	*ret = tree_to_public(t);
	return 0;
}

struct hashed {
	cairn_write_fn write;
	void *arg;
	struct oci_hash hash;
	uint64_t size;
};

static int write_hashed(void *arg, const void *data, unsigned long size)
{
	struct hashed *h = (struct hashed *)arg;

	h->size += size;
	if (oci_hash_update(&h->hash, data, size) < 0)
		return -ENOMEM;
	return h->write(h->arg, data, size);
}

int cairn_layer_write(const struct cairn_tree *layer, cairn_write_fn write, void *arg,
		      const struct cairn_export_options *options, struct cairn_layer_result *res,
		      struct cairn_error *err)
{
	struct hashed h = {.write = write, .arg = arg};
	struct cairn_export_result done;
	struct cairn_layer_result result = {.size = 0};
	char diff_id[OCI_DIGEST_MAX];
	int r;

	if (oci_hash_init(&h.hash, NULL) < 0)
		return error_errno(err, -ENOMEM, "write the layer");
	r = export_tar(tree_from_public(layer), write_hashed, &h, options, &done, err);
	if (!r && oci_hash_final(&h.hash, diff_id) < 0)
		r = error_errno(err, -ENOMEM, "write the layer");
	oci_hash_fini(&h.hash);
	if (r < 0 || !res)
		return r;
	memcpy(result.diff_id, diff_id, strlen(diff_id) + 1);
	result.size = h.size;
	result.stats.entries = done.names;
	result.stats.files = done.files;
	result.stats.bytes = done.bytes;
	*res = result;
	return 0;
}
