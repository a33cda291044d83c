/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Which rules give an image? They have changed from release to release of the tools that made images, and a
 * digest does not say which of them it follows.
 */
#include "oci/match.h"

#include <errno.h>

#include "base/error.h"
#include "base/parallel.h"
#include "digest/verity.h"
#include "erofs/write.h"
#include "tar/layer.h"

struct making {
	struct verity verity;
	cairn_write_fn write;
	void *arg;
};

static int take_piece(void *arg, const uint8_t *data, size_t size)
{
	struct making *m = (struct making *)arg;

	verity_update(&m->verity, data, size);
	return m->write ? m->write(m->arg, data, size) : 0;
}

int image_make(const struct tree *t, int format, enum cairn_alg alg, cairn_write_fn write,
	       void *arg, struct cairn_image_result *ret, struct cairn_error *err)
{
	struct erofs_plan *plan cleanup(erofs_plan) = NULL;
	struct making m = {.write = write, .arg = arg};
	struct cairn_image_result result;
	int r = erofs_plan_new(t, format, alg, &(struct team){1, parallel_for}, &plan, err);

	if (r < 0)
		return r;
	result = (struct cairn_image_result){.format = erofs_plan_format(plan),
					     .size = erofs_plan_size(plan),
					     .inodes = erofs_plan_inodes(plan)};
	r = verity_init(&m.verity, CAIRN_ALG_BIT(alg));
	if (r == 0) {
		r = erofs_emit(plan, take_piece, &m);
		if (r == 0)
			(void)verity_final(&m.verity, &result.digest);
		verity_fini(&m.verity);
	}
	if (r < 0)
		return error_errno(err, r, "write the image");
	*ret = result;
	return 0;
}

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
		struct cairn_image_result result;
		struct cairn_error err;
		int r;

		if (only >= 0 && only != formats[i])
			continue;
		r = image_make(t, formats[i], (enum cairn_alg)digest->alg, NULL, NULL, &result,
			       &err);
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

static int try_merge(const struct tree *const *layers, size_t nr, const struct cairn_digest *digest,
		     int only, struct cairn_layer_rules *rules)
{
	const struct cairn_merge_options options = {.profile = rules->profile,
						    .xattrs = rules->xattrs};
	struct cairn_error err;
	struct tree *t;
	int r = layer_merge(layers, nr, &options, &t, &err);

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

int layers_match(const struct tree *const *composefs, const struct tree *const *runtime, size_t nr,
		 const struct cairn_digest *digest, int only, struct cairn_layer_rules *ret,
		 struct cairn_error *err)
{
	struct cairn_layer_rules rules = {.profile = CAIRN_PROFILE_COMPOSEFS};
	int r = 0;

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
