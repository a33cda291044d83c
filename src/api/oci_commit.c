/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A layer upon an image of a store. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/oci-internal.h"
#include "oci/commit.h"
#include "oci/push.h"

struct layer {
	const struct cairn_tree *tree;
	struct cairn_export_options options;

	/* Where its bytes go just now. */
	source_fn fn;
	void *fn_arg;
	struct cairn_error *err;
};

static int write_piece(void *arg, const void *data, unsigned long size)
{
	struct layer *l = (struct layer *)arg;

	return l->fn ? l->fn(l->fn_arg, data, size, l->err) : 0;
}

static int write_layer(void *arg, source_fn fn, void *fn_arg, struct cairn_error *err)
{
	struct layer *l = (struct layer *)arg;
	struct cairn_error words = {0}, own = {0};
	int r;

	l->fn = fn;
	l->fn_arg = fn_arg;
	l->err = &words;
	r = cairn_layer_write(l->tree, write_piece, l, &l->options, NULL, &own);
	if (r < 0 && err)
		*err = words.code ? words : own;
	return r;
}

static int commit_upon(struct cairn_store *store, const struct oci_image *base,
		       const struct commit *commit, const struct cairn_pull_options *pull,
		       struct cairn_commit_result *result, struct cairn_error *err)
{
	struct cairn_oci oci = {0};
	int r = oci_source_commit_open(base, commit, &oci.source, err);

	if (r == 0)
		r = oci_image_open(oci.source, &base->config->platform, false, &oci.image, err);
	if (r == 0)
		r = cairn_oci_pull(&oci, store, pull, &result->pull, err);
	if (r == 0)
		snprintf(result->manifest, sizeof(result->manifest), "%.135s", oci.image->digest);
	oci_image_free(oci.image);
	oci_source_free(oci.source);
	return r;
}

int cairn_oci_commit(struct cairn_store *store, const char *name, const struct cairn_tree *layer,
		     const struct cairn_commit_options *o, const struct cairn_pull_options *pull,
		     struct cairn_commit_result *ret, struct cairn_error *err)
{
	struct layer l = {.tree = layer, .options = {.stores = &store, .nr_stores = 1}};
	struct source *source cleanup(oci_source) = NULL;
	struct oci_image *base cleanup(oci_image) = NULL;
	struct cairn_commit_result result = {0};
	struct commit commit = {
		.created = o->created,
		.created_by = o->created_by,
		.comment = o->comment,
		.write = write_layer,
		.arg = &l,
	};
	int r = oci_source_store_open(store, name, &source, err);

	if (r == 0)
		r = oci_image_open(source, &(struct oci_platform){0}, false, &base, err);
	if (r == 0 && !base->config)
		r = error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED, "%s: not a container image",
			      name);
	if (r < 0)
		return r;
	l.options.refused = o->refused;
	l.options.refused_arg = o->refused_arg;
	/* Once to know its digest, once into the store. */
	r = cairn_layer_write(layer, write_piece, &l, &l.options, &result.layer, err);
	l.options.refused = NULL;
	if (r < 0)
		return r;
	commit.diff_id = result.layer.diff_id;
	commit.size = result.layer.size;
	r = commit_upon(store, base, &commit, pull, &result, err);
	if (r == 0 && ret)
		*ret = result;
	return r;
}
