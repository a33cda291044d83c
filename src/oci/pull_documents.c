/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Manifest and config in a store: split streams whose only part is the JSON, an object even when it is small.
 *
 * A layer without a diff_id that was computed is named by what vouches for it, "toc:…" (oci/toc.h).
 *
 *	oci-config-DIGEST	names: each diff_id → its layer; composefs.image, composefs.image.v1 → the image
 *	oci-manifest-DIGEST	names: config:DIGEST → the config; each diff_id → its layer; cairn.seal → its seal, if
 *				that was asked for (seal_store.c); cairn.blob:DIGEST → each blob that is kept
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "digest/verity.h"
#include "oci/pull.h"
#include "oci/push.h"
#include "store/names.h"
#include "store/splitstream.h"

#define NAME_MAX_LEN (OCI_DIGEST_MAX + 32)

static int collect(void *arg, const void *data, unsigned long size)
{
	return buf_put((struct buf *)arg, data, size);
}

static int put_object(struct cairn_store *store, const void *data, size_t size,
		      struct cairn_digest *ret, struct cairn_error *err)
{
	int r = verity_digest_data(data, size, CAIRN_ALG_BIT(store->alg), ret);

	if (r < 0)
		return error_errno(err, r, "hashing");
	r = store_put(store, ret, data, size, err);
	return MIN(r, 0);
}

int store_put_stream(struct cairn_store *store, struct splitwriter *w, struct cairn_digest *ret,
		     struct cairn_error *err)
{
	struct buf file cleanup_buf = BUF_INIT(SIZE_MAX / 4);

	if (splitwriter_finish(w, collect, &file) < 0)
		return error_errno(err, -ENOMEM, "split stream");
	return put_object(store, file.data, file.len, ret, err);
}

/* Writes the split stream that @w holds the names of, of the document @bytes. Frees @w. */
static int put_stream(struct cairn_store *store, struct splitwriter *w, const struct buf *bytes,
		      struct cairn_digest *ret, struct cairn_error *err)
{
	struct cairn_digest id;
	int r = put_object(store, bytes->data, bytes->len, &id, err);

	if (r == 0 && splitwriter_external(w, &id, bytes->len) < 0)
		r = error_errno(err, -ENOMEM, "split stream");
	if (r == 0)
		r = store_put_stream(store, w, ret, err);
	splitwriter_free(w);
	return r;
}

static const struct cairn_digest *stream_of(const struct pull *p, size_t i)
{
	return &p->layers[p->layers[i].same_as].stream;
}

/* Whether a layer before has that name already: one whose bytes are the same, or else claimed to be. */
static bool is_named(const struct pull *p, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (!strcmp(pull_layer_key(p, k), pull_layer_key(p, i)))
			return true;
	}
	return false;
}

static int name_layers(const struct pull *p, struct splitwriter *w)
{
	int r = 0;

	for (size_t i = 0; i < p->nr_layers && r == 0; i++) {
		if (!is_named(p, i))
			r = splitwriter_named(w, pull_layer_key(p, i), stream_of(p, i));
	}
	return r;
}

static int name_blobs(const struct pull *p, struct splitwriter *w)
{
	char name[NAME_MAX_LEN];
	int r = 0;

	for (size_t i = 0; i < p->nr_layers && r == 0; i++) {
		if (!p->layers[i].blob.alg)
			continue;
		snprintf(name, sizeof(name), PULL_BLOB_NAME "%s",
			 p->image->manifest->parts[i].digest);
		r = splitwriter_named(w, name, &p->layers[i].blob);
	}
	return r;
}

static int put_config(const struct pull *p, struct cairn_store *store,
		      const struct cairn_digest *image_digest, int format, struct cairn_digest *ret,
		      struct cairn_error *err)
{
	struct splitwriter *w;
	int r = splitwriter_new(store->alg, SPLITSTREAM_CONFIG, &w);

	if (r < 0)
		return error_errno(err, r, "config");
	r = name_layers(p, w);
	if (r == 0 && format == CAIRN_FORMAT_V2)
		r = splitwriter_named(w, "composefs.image", image_digest);
	else if (r == 0 && format == CAIRN_FORMAT_V1)
		r = splitwriter_named(w, "composefs.image.v1", image_digest);
	if (r < 0) {
		splitwriter_free(w);
		return error_errno(err, r, "config");
	}
	return put_stream(store, w, &p->image->config_bytes, ret, err);
}

static int put_manifest(const struct pull *p, struct cairn_store *store,
			const struct cairn_digest *config, const struct cairn_digest *seal,
			struct cairn_digest *ret, struct cairn_error *err)
{
	char name[NAME_MAX_LEN];
	struct splitwriter *w;
	int r = splitwriter_new(store->alg, SPLITSTREAM_MANIFEST, &w);

	if (r < 0)
		return error_errno(err, r, "manifest");
	snprintf(name, sizeof(name), "config:%s", p->image->manifest->config.digest);
	r = splitwriter_named(w, name, config);
	if (r == 0)
		r = name_layers(p, w);
	if (r == 0 && seal)
		r = splitwriter_named(w, PULL_SEAL_NAME, seal);
	if (r == 0)
		r = name_blobs(p, w);
	if (r < 0) {
		splitwriter_free(w);
		return error_errno(err, r, "manifest");
	}
	return put_stream(store, w, &p->image->manifest_bytes, ret, err);
}

static int set_tag(struct names_batch *names, const char *tag, const char *entry,
		   struct cairn_error *err)
{
	char name[STORE_REF_MAX + 1];

	int r = store_tag_entry(tag, name, err);

	return r < 0 ? r : names_batch_ref(names, STORE_STREAMS, name, entry, err);
}

int pull_documents(const struct pull *p, struct cairn_store *store,
		   const struct cairn_digest *image_digest, int format,
		   const struct cairn_digest *seal, const char *tag, struct names_batch *names,
		   struct cairn_error *err)
{
	struct cairn_digest config, manifest;
	char name[NAME_MAX_LEN];
	int r = put_config(p, store, image_digest, format, &config, err);

	if (r == 0)
		r = put_manifest(p, store, &config, seal, &manifest, err);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "oci-config-%s", p->image->manifest->config.digest);
	r = names_batch_entry(names, STORE_STREAMS, name, &config, err);
	snprintf(name, sizeof(name), "oci-manifest-%s", p->image->digest);
	if (r == 0)
		r = names_batch_entry(names, STORE_STREAMS, name, &manifest, err);
	if (r == 0 && tag)
		r = set_tag(names, tag, name, err);
	return r;
}
