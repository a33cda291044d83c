/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Container images out of a store. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/oci-internal.h"
#include "oci/push.h"

/* Repositories of the registry that is pushed to, from which it may take layers: those that images of the store with
 * the same layer are named after. */
struct origins {
	const struct oci_reference *to;
	char **from; /* of each layer; NULL: none */
};

static int add_origin(void *arg, size_t layer, const char *tag)
{
	struct origins *o = (struct origins *)arg;
	struct oci_reference ref cleanup_oci_reference = {0};

	if (!tag || o->from[layer] || oci_reference_parse(tag, &ref, NULL) < 0 ||
	    ref.transport != OCI_REGISTRY || strcmp(ref.host, o->to->host) ||
	    !strcmp(ref.name, o->to->name))
		return 0;
	o->from[layer] = strdup(ref.name);
	return o->from[layer] ? 0 : -ENOMEM;
}

static int push_layers(struct cairn_store *store, const struct oci_image *image, struct dest *dest,
		       const struct oci_reference *ref, const struct oci_context *context,
		       const struct cairn_push_options *o, struct push_result *ret,
		       struct cairn_error *err)
{
	const size_t nr = image->config->nr_diff_ids;
	struct origins origins = {.to = ref, .from = (char **)calloc(nr + 1, sizeof(char *))};
	const struct push_options options = {
		.level = o->level,
		.jobs = o->jobs,
		.from = (const char *const *)origins.from,
		.cancelled = context->registry.http.cancelled,
		.cancelled_arg = context->registry.http.cancelled_arg,
	};
	int r = origins.from ? 0 : error_errno(err, -ENOMEM, "push");

	if (r == 0 && ref->transport == OCI_REGISTRY)
		r = store_layer_users(store, image->config->diff_ids, nr, add_origin, &origins,
				      err);
	if (r == 0)
		r = push_image(image, store, dest, ref->tag, &options, ret, err);
	for (size_t i = 0; origins.from && i < nr; i++)
		free(origins.from[i]);
	free(origins.from);
	return r;
}

static int push(struct cairn_store *store, const char *name, const struct oci_reference *ref,
		const struct oci_context *context, const struct cairn_push_options *options,
		struct cairn_push_result *ret, struct cairn_error *err)
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
		r = push_layers(store, image, dest, ref, context, options, &result, err);
	if (r < 0)
		return r;
	*ret = (struct cairn_push_result){.changed = strcmp(result.digest, image->digest) != 0,
					  .layers = result.layers,
					  .kept = result.kept,
					  .made = result.made,
					  .mounted = result.mounted,
					  .sent_bytes = result.sent};
	snprintf(ret->digest, sizeof(ret->digest), "%.135s", result.digest);
	return 0;
}

int cairn_oci_push(struct cairn_store *store, const char *name, const char *reference,
		   const struct cairn_oci_options *options,
		   const struct cairn_push_options *push_options, struct cairn_push_result *ret,
		   struct cairn_error *err)
{
	struct oci_reference ref cleanup_oci_reference = {0};
	struct oci_context context;
	int r = oci_reference_parse(reference, &ref, err);

	if (r == 0 && ref.digest)
		r = error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
			      "'%s': the digest follows from the image and cannot be chosen",
			      reference);
	if (r == 0 && (push_options->level < 0 || push_options->level > 19))
		r = error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "the level is not from 1 to 19");
	if (r == 0)
		r = store_begin(store, err);
	if (r == 0)
		r = oci_context_init(&context, options, err);
	if (r < 0)
		return r;
	r = push(store, name, &ref, &context, push_options, ret, err);
	oci_context_fini(&context);
	return r;
}
