/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Container images out of a store. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/oci-internal.h"
#include "oci/push.h"

static int push(struct cairn_store *store, const char *name, const struct oci_reference *ref,
		const struct oci_context *context, int level, struct cairn_push_result *ret,
		struct cairn_error *err)
{
	struct source *source cleanup(oci_source) = NULL;
	struct oci_image *image cleanup(oci_image) = NULL;
	struct dest *dest cleanup(dest) = NULL;
	struct push_result result;
	int r = oci_source_store_open(store, name, &source, err);

	if (r == 0)
		r = oci_image_open(source, &context->platform, false, &image, err);
	if (r == 0 && !image->config)
		r = error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED, "%s: not a container image",
			      name);
	if (r == 0)
		r = dest_open(ref, &context->registry, &dest, err);
	if (r == 0)
		r = push_image(image, store, dest, ref->tag, level, &result, err);
	if (r < 0)
		return r;
	*ret = (struct cairn_push_result){.changed = strcmp(result.digest, image->digest) != 0,
					  .layers = result.layers,
					  .kept = result.kept,
					  .made = result.made,
					  .sent_bytes = result.sent};
	snprintf(ret->digest, sizeof(ret->digest), "%.135s", result.digest);
	return 0;
}

int cairn_oci_push(struct cairn_store *store, const char *name, const char *reference,
		   const struct cairn_oci_options *options, int level,
		   struct cairn_push_result *ret, struct cairn_error *err)
{
	struct oci_reference ref cleanup_oci_reference = {0};
	struct oci_context context;
	int r = oci_reference_parse(reference, &ref, err);

	if (r == 0 && ref.digest)
		r = error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
			      "'%s': the digest follows from the image and cannot be chosen",
			      reference);
	if (r == 0 && (level < 0 || level > 19))
		r = error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "the level is not from 1 to 19");
	if (r == 0)
		r = store_begin(store, err);
	if (r == 0)
		r = oci_context_init(&context, options, err);
	if (r < 0)
		return r;
	r = push(store, name, &ref, &context, level, ret, err);
	oci_context_fini(&context);
	return r;
}
