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

#include "oci/match.h"
#include "tar/layer.h"
#include "transfer/container-internal.h"

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

const struct cairn_digest *find_name(const struct names *n, const char *text)
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
	bool layers = m->is_image && m->nr_parts <= LAYERS_MAX;
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
	c->pull.layers = (struct pull_layer *)calloc(nr + 1, sizeof(*c->pull.layers));
	c->layers = (struct layer *)calloc(nr + 1, sizeof(*c->layers));
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
	const struct tree *const *layers = (const struct tree *const *)trees;
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
