/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What a container image needs, and what is done with it when it has come. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/parallel.h"
#include "oci/keep.h"
#include "oci/push.h"
#include "oci/seal.h"
#include "transfer/container-internal.h"

/* --- what is needed -------------------------------------------------------------------------- */

static int want_part(void *arg, const struct cairn_digest *id, uint64_t size)
{
	return wants_add((struct wants *)arg, id, size);
}

static int want_layer(const struct container *c, size_t i, struct wants *w, struct cairn_error *err)
{
	struct splitstream *s cleanup(splitstream) = NULL;
	int r = parts_open(c->layers[i].fd, c->t->alg, SPLITSTREAM_LAYER, &s, err);

	return r < 0 ? r : parts_of_layer(s, want_part, w, err);
}

/* The blob, if it was kept there and is not here. */
static int want_blob(struct container *c, size_t i, struct wants *w, struct cairn_error *err)
{
	const struct oci_descriptor *d = &c->image->manifest->parts[i];
	struct splitstream *s cleanup(splitstream) = NULL;
	struct pull_layer *l = &c->pull.layers[i];
	const struct cairn_digest *id;
	char name[OCI_DIGEST_MAX + 16];
	struct cairn_digest object;
	uint64_t size;
	int r;

	snprintf(name, sizeof(name), PULL_BLOB_NAME "%s", d->digest);
	id = find_name(&c->manifest, name);
	if (!id)
		return 0;
	snprintf(name, sizeof(name), STORE_BLOB_PREFIX "%s", d->digest);
	if (store_entry(c->t->to, STORE_STREAMS, name, &object, NULL) == 0 &&
	    store_use_stream(c->t->to, &object, NULL) == 0) {
		l->blob = object;
		c->t->result.needed++;
		return 0;
	}
	c->layers[i].blob = transfer_open(c->t, id, DOCUMENT_STREAM_MAX, false, err);
	if (c->layers[i].blob < 0)
		return c->layers[i].blob;
	r = parts_open(c->layers[i].blob, c->t->alg, SPLITSTREAM_BLOB, &s, err);
	if (!r)
		r = parts_only(s, &object, &size, err);
	if (!r && size != d->size)
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "its blob has %llu bytes, not %llu",
			      (unsigned long long)size, (unsigned long long)d->size);
	if (!r && wants_add(w, &object, size) < 0)
		r = error_errno(err, -ENOMEM, "blob");
	return r;
}

int container_wants(struct container *c, struct wants *w, struct cairn_error *err)
{
	int r = 0;

	for (size_t i = 0; i < c->pull.nr_layers && !r; i++) {
		const struct pull_layer *l = &c->pull.layers[i];

		/* In a store of the other algorithm what is known would come again. */
		if (l->same_as == i && (!l->known || c->t->alg == c->t->to->alg))
			r = want_layer(c, i, w, err);
		if (!r)
			r = want_blob(c, i, w, err);
		if (r < 0)
			error_prepend(err, "layer %zu", i);
	}
	return r;
}

/* --- what has come --------------------------------------------------------------------------- */

struct taking {
	struct container *c;
	const struct wants *wants;
	const uint8_t *digests;
};

static int64_t map_id(void *arg, const struct cairn_digest *id, struct cairn_digest *ret)
{
	const struct taking *k = (const struct taking *)arg;
	int64_t at = wants_find(k->wants, id);
	int r = at < 0 ? (int)at : transfer_map(k->c->t, k->wants, k->digests, id, ret, NULL);

	return r < 0 ? r : (int64_t)k->wants->want[at].size;
}

struct reading {
	const struct transfer *t;
	bool ask; /* only one thread may */
};

static int drop(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	const struct reading *rd = (const struct reading *)arg;
	const struct cairn_transfer_options *o = rd->t->options;
	const struct cairn_transfer_result *res = &rd->t->result;

	(void)data, (void)size;
	if (!rd->ask || !o->progress ||
	    !o->progress(o->progress_arg, res->objects, res->bytes, res->objects, res->bytes))
		return 0;
	return error_set(err, -ECANCELED, CAIRN_ERROR_SYSTEM, "cancelled");
}

/* The stream of the layer into the store, and the diff_id of what it is. */
static int take_layer(struct taking *k, unsigned int worker, size_t i, struct cairn_error *err)
{
	struct container *c = k->c;
	struct cairn_store *to = c->t->to;
	struct splitstream *s cleanup(splitstream) = NULL;
	struct pull_layer *l = &c->pull.layers[i];
	struct reading reading = {c->t, !worker};
	struct store_imported imported;
	char path[OBJECT_PATH_MAX];
	int fd cleanup_fd = -1, r;
	struct stat st;

	if (c->t->alg != to->alg) {
		r = parts_open(c->layers[i].fd, c->t->alg, SPLITSTREAM_LAYER, &s, err);
		if (!r)
			r = parts_rewrite(s, to, map_id, k, &l->stream, err);
	} else if (fstat(c->layers[i].fd, &st) < 0) {
		r = error_errno(err, -errno, "split stream");
	} else {
		l->stream = c->layers[i].id;
		r = store_import(to,
				 &(struct store_source){.fd = c->layers[i].fd,
							.digest = l->stream,
							.size = (uint64_t)st.st_size,
							.link = c->t->options->link},
				 &imported, err);
	}
	if (r < 0)
		return r;
	(void)object_path(path, l->stream.bytes, cairn_digest_size(to->alg));
	fd = store_open_object(to, path, err);
	return fd < 0 ? fd
		      : layer_export(to, fd, c->image->config->diff_ids[i], drop, &reading, err);
}

