/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Which rules give an image? They have changed from release to release of the tools that made images, and a
 * digest does not say which of them it follows.
 */
#include <errno.h>

#include "api/api-internal.h"
#include "tar/layer.h"

/* The likeliest first. */
static const int formats[] = {CAIRN_FORMAT_V1, CAIRN_FORMAT_V2, CAIRN_FORMAT_V0};

static bool has_fractions(const struct tree *t)
{
	for (uint32_t i = 0; i < t->nr_entries; i++)
		if (!node_is_link(t->entries[i]) && t->entries[i]->mtime_nsec)
			return true;
	return false;
}

static void drop_fractions(struct tree *t)
{
	for (uint32_t i = 0; i < t->nr_entries; i++)
		t->entries[i]->mtime_nsec = 0;
}

/* Whether the tree has the digest in any format. */
static int try_formats(const struct tree *t, const struct cairn_digest *digest, int only,
		       struct cairn_layer_rules *rules)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		const struct cairn_image_options options = {.format = formats[i],
							    .alg = digest->alg};
		struct cairn_image_result result;
		struct cairn_error err;
		int r;

		if (only >= 0 && only != formats[i])
			continue;
		r = cairn_image_write((const struct cairn_tree *)t, &options, &result, &err);
		if (r == -ENOMEM)
			return r;
		/* A format that cannot have this tree has no such image. */
		if (!r && result.digest.alg == digest->alg &&
		    !memcmp(result.digest.bytes, digest->bytes, sizeof(digest->bytes))) {
			rules->format = formats[i];
			return 1;
		}
	}
	return 0;
}

static int try_merge(const struct cairn_tree *const *layers, size_t nr,
		     const struct cairn_digest *digest, int only, struct cairn_layer_rules *rules)
{
	const struct cairn_merge_options options = {.profile = rules->profile,
						    .xattrs = rules->xattrs};
	struct cairn_error err;
	struct tree *t;
	int r = layer_merge((const struct tree *const *)(const void *)layers, nr, &options, &t,
			    &err);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	rules->whole_seconds = 0;
	r = try_formats(t, digest, only, rules);
	if (!r && has_fractions(t)) {
		drop_fractions(t);
		rules->whole_seconds = 1;
		r = try_formats(t, digest, only, rules);
	}
	tree_free(t);
	return r;
}

int layers_match(const struct cairn_tree *const *composefs, const struct cairn_tree *const *runtime,
		 size_t nr, const struct cairn_digest *digest, int only,
		 struct cairn_layer_rules *ret, struct cairn_error *err)
{
	struct cairn_layer_rules rules = {.profile = CAIRN_PROFILE_COMPOSEFS};
	int r = 0;

	if (!nr || nr > LAYERS_MAX || !cairn_digest_size((enum cairn_alg)digest->alg))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "match layers: an image has 1 to %u of them", LAYERS_MAX);
	for (int mode = 0; composefs && !r && mode <= CAIRN_XATTRS_ALL; mode++) {
		rules.xattrs = (enum cairn_xattr_mode)mode;
		r = try_merge(composefs, nr, digest, only, &rules);
	}
	if (runtime && !r) {
		rules.profile = CAIRN_PROFILE_RUNTIME;
		rules.xattrs = CAIRN_XATTRS_ALLOWLIST;
		r = try_merge(runtime, nr, digest, only, &rules);
	}
	if (r < 0)
		return error_errno(err, r, "match layers");
	if (r)
		*ret = rules;
	return r;
}

int cairn_layers_match(const struct cairn_tree *const *composefs,
		       const struct cairn_tree *const *runtime, size_t nr,
		       const struct cairn_digest *digest, struct cairn_layer_rules *ret,
		       struct cairn_error *err)
{
	return layers_match(composefs, runtime, nr, digest, -1, ret, err);
}
