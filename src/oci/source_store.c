/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A container image that a store has: by its tag, manifest and config from their split streams, layers as the
 * tars that they are put together to again; blobs where those were kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "oci/push.h"
#include "oci/layer_import.h"
#include "oci/toc.h"
#include "store/names.h"
#include "store/splitstream.h"
#include "tree/tree.h"

struct stored_image {
	struct source source;
	const struct cairn_store *store;
	char digest[OCI_DIGEST_MAX]; /* of the manifest */
};

struct collect {
	const struct cairn_store *store;
	struct buf *to;
	struct cairn_error *err;
};

static int take(void *arg, const void *data, unsigned long size)
{
	return buf_put(((struct collect *)arg)->to, data, size);
}

static int take_bytes(void *arg, const void *data, size_t size)
{
	return buf_put(((struct collect *)arg)->to, data, size);
}

static int64_t take_object(void *arg, const struct cairn_digest *id)
{
	struct collect *c = (struct collect *)arg;
	char path[OBJECT_PATH_MAX];
	size_t before = c->to->len;
	int r;

	object_path(path, id->bytes, cairn_digest_size((enum cairn_alg)id->alg));
	r = store_read_object(c->store, path, id, take, c, c->err);
	return r < 0 ? r : (int64_t)(c->to->len - before);
}

int store_open_stream(const struct cairn_store *store, const char *name, struct cairn_error *err)
{
	char path[OBJECT_PATH_MAX];
	struct cairn_digest id;
	int r = store_entry(store, STORE_STREAMS, name, &id, err);

	if (r < 0)
		return r;
	object_path(path, id.bytes, cairn_digest_size((enum cairn_alg)id.alg));
	return store_open_object(store, path, err);
}

int store_read_stream(const struct cairn_store *store, const char *name, size_t max,
		      struct buf *ret, struct cairn_error *err)
{
	struct collect c = {store, ret, err};
	const struct splitstream_sink sink = {take_bytes, take_object, &c};
	struct splitstream *s cleanup(splitstream) = NULL;
	int fd cleanup_fd = store_open_stream(store, name, err), r;

	if (fd < 0)
		return fd;
	r = splitstream_open(fd, store->alg, &s, err);
	if (r < 0)
		return r;
	if (splitstream_size(s) > max)
		return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
				 "%s: %llu bytes, at most %zu are accepted", name,
				 (unsigned long long)splitstream_size(s), max);
	ret->len = 0;
	return splitstream_read(s, &sink, err);
}

struct only {
	struct cairn_digest id;
	unsigned int nr;
};

static int take_only(void *arg, const struct cairn_digest *id)
{
	struct only *o = (struct only *)arg;

	o->id = *id;
	o->nr++;
	return 0;
}

int store_open_blob(const struct cairn_store *store, const char *digest, struct cairn_error *err)
{
	struct splitstream *s cleanup(splitstream) = NULL;
	char name[OCI_DIGEST_MAX + 16], path[OBJECT_PATH_MAX];
	struct only only = {0};
	int fd cleanup_fd = -1, r;

	snprintf(name, sizeof(name), STORE_BLOB_PREFIX "%s", digest);
	fd = store_open_stream(store, name, err);
	if (fd < 0)
		return fd;
	r = splitstream_open(fd, store->alg, &s, err);
	if (r == 0)
		r = splitstream_refs(s, SPLITSTREAM_OBJECTS, take_only, &only, err);
	if (r < 0)
		return r;
	if (only.nr != 1)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: not one blob", name);
	object_path(path, only.id.bytes, cairn_digest_size((enum cairn_alg)only.id.alg));
	return store_open_object(store, path, err);
}

/* --- the image of a tag ---------------------------------------------------------------------- */

struct names_of {
	struct cairn_digest config, v1, v2;
};