static int hash_piece(void *arg, const void *data, unsigned long size)
{
	return oci_hash_update((struct oci_hash *)arg, data, size);
}

static int take_blob(struct taking *k, size_t i, struct cairn_error *err)
{
	const struct oci_descriptor *d = &k->c->image->manifest->parts[i];
	struct transfer *t = k->c->t;
	struct splitstream *s cleanup(splitstream) = NULL;
	char path[OBJECT_PATH_MAX], found[OCI_DIGEST_MAX];
	struct oci_hash hash cleanup_oci_hash = {0};
	struct cairn_digest there, here;
	uint64_t size;
	int r = parts_open(k->c->layers[i].blob, t->alg, SPLITSTREAM_BLOB, &s, err);

	if (!r)
		r = parts_only(s, &there, &size, err);
	if (!r)
		r = transfer_map(t, k->wants, k->digests, &there, &here, err);
	if (!r)
		r = oci_digest_check(d->digest, "blob", err);
	if (r < 0)
		return r;
	if (oci_hash_init(&hash, d->digest) < 0)
		return error_errno(err, -ENOMEM, "hashing");
	(void)object_path(path, here.bytes, cairn_digest_size(t->to->alg));
	r = store_read_object(t->to, path, &here, hash_piece, &hash, err);
	if (r < 0)
		return r;
	if (oci_hash_final(&hash, found) < 0)
		return error_errno(err, -ENOMEM, "hashing");
	if (strcmp(found, d->digest) != 0)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "its blob has digest %s, not %s",
				 found, d->digest);
	return blob_stream(t->to, &here, size, &k->c->pull.layers[i].blob, err);
}

static int take_one(void *arg, unsigned int worker, size_t i)
{
	struct taking *k = (struct taking *)arg;
	const struct pull_layer *l = &k->c->pull.layers[i];
	struct cairn_error *err = &k->c->layers[i].error;
	int r = l->same_as == i && !l->known ? take_layer(k, worker, i, err) : 0;

	if (!r && k->c->layers[i].blob >= 0)
		r = take_blob(k, i, err);
	if (r < 0)
		error_prepend(err, "layer %zu", i);
	return r;
}

static int take_layers(struct taking *k, struct cairn_error *err)
{
	const struct container *c = k->c;
	int r = parallel_for(MAX(c->t->options->jobs, 1u), c->pull.nr_layers, take_one, k);

	for (size_t i = 0; r < 0 && i < c->pull.nr_layers; i++) {
		if (!c->layers[i].error.code)
			continue;
		if (err)
			*err = c->layers[i].error;
		return c->layers[i].error.code;
	}
	return r < 0 ? error_errno(err, r, "container image") : 0;
}

static int name_layers(struct container *c, struct names_batch *names, struct cairn_error *err)
{
	int r = 0;

	for (size_t i = 0; i < c->pull.nr_layers && !r; i++) {
		const struct pull_layer *l = &c->pull.layers[i];
		char name[LAYER_NAME_MAX];

		if (l->same_as == i && !l->known) {
			layer_stream_name(c->image->config->diff_ids[i], name);
			r = names_batch_entry(names, STORE_STREAMS, name, &l->stream, err);
			known_layers_add(c->known, c->image->config->diff_ids[i], &l->stream);
		}
		if (!r && l->blob.alg) {
			snprintf(name, sizeof(name), STORE_BLOB_PREFIX "%s",
				 c->image->manifest->parts[i].digest);
			r = names_batch_entry(names, STORE_STREAMS, name, &l->blob, err);
			c->t->result.blobs++;
		}
	}
	return r;
}

/* A seal is about one digest: in a store of the other algorithm it says nothing. */
static int take_seal(struct container *c, const struct cairn_digest *image,
		     struct names_batch *names, struct cairn_error *err)
{
	const struct cairn_digest *id = find_name(&c->manifest, PULL_SEAL_NAME);
	int fd cleanup_fd = -1, r;

	if (!id || c->t->alg != c->t->to->alg)
		return 0;
	fd = transfer_open(c->t, id, DOCUMENT_STREAM_MAX, false, err);
	r = fd < 0 ? fd : seal_take(fd, c->t->to, image, names, &c->seal, err);
	if (r < 0)
		error_prepend(err, "seal");
	c->t->result.sealed = !r;
	return r;
}

int container_take(struct container *c, const struct wants *w, const uint8_t *digests,
		   const struct cairn_digest *image, int format, const char *name,
		   struct names_batch *names, struct cairn_error *err)
{
	struct taking k = {c, w, digests};
	struct cairn_transfer_result *result = &c->t->result;
	int r = take_layers(&k, err);

	if (!r)
		r = name_layers(c, names, err);
	if (!r)
		r = take_seal(c, image, names, err);
	if (!r)
		r = pull_documents(&c->pull, c->t->to, image, format, c->seal.alg ? &c->seal : NULL,
				   name, names, err);
	if (r < 0)
		return r;
	known_layers_save(c->known);
	result->container = CAIRN_CONTAINER_BROUGHT;
	result->layers = c->pull.nr_layers;
	snprintf(result->manifest, sizeof(result->manifest), "%.135s", c->image->digest);
	return 0;
}
