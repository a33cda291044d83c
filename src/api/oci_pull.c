/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Container images into a store: layers, the image that they make, and the names. */
#include <errno.h>
#include <string.h>

#include <cairn/names.h>

#include "api/api-internal.h"
#include "api/oci-internal.h"
#include "oci/pull.h"
#include "oci/seal.h"
#include "tar/layer.h"

int oci_read_layers(const struct cairn_oci *oci, struct cairn_store *store, unsigned int algs,
		    const struct cairn_pull_options *o, bool again, struct names_batch *names,
		    struct pull *ret, struct cairn_error *err)
{
	const struct oci_document *m = oci->image->manifest;
	const struct pull_options options = {
		.profile = o->profile,
		.store = store,
		.algs = algs,
		.jobs = o->jobs,
		.again = again,
		.keep_blobs = o->keep_blobs,
		.partial = (enum cairn_partial)o->partial,
		.names = names,
		.progress = o->progress,
		.progress_arg = o->progress_arg,
	};

	if (o->profile != CAIRN_PROFILE_COMPOSEFS && o->profile != CAIRN_PROFILE_RUNTIME)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "no such profile: %d",
				 (int)o->profile);
	if (o->partial < CAIRN_PARTIAL_VERIFIED || o->partial > CAIRN_PARTIAL_NONE)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "no such way of partial pulls: %d", o->partial);
	if (o->partial == CAIRN_PARTIAL_TABLE && (o->require_seal || o->nr_certs))
		return error_set(
			err, -EINVAL, CAIRN_ERROR_USAGE,
			"a seal is about layers that have their diff_id, so that no table of "
			"contents may vouch for one");
	if (!m->is_image)
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "not a container image but an artifact of type %.100s",
				 m->artifact_type ? m->artifact_type : m->config.media_type);
	return pull_layers(oci->image, &options, ret, err);
}

int oci_merge(const struct pull *p, const struct cairn_pull_options *o, struct tree **ret,
	      struct cairn_error *err)
{
	const struct cairn_merge_options options = {.profile = o->profile, .xattrs = o->xattrs};
	const struct tree **trees cleanup_free =
		(const struct tree **)calloc(p->nr_layers + 1, sizeof(*trees));

	if (!trees)
		return error_errno(err, -ENOMEM, "merge");
	for (size_t i = 0; i < p->nr_layers; i++)
		trees[i] = p->layers[p->layers[i].same_as].tree;
	return layer_merge(trees, p->nr_layers, &options, ret, err);
}

static void count(const struct pull *p, struct cairn_pull_result *ret)
{
	*ret = (struct cairn_pull_result){.layers = p->nr_layers};
	for (size_t i = 0; i < p->nr_layers; i++) {
		const struct pull_layer *l = &p->layers[i];

		ret->known_layers += l->known || l->same_as != i;
		if (l->known || l->same_as != i)
			ret->known_bytes += p->image->manifest->parts[i].size;
		ret->table_layers += *p->layers[l->same_as].toc != 0;
		ret->fetched_bytes += l->fetched;
		ret->known_bytes += l->saved;
		ret->new_objects += l->new_objects;
		ret->new_bytes += l->new_bytes;
		ret->duplicates += l->stats.duplicates;
		ret->order_sensitive += l->stats.order_sensitive;
	}
}

/* The store's; where it says none, the one that sealing is about. */
static int format_of(const struct cairn_store *store, int format)
{
	if (format != CAIRN_FORMAT_AUTO)
		return format;
	if (!store->has_meta)
		return CAIRN_FORMAT_V1;
	return store->meta.format == CAIRN_FORMAT_V0 ? CAIRN_FORMAT_AUTO : store->meta.format;
}

/* Before anything gets a name: the image must have the digest. */
static int expect(const struct tree *tree, const struct cairn_image_options *options,
		  enum cairn_alg alg, const struct cairn_digest *expected, struct cairn_error *err)
{
	char found[CAIRN_DIGEST_HEX_MAX], wanted[CAIRN_DIGEST_HEX_MAX];
	struct cairn_image_options only = *options;
	struct cairn_image_result result;
	int r;

	only.alg = alg;
	r = cairn_image_write(tree_to_public((struct tree *)tree), &only, &result, err);
	if (r < 0 || !memcmp(&result.digest, expected, sizeof(*expected)))
		return r;
	cairn_digest_to_hex(&result.digest, found);
	cairn_digest_to_hex(expected, wanted);
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "the image has digest %s, not %s", found,
			 wanted);
}

/* What the seals of an image were found to say. */
struct sealed {
	struct cairn_digest image; /* V1; alg 0: nobody has asked */
	struct seal seal;
	struct cairn_digest stream;        /* that keeps them; alg 0: none */
	struct object_signature signature; /* for the kernel; size 0: none */
};

static void sealed_fini(struct sealed *s)
{
	seal_fini(&s->seal);
}
#define cleanup_sealed __attribute__((__cleanup__(sealed_fini)))

