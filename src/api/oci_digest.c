/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The digest of the image that a container image's layers make, without storing anything. */
#include <errno.h>

#include "api/oci-internal.h"

int cairn_oci_digest(struct cairn_oci *oci, enum cairn_alg alg,
		     const struct cairn_pull_options *options, struct cairn_image_result *ret,
		     struct cairn_error *err)
{
	struct cairn_image_options image = {
		.format = options->format == CAIRN_FORMAT_AUTO ? CAIRN_FORMAT_V1 : options->format,
		.alg = alg,
		.jobs = options->jobs,
	};
	struct pull p cleanup_pull = {0};
	struct tree *tree = NULL;
	int r;

	if (!cairn_digest_size(alg))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "unknown digest algorithm");
	r = oci_read_layers(oci, NULL, CAIRN_ALG_BIT(alg), options, false, NULL, &p, err);
	if (r == 0)
		r = oci_merge(&p, options, &tree, err);
	if (r == 0)
		r = cairn_image_write((const struct cairn_tree *)tree, &image, ret, err);
	tree_free(tree);
	return r;
}

/* All that one tree is. */
static int digests_of(const struct cairn_tree *tree, size_t layer, unsigned int jobs,
		      int (*fn)(void *arg, const struct cairn_oci_part *part), void *arg,
		      struct cairn_error *err)
{
	struct cairn_oci_part part = {.layer = layer};
	int r = 0;

	for (int format = CAIRN_FORMAT_V1; format <= CAIRN_FORMAT_V2 && r == 0; format++) {
		for (unsigned int alg = CAIRN_SHA256; alg <= CAIRN_SHA512 && r == 0; alg++) {
			const struct cairn_image_options image = {
				.format = format, .alg = (enum cairn_alg)alg, .jobs = jobs};

			r = cairn_image_write(tree, &image, &part.image, err);
			if (r == 0)
				r = fn(arg, &part);
		}
	}
	return r;
}

int cairn_oci_digests(struct cairn_oci *oci, const struct cairn_pull_options *o,
		      int (*fn)(void *arg, const struct cairn_oci_part *part), void *arg,
		      struct cairn_error *err)
{
	const struct cairn_merge_options partial = {
		.profile = o->profile, .xattrs = o->xattrs, .partial = 1};
	struct pull p cleanup_pull = {0};
	struct tree *tree = NULL;
	int r = oci_read_layers(oci, NULL,
				CAIRN_ALG_BIT(CAIRN_SHA256) | CAIRN_ALG_BIT(CAIRN_SHA512), o, false,
				NULL, &p, err);

	if (r == 0)
		r = oci_merge(&p, o, &tree, err);
	if (r == 0)
		r = digests_of((const struct cairn_tree *)tree, SIZE_MAX, o->jobs, fn, arg, err);
	tree_free(tree);
	for (size_t i = 0; i < p.nr_layers && r == 0; i++) {
		const struct cairn_tree *layer =
			(const struct cairn_tree *)p.layers[p.layers[i].same_as].tree;
		struct cairn_tree *alone = NULL;

		r = cairn_layers_merge(&layer, 1, &partial, &alone, err);
		if (r == 0)
			r = digests_of(alone, i, o->jobs, fn, arg, err);
		cairn_tree_free(alone);
	}
	return r;
}

/* The trees of the layers in one profile, or nothing where they cannot be read in it. */
static int read_for(struct cairn_oci *oci, enum cairn_alg alg, enum cairn_profile profile,
		    const struct cairn_pull_options *options, struct pull *ret,
		    const struct cairn_tree ***ret_trees, struct cairn_error *err)
{
	struct cairn_pull_options one = *options;
	struct cairn_error own = {0};
	int r;

	one.profile = profile;
	r = oci_read_layers(oci, NULL, CAIRN_ALG_BIT(alg), &one, false, NULL, ret, &own);
	if (r < 0) {
		if (own.kind == CAIRN_ERROR_FORMAT)
			return 0;
		if (err)
			*err = own;
		return r;
	}
	*ret_trees = (const struct cairn_tree **)calloc(ret->nr_layers + 1, sizeof(**ret_trees));
	if (!*ret_trees)
		return error_errno(err, -ENOMEM, "layers");
	for (size_t i = 0; i < ret->nr_layers; i++)
		(*ret_trees)[i] =
			(const struct cairn_tree *)ret->layers[ret->layers[i].same_as].tree;
	return 0;
}

int cairn_oci_match(struct cairn_oci *oci, const struct cairn_digest *digest,
		    const struct cairn_pull_options *options, struct cairn_layer_rules *ret,
		    struct cairn_error *err)
{
	enum cairn_alg alg = (enum cairn_alg)digest->alg;
	struct pull composefs cleanup_pull = {0}, runtime cleanup_pull = {0};
	const struct cairn_tree **c cleanup_free = NULL, **t cleanup_free = NULL;
	int r;

	if (!cairn_digest_size(alg))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "unknown digest algorithm");
	r = read_for(oci, alg, CAIRN_PROFILE_COMPOSEFS, options, &composefs, &c, err);
	if (r == 0 && c)
		r = cairn_layers_match(c, NULL, composefs.nr_layers, digest, ret, err);
	if (r != 0)
		return r;
	r = read_for(oci, alg, CAIRN_PROFILE_RUNTIME, options, &runtime, &t, err);
	if (r == 0 && t)
		r = cairn_layers_match(NULL, t, runtime.nr_layers, digest, ret, err);
	return r;
}
