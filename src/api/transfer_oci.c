/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Container images that come along with their merged image (docs/design/fetch.md).
 *
 *  1. Nothing of what the other side's streams say of each other is taken over: manifest and config are known by
 *     their digests, layers by the diff_ids that the config names, and the streams of manifest and config
 *     are written anew here, with the names that were found to be true.
 *  2. The image must be the one that the layers make: that is found out from their streams, before anything large comes.
 *  3. A layer that the store knows is not read again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "api/transfer-internal.h"
#include "base/parallel.h"
#include "oci/keep.h"
#include "oci/known.h"
#include "oci/parts.h"
#include "oci/pull.h"
#include "oci/push.h"
#include "oci/seal.h"
#include "tar/layer.h"

#define DOCUMENT_STREAM_MAX ((uint64_t)64 << 20) /* bytes of the stream of a document: its names */
#define LAYER_STREAM_MAX    ((uint64_t)1 << 30)  /* of a layer's: headers and ids, compressed */
#define NAMES_MAX           4096 /* in one of them: three for each layer, and some */

struct name {
	char *text;
	struct cairn_digest id;
};

struct names {
	struct name *name;
	size_t nr;
};

/* A layer's stream over there, or here if it is known. */
struct layer {
	int fd;
	int blob; /* the stream of its blob; -1: none, or not needed */
	struct cairn_digest id;
	struct cairn_error error;
};

struct container {
	struct source source;
	struct transfer *t;
	struct cairn_digest stream; /* of the manifest, there */
	const char *digest;         /* that it must have; NULL: any */
	struct names manifest, config;
	struct oci_image *image;
	struct pull pull;
	struct layer *layers;
	struct known_layers *known;
	struct cairn_digest seal;
};

/* --- names in streams ------------------------------------------------------------------------ */

static int add_name(void *arg, const char *text, size_t len, const struct cairn_digest *id)
{
	struct names *n = (struct names *)arg;

	(void)len;
	if (!n->name)
		n->name = (struct name *)calloc(NAMES_MAX, sizeof(*n->name));
	if (!n->name)
		return -ENOMEM;
	if (n->nr == NAMES_MAX)
		return -EFBIG;
	n->name[n->nr].text = strdup(text);
	n->name[n->nr].id = *id;
	return n->name[n->nr++].text ? 0 : -ENOMEM;
}

static const struct cairn_digest *find_name(const struct names *n, const char *text)
{
	for (size_t i = 0; i < n->nr; i++)
		if (!strcmp(n->name[i].text, text))
			return &n->name[i].id;
	return NULL;
}

static void names_fini(struct names *n)
{
	for (size_t i = 0; i < n->nr; i++)
		free(n->name[i].text);
	free(n->name);
	*n = (struct names){0};
}

/* --- documents ------------------------------------------------------------------------------- */

static int collect(void *arg, const void *data, unsigned long size)
{
	return buf_put((struct buf *)arg, data, size);
}

/* Brings the one object that the stream is, and reads it. */
static int read_only_object(struct transfer *t, const struct splitstream *s, struct buf *ret,
			    struct cairn_error *err)
{
	cleanup_wants struct wants w = WANTS_INIT;
	cleanup_free uint8_t *digests = NULL;
	struct cairn_digest there, here;
	char path[OBJECT_PATH_MAX];
	uint64_t size;
	int r = parts_only(s, &there, &size, err);

	if (!r && size > OCI_DOCUMENT_MAX)
		r = error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
			      "%llu bytes, at most %u are accepted", (unsigned long long)size,
			      OCI_DOCUMENT_MAX);
	if (r < 0)
		return r;
	if (wants_add(&w, &there, size) < 0)
		return error_errno(err, -ENOMEM, "read a document");
	t->result.needed++;
	r = transfer_bring(t, &w, &digests, err);
	if (!r)
		r = transfer_map(t, &w, digests, &there, &here, err);
	if (r < 0)
		return r;
	(void)object_path(path, here.bytes, cairn_digest_size((enum cairn_alg)here.alg));
	ret->len = 0;
	return store_read_object(t->to, path, &here, collect, ret, err);
}