static int take_name(void *arg, const char *name, size_t len, const struct cairn_digest *id)
{
	struct names_of *n = (struct names_of *)arg;

	(void)len;
	if (!strncmp(name, "config:", 7))
		n->config = *id;
	else if (!strcmp(name, "composefs.image.v1"))
		n->v1 = *id;
	else if (!strcmp(name, "composefs.image"))
		n->v2 = *id;
	return 0;
}

static int read_names(const struct cairn_store *store, int fd, struct names_of *ret,
		      struct cairn_error *err)
{
	struct splitstream *s cleanup(splitstream) = NULL;
	int r = splitstream_open(fd, store->alg, &s, err);

	return r < 0 ? r : splitstream_named(s, take_name, ret, err);
}

int store_tag_image(const struct cairn_store *store, const char *tag, struct cairn_digest *ret,
		    struct cairn_error *err)
{
	char name[STORE_REF_MAX + 1], entry[STORE_NAME_MAX + 1], path[OBJECT_PATH_MAX];
	struct names_of names = {0};
	int manifest cleanup_fd = -1, config cleanup_fd = -1, r;

	if (store_tag_entry(tag, name, NULL) < 0)
		return -ENOENT;
	r = store_ref(store, STORE_STREAMS, name, entry, err);
	if (r < 0)
		return r;
	manifest = store_open_stream(store, entry, err);
	r = manifest < 0 ? manifest : read_names(store, manifest, &names, err);
	if (r < 0 || !names.config.alg)
		return r < 0 ? r : -ENOENT;
	object_path(path, names.config.bytes, cairn_digest_size((enum cairn_alg)names.config.alg));
	config = store_open_object(store, path, err);
	r = config < 0 ? config : read_names(store, config, &names, err);
	if (!r && !names.v1.alg && !names.v2.alg)
		r = -ENOENT;
	if (!r)
		*ret = names.v1.alg ? names.v1 : names.v2;
	return r;
}

/* --- as a source ----------------------------------------------------------------------------- */

static int store_top(struct source *source, struct source_top *ret, struct cairn_error *err)
{
	const struct stored_image *s = (const struct stored_image *)source;
	char name[OCI_DIGEST_MAX + 16], found[OCI_DIGEST_MAX];
	int r;

	if (!*s->digest)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "store: an image must be named, as in store:NAME");
	snprintf(name, sizeof(name), "oci-manifest-%s", s->digest);
	r = store_read_stream(s->store, name, OCI_DOCUMENT_MAX, &ret->bytes, err);
	if (r == 0)
		r = oci_hash_data(s->digest, ret->bytes.data, ret->bytes.len, found);
	if (r == 0 && strcmp(found, s->digest))
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "%s: it has digest %s", name,
			      found);
	memcpy(ret->digest, s->digest, sizeof(ret->digest));
	return r;
}

static int store_document(struct source *source, const struct oci_descriptor *d, struct buf *ret,
			  struct cairn_error *err)
{
	struct stored_image *s = (struct stored_image *)source;
	char name[OCI_DIGEST_MAX + 16];

	snprintf(name, sizeof(name), "oci-%s-%s",
		 oci_kind_of(d->media_type) == OCI_KIND_CONFIG ? "config" : "manifest", d->digest);
	return store_read_stream(s->store, name, OCI_DOCUMENT_MAX, ret, err);
}

int store_layer_missing(const struct cairn_store *store, const struct oci_descriptor *layer,
			struct cairn_error *err)
{
	char key[TOC_KEY_MAX], name[LAYER_NAME_MAX];
	struct cairn_digest id;

	if (!toc_key_of(layer, key))
		return error_errno(err, -ENOENT, "%s", layer->digest);
	layer_stream_name(key, name);
	if (store_entry(store, STORE_STREAMS, name, &id, NULL) < 0)
		return error_errno(err, -ENOENT, "%s", layer->digest);
	return error_set(
		err, -ENOENT, CAIRN_ERROR_SYSTEM,
		"%s: the store has it by its table of contents alone, not its tar; pull it "
		"again without --partial=table",
		layer->digest);
}