/* Seals are about format V1, whatever the image is written in. */
static int require_seal(const struct cairn_oci *oci, const struct tree *tree, enum cairn_alg alg,
			const struct cairn_pull_options *o, struct sealed *ret,
			struct cairn_error *err)
{
	const struct cairn_image_options v1 = {
		.format = CAIRN_FORMAT_V1, .alg = alg, .jobs = o->jobs};
	const struct seal_entry *e;
	struct cairn_image_result result;
	int r = cairn_image_write((const struct cairn_tree *)tree, &v1, &result, err);

	if (r == 0)
		r = oci_check_seal(oci, &result.digest, o->certs, o->nr_certs, &ret->seal, err);
	if (r < 0)
		return r;
	ret->image = result.digest;
	e = seal_signed_entry(&ret->seal, &result.digest);
	if (e)
		ret->signature =
			(struct object_signature){.data = e->signature, .size = e->signature_size};
	return 0;
}

/* Of what the store has it keeps the seal, so that a mount can ask for it. */
static int keep_seal(struct sealed *s, struct cairn_store *store,
		     const struct cairn_pull_result *result, struct names_batch *names,
		     struct cairn_error *err)
{
	if (!s->image.alg || memcmp(&s->image, &result->image.digest, sizeof(s->image)))
		return 0;
	return seal_keep(&s->seal, store, &s->image, names, &s->stream, err);
}

static void tell_seal(const struct sealed *s, struct cairn_pull_result *ret)
{
	ret->sealed = s->image.alg != 0;
	if (!s->signature.size)
		return;
	ret->kernel = !s->signature.code             ? CAIRN_KERNEL_SIGNED
		      : s->signature.code == -ENOKEY ? CAIRN_KERNEL_NO_KEY
						     : CAIRN_KERNEL_UNSUPPORTED;
}

/* The image that the layers are, checked, and the documents, with their names into @names. */
static int add_all(const struct cairn_oci *oci, struct cairn_store *store, const struct pull *p,
		   const struct cairn_pull_options *o, struct names_batch *names,
		   struct cairn_pull_result *ret, struct cairn_error *err)
{
	const struct cairn_image_options image_options = {
		.format = format_of(store, o->format),
		.jobs = o->jobs,
	};
	struct sealed sealed cleanup_sealed = {0};
	struct tree *tree = NULL;
	int r = oci_merge(p, o, &tree, err);

	if (r < 0)
		return r;
	count(p, ret);
	if (o->expected)
		r = expect(tree, &image_options, store->alg, o->expected, err);
	if (r == 0 && (o->require_seal || o->nr_certs))
		r = require_seal(oci, tree, store->alg, o, &sealed, err);
	if (r == 0)
		r = image_into_batch(store, tree_to_public(tree), &image_options, o->name, names,
				     sealed.signature.size ? &sealed.signature : NULL, &ret->image,
				     err);
	tree_free(tree);
	if (r == 0)
		r = keep_seal(&sealed, store, ret, names, err);
	if (r < 0)
		return r;
	tell_seal(&sealed, ret);
	return pull_documents(p, store, &ret->image.digest, ret->image.format,
			      sealed.stream.alg ? &sealed.stream : NULL, o->name, names, err);
}

static void tell_whole(const struct pull *p, const struct cairn_pull_options *o)
{
	for (size_t i = 0; o->whole && i < p->nr_layers; i++) {
		if (p->layers[i].whole)
			o->whole(o->whole_arg, i, p->layers[i].whole);
	}
}

/* Once with what the store knows, and once more without, if what it knows is not complete. */
static int pull(const struct cairn_oci *oci, struct cairn_store *store,
		const struct cairn_pull_options *o, bool again, struct cairn_pull_result *ret,
		struct cairn_error *err)
{
	struct pull p cleanup_pull = {0};
	struct names_batch *layers cleanup(names_batch) = NULL, *all cleanup(names_batch) = NULL;
	int r;

	*ret = (struct cairn_pull_result){0};
	if (names_batch_new(store, &layers) < 0)
		return error_errno(err, -ENOMEM, "pull");
	r = oci_read_layers(oci, store, 0, o, again, layers, &p, err);
	if (r == 0)
		r = names_batch_copy(layers, &all);
	if (r == 0)
		r = add_all(oci, store, &p, o, all, ret, err);
	if (r == 0)
		r = names_batch_commit(all, err);
	if (r == 0)
		tell_whole(&p, o);
	if (r == 0)
		return 0;
	/* What is complete stays. */
	(void)names_batch_commit(layers, NULL);
	return r;
}

int cairn_oci_pull(struct cairn_oci *oci, struct cairn_store *store,
		   const struct cairn_pull_options *options, struct cairn_pull_result *ret,
		   struct cairn_error *err)
{
	struct cairn_pull_result result;
	int r = store_begin(store, err);

	if (r < 0)
		return r;
	r = pull(oci, store, options, false, &result, err);
	if (r == -ENOENT && result.known_layers)
		r = pull(oci, store, options, true, &result, err);
	if (r == 0 && ret)
		*ret = result;
	return r;
}