/* The document in the stream @id over there, and the names that the stream has. */
static int read_document(struct container *c, const struct cairn_digest *id, uint64_t type,
			 struct names *names, struct buf *ret, struct cairn_error *err)
{
	struct splitstream *s cleanup(splitstream) = NULL;
	int fd cleanup_fd = transfer_open(c->t, id, DOCUMENT_STREAM_MAX, false, err), r;

	if (fd < 0)
		return fd;
	r = parts_open(fd, c->t->alg, type, &s, err);
	if (r < 0)
		return r;
	names_fini(names);
	r = splitstream_named(s, add_name, names, err);
	if (r == -EFBIG)
		r = error_set(err, r, CAIRN_ERROR_FORMAT, "split stream: more than %d names",
			      NAMES_MAX);
	return r < 0 ? r : read_only_object(c->t, s, ret, err);
}

static int container_top(struct source *source, struct source_top *ret, struct cairn_error *err)
{
	struct container *c = (struct container *)source;
	int r = read_document(c, &c->stream, SPLITSTREAM_MANIFEST, &c->manifest, &ret->bytes, err);

	if (r == 0)
		r = oci_hash_data(c->digest, ret->bytes.data, ret->bytes.len, ret->digest);
	if (r == 0 && c->digest && strcmp(ret->digest, c->digest) != 0)
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			      "the manifest has digest %s, not %s", ret->digest, c->digest);
	return r;
}

static int container_document(struct source *source, const struct oci_descriptor *d,
			      struct buf *ret, struct cairn_error *err)
{
	struct container *c = (struct container *)source;
	char name[OCI_DIGEST_MAX + 16];
	const struct cairn_digest *id;

	snprintf(name, sizeof(name), "config:%s", d->digest);
	id = find_name(&c->manifest, name);
	if (!id)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "the manifest's stream does not name %s", d->digest);
	return read_document(c, id, SPLITSTREAM_CONFIG, &c->config, ret, err);
}

static const struct source_ops ops = {.top = container_top, .document = container_document};

/* --- opening --------------------------------------------------------------------------------- */

void container_free(struct container *c)
{
	if (!c)
		return;
	for (size_t i = 0; c->layers && i < c->pull.nr_layers; i++) {
		if (c->layers[i].fd >= 0)
			close(c->layers[i].fd);
		if (c->layers[i].blob >= 0)
			close(c->layers[i].blob);
	}
	free(c->layers);
	pull_fini(&c->pull);
	known_layers_free(c->known);
	oci_image_free(c->image);
	names_fini(&c->manifest);
	names_fini(&c->config);
	free(c);
}

/* Whether all that the manifest names are layers, and none is what only its table of contents says. */
static bool has_layers(const struct container *c)
{
	const struct oci_document *m = c->image->manifest;
	bool layers = m->is_image && m->nr_parts && m->nr_parts <= LAYERS_MAX;
	char key[TOC_KEY_MAX];

	for (size_t i = 0; layers && i < m->nr_parts; i++)
		layers = oci_kind_of(m->parts[i].media_type) == OCI_KIND_LAYER &&
			 !(toc_key_of(&m->parts[i], key) && find_name(&c->manifest, key));
	return layers;
}

int container_open(struct transfer *t, const struct cairn_digest *stream, const char *digest,
		   struct container **ret, struct cairn_error *err)
{
	struct container *c cleanup(container) = (struct container *)calloc(1, sizeof(*c));
	const struct oci_platform any = {0};
	size_t nr;
	int r;

	if (!c)
		return error_errno(err, -ENOMEM, "container image");
	c->source.ops = &ops;
	c->t = t;
	c->stream = *stream;
	c->digest = digest;
	r = oci_image_open(&c->source, &any, false, &c->image, err);
	if (r < 0)
		return r;
	c->digest = NULL; /* the caller's */
	if (!has_layers(c)) {
		t->result.container = CAIRN_CONTAINER_UNSUPPORTED;
		return 0;
	}
	nr = c->image->manifest->nr_parts;
	c->pull.layers = (struct pull_layer *)calloc(nr, sizeof(*c->pull.layers));
	c->layers = (struct layer *)calloc(nr, sizeof(*c->layers));
	if (!c->pull.layers || !c->layers)
		return error_errno(err, -ENOMEM, "container image");
	c->pull.image = c->image;
	c->pull.nr_layers = nr;
	for (size_t i = 0; i < nr; i++) {
		const char *const *ids = c->image->config->diff_ids;
		size_t *same = &c->pull.layers[i].same_as;

		c->layers[i].fd = c->layers[i].blob = -1;
		for (*same = 0; *same < i && strcmp(ids[*same], ids[i]) != 0; (*same)++)
			;
	}
	r = known_layers_open(t->to, &c->known, err);
	if (r < 0)
		return r;
	*ret = take_ptr(c);
	return 1;
}