static int store_blob(struct source *source, const struct oci_descriptor *d, source_fn fn,
		      void *arg, struct cairn_error *err)
{
	(void)fn;
	(void)arg;
	return store_layer_missing(((struct stored_image *)source)->store, d, err);
}

static int give_layer(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	const struct source_sink *sink = (const struct source_sink *)arg;

	return sink->bytes(sink->arg, data, size, err);
}

static int store_layer(struct source *source, const char *diff_id, const struct source_sink *sink,
		       struct cairn_error *err)
{
	const struct stored_image *s = (const struct stored_image *)source;
	char name[LAYER_NAME_MAX];
	int fd cleanup_fd = -1;

	layer_stream_name(diff_id, name);
	fd = store_open_stream(s->store, name, err);
	if (fd == -ENOENT)
		return error_set(err, fd, CAIRN_ERROR_SYSTEM,
				 "the store has not its tar, perhaps for it was pulled with "
				 "--partial=table");
	if (fd < 0)
		return fd;
	return layer_export(s->store, fd, diff_id, give_layer, (void *)(uintptr_t)sink, err);
}

struct listing {
	int (*fn)(void *arg, const char *tag);
	void *arg;
};

static int list_tag(void *arg, const struct store_name *name)
{
	const struct listing *l = (const struct listing *)arg;
	char tag[STORE_REF_MAX + 1];

	return store_tag_of(name, tag) ? l->fn(l->arg, tag) : 0;
}

static int store_tags(struct source *source, int (*fn)(void *arg, const char *tag), void *arg,
		      struct cairn_error *err)
{
	struct listing l = {fn, arg};

	return store_list_refs(((struct stored_image *)source)->store, STORE_STREAMS, list_tag, &l,
			       err);
}

static void store_free(struct source *source)
{
	free(source);
}

static const struct source_ops store_ops = {
	.top = store_top,
	.document = store_document,
	.blob = store_blob,
	.layer = store_layer,
	.tags = store_tags,
	.free = store_free,
};

/* Which manifest the name @tag is, into s->digest. */
static int find_manifest(struct stored_image *s, const char *tag, struct cairn_error *err)
{
	char name[STORE_REF_MAX + 1], entry[STORE_NAME_MAX + 1] = "";
	int r = store_tag_entry(tag, name, err);

	if (r == 0)
		r = store_ref(s->store, STORE_STREAMS, name, entry, err);
	/* Many a tag looks like a digest: "name:tag". */
	if (r == -ENOENT && oci_digest_is_valid(tag))
		r = snprintf(entry, sizeof(entry), "oci-manifest-%.*s", OCI_DIGEST_MAX, tag) < 0;
	if (r == -ENOENT)
		return error_set(err, r, CAIRN_ERROR_SYSTEM,
				 "%s: no container image of that name is in the store", tag);
	if (r == 0 && (strncmp(entry, "oci-manifest-", 13) || !oci_digest_is_valid(entry + 13)))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: names '%s', not a manifest",
				 tag, entry);
	if (r == 0)
		snprintf(s->digest, sizeof(s->digest), "%s", entry + 13);
	return r;
}

int oci_source_store_open(const struct cairn_store *store, const char *tag, struct source **ret,
			  struct cairn_error *err)
{
	struct stored_image *s;
	int r;

	if (!store)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "store:%s: only what looks into a store can find it",
				 tag ? tag : "");
	s = (struct stored_image *)calloc(1, sizeof(*s));
	if (!s)
		return error_errno(err, -ENOMEM, "store");
	s->source.ops = &store_ops;
	s->source.name = strdup(tag ? tag : "store:");
	s->store = store;
	r = tag ? find_manifest(s, tag, err) : 0;
	if (r < 0) {
		oci_source_free(&s->source);
		return r;
	}
	*ret = &s->source;
	return 0;
}
