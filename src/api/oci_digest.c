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
	r = oci_read_layers(oci, NULL, alg, options, false, NULL, &p, err);
	if (r == 0)
		r = oci_merge(&p, options, &tree, err);
	if (r == 0)
		r = cairn_image_write((const struct cairn_tree *)tree, &image, ret, err);
	tree_free(tree);
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
	r = oci_read_layers(oci, NULL, alg, &one, false, NULL, ret, &own);
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