struct cairn_digest container_image(const struct container *c)
{
	const struct cairn_digest *id = find_name(&c->config, "composefs.image.v1");

	if (!id)
		id = find_name(&c->config, "composefs.image");
	return id ? *id : (struct cairn_digest){0};
}

/* --- whether the layers make the image ------------------------------------------------------- */

/* The layer's stream: here, if it is known and its ids are of use; else there. */
static int open_layer(struct container *c, size_t i, struct cairn_error *err)
{
	const char *diff_id = c->image->config->diff_ids[i];
	struct pull_layer *l = &c->pull.layers[i];
	const struct cairn_digest *id;
	int fd = known_layer_open(c->known, diff_id, &l->stream, err);

	if (fd < 0 && fd != -ENOENT)
		return fd;
	l->known = fd >= 0;
	if (l->known && c->t->alg == c->t->to->alg) {
		c->layers[i].fd = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	id = find_name(&c->manifest, diff_id);
	if (!id)
		id = find_name(&c->config, diff_id);
	if (!id)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "the manifest's stream does not name layer %s", diff_id);
	c->layers[i].id = *id;
	c->layers[i].fd = transfer_open(c->t, id, LAYER_STREAM_MAX, true, err);
	return MIN(c->layers[i].fd, 0);
}

static int load_trees(const struct container *c, enum cairn_profile profile, struct tree **trees,
		      struct cairn_error *err)
{
	for (size_t i = 0; i < c->pull.nr_layers; i++) {
		size_t same = c->pull.layers[i].same_as;
		int r = same == i ? layer_load(c->layers[i].fd, profile, &trees[i], NULL, err) : 0;

		if (r < 0) {
			error_prepend(err, "layer %zu", i);
			return r;
		}
		trees[i] = trees[same];
	}
	return 0;
}

static int match(const struct container *c, enum cairn_profile profile, struct tree **trees,
		 const struct cairn_digest *digest, int format, struct cairn_error *err)
{
	const struct cairn_tree *const *layers =
		(const struct cairn_tree *const *)(const void *)trees;
	bool composefs = profile == CAIRN_PROFILE_COMPOSEFS;
	struct cairn_layer_rules rules;
	int r = load_trees(c, profile, trees, err);

	if (!r)
		r = layers_match(composefs ? layers : NULL, composefs ? NULL : layers,
				 c->pull.nr_layers, digest, format, &rules, err);
	for (size_t i = 0; i < c->pull.nr_layers; i++) {
		if (c->pull.layers[i].same_as == i)
			tree_free(trees[i]);
		trees[i] = NULL;
	}
	return r;
}

int container_makes(struct container *c, const struct cairn_digest *digest, int format,
		    struct cairn_error *err)
{
	struct tree **trees cleanup_free =
		(struct tree **)calloc(c->pull.nr_layers, sizeof(*trees));
	int r = trees ? 0 : error_errno(err, -ENOMEM, "container image");

	for (size_t i = 0; !r && i < c->pull.nr_layers; i++) {
		struct splitstream *s cleanup(splitstream) = NULL;

		if (c->pull.layers[i].same_as != i)
			continue;
		r = open_layer(c, i, err);
		if (!r)
			r = parts_open(c->layers[i].fd, c->t->alg, SPLITSTREAM_LAYER, &s, err);
		if (r < 0)
			error_prepend(err, "layer %zu", i);
	}
	if (!r)
		r = match(c, CAIRN_PROFILE_COMPOSEFS, trees, digest, format, err);
	if (!r)
		r = match(c, CAIRN_PROFILE_RUNTIME, trees, digest, format, err);
	if (!r)
		c->t->result.container = CAIRN_CONTAINER_OTHER;
	return r;
}

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
