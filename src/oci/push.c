/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* An image out of the store. */
#include "oci/push.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "oci/chunked_write.h"
#include "oci/json.h"
#include "oci/layer_import.h"
#include "sys/io.h"
#include "sys/pending.h"

#define PREFIX "io.github.containers.zstd-chunked."

struct push {
	const struct oci_image *image;
	struct cairn_store *store;
	struct dest *dest;
	int level;
	json_t *manifest; /* a copy that is changed; NULL: nothing changed so far */
	struct push_result result;
};

/* --- layers ---------------------------------------------------------------------------------- */

static int open_layer(const struct push *p, const char *diff_id, struct cairn_error *err)
{
	char name[OCI_DIGEST_MAX + 16], path[OBJECT_PATH_MAX];
	struct cairn_digest id;
	int r;

	layer_stream_name(diff_id, name);
	r = store_entry(p->store, STORE_STREAMS, name, &id, err);
	if (r < 0)
		return r;
	object_path(path, id.bytes, cairn_digest_size((enum cairn_alg)id.alg));
	return store_open_object(p->store, path, err);
}

static int write_file(void *arg, const void *data, unsigned long size)
{
	return write_all(*(const int *)arg, data, size);
}

static int copy_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	int r = write_all(*(const int *)arg, data, size);

	return r < 0 ? error_errno(err, r, "write") : 0;
}

/* Compresses the layer into the file @fd. */
static int compress_layer(const struct push *p, int layer, const char *diff_id, int fd,
			  struct chunked_written *ret, struct cairn_error *err)
{
	struct chunked_writer *w cleanup(chunked_writer) = NULL;
	int r = chunked_writer_new(p->level, write_file, &fd, &w);

	if (r < 0)
		return error_errno(err, r, "compress");
	r = layer_export(p->store, layer, diff_id, chunked_writer_feed, w, err);
	return r < 0 ? r : chunked_writer_finish(w, ret, err);
}

/* The layer's descriptor in the changed manifest. */
static int change_layer(struct push *p, size_t i, const struct chunked_written *w)
{
	json_t *layer;

	if (!p->manifest)
		p->manifest = json_deep_copy(p->image->manifest->json);
	if (!p->manifest)
		return -ENOMEM;
	layer = json_array_get(json_object_get(p->manifest, "layers"), i);
	return json_object_set_new(layer, "mediaType", json_string(OCI_TYPE_LAYER "+zstd")) |
	       json_object_set_new(layer, "digest", json_string(w->digest)) |
	       json_object_set_new(layer, "size", json_integer((json_int_t)w->size)) |
	       json_object_set_new(layer, "annotations",
				   json_pack("{s:s,s:s,s:s}", PREFIX "manifest-checksum",
					     w->toc_digest, PREFIX "manifest-position",
					     w->toc_position, PREFIX "tarsplit-position",
					     w->split_position));
}

static int send_made(struct push *p, size_t i, struct cairn_error *err)
{
	const char *diff_id = p->image->config->diff_ids[i];
	struct pending file cleanup_pending = PENDING_INIT;
	struct chunked_written written;
	int layer cleanup_fd = open_layer(p, diff_id, err), r;

	if (layer < 0)
		return layer;
	r = pending_open(p->store->dirfd, ".tmp-push-", 0600, &file);
	if (r < 0)
		return error_errno(err, r, "%s", p->store->path);
	r = compress_layer(p, layer, diff_id, file.fd, &written, err);
	if (r == 0 && change_layer(p, i, &written) < 0)
		r = error_errno(err, -ENOMEM, "manifest");
	if (r == 0)
		r = p->dest->ops->has(p->dest, written.digest, written.size, err);
	if (r == 0) {
		p->result.sent += written.size;
		r = p->dest->ops->blob(p->dest, written.digest, written.size, file.fd, err);
	}
	p->result.made++;
	return MIN(r, 0);
}

/* A layer that was plain goes out as the tar that it is. */
static int send_plain(struct push *p, size_t i, struct cairn_error *err)
{
	const struct oci_descriptor *d = &p->image->manifest->parts[i];
	struct pending file cleanup_pending = PENDING_INIT;
	int layer cleanup_fd = open_layer(p, d->digest, err), r;

	if (layer < 0)
		return layer;
	r = pending_open(p->store->dirfd, ".tmp-push-", 0600, &file);
	if (r < 0)
		return error_errno(err, r, "%s", p->store->path);
	r = layer_export(p->store, layer, d->digest, copy_piece, &file.fd, err);
	if (r == 0)
		r = p->dest->ops->blob(p->dest, d->digest, d->size, file.fd, err);
	p->result.sent += d->size;
	p->result.kept++;
	return r;
}

static int send_layer(struct push *p, size_t i, struct cairn_error *err)
{
	const struct oci_descriptor *d = &p->image->manifest->parts[i];
	int r = p->dest->ops->has(p->dest, d->digest, d->size, err), blob cleanup_fd = -1;

	if (r != 0) {
		p->result.kept += r > 0;
		return MIN(r, 0);
	}
	blob = store_open_blob(p->store, d->digest, NULL);
	if (blob >= 0) {
		p->result.kept++;
		p->result.sent += d->size;
		return p->dest->ops->blob(p->dest, d->digest, d->size, blob, err);
	}
	if (!strcmp(d->digest, p->image->config->diff_ids[i]))
		return send_plain(p, i, err);
	return send_made(p, i, err);
}

/* --- the manifest ---------------------------------------------------------------------------- */

int manifest_to_oci(json_t *manifest)
{
	json_t *layers = json_object_get(manifest, "layers"), *layer;
	int r = json_object_set_new(manifest, "mediaType", json_string(OCI_TYPE_MANIFEST)) |
		json_object_set_new(json_object_get(manifest, "config"), "mediaType",
				    json_string(OCI_TYPE_CONFIG));

	for (size_t i = 0; (layer = json_array_get(layers, i)) != NULL; i++) {
		const char *type = json_string_value(json_object_get(layer, "mediaType"));
		enum oci_compression c = oci_type_compression(type);

		r |= json_object_set_new(layer, "mediaType",
					 json_string(c == OCI_ZSTD   ? OCI_TYPE_LAYER "+zstd"
						     : c == OCI_GZIP ? OCI_TYPE_LAYER "+gzip"
								     : OCI_TYPE_LAYER));
	}
	return r ? -ENOMEM : 0;
}

static int send_manifest(struct push *p, const char *tag, struct cairn_error *err)
{
	struct buf bytes cleanup_buf = BUF_INIT(OCI_DOCUMENT_MAX);
	const struct oci_document *m = p->image->manifest;
	char *text cleanup_free = NULL;

	if (!p->manifest) {
		memcpy(p->result.digest, p->image->digest, sizeof(p->result.digest));
		return p->dest->ops->manifest(p->dest, &p->image->manifest_bytes, m->media_type,
					      p->image->digest, tag, NULL, NULL, err);
	}
	/* zstd is of OCI alone, so the documents must be, too. */
	if (manifest_to_oci(p->manifest) < 0)
		return error_errno(err, -ENOMEM, "manifest");
	text = json_dumps(p->manifest, JSON_COMPACT);
	if (!text || buf_put(&bytes, text, strlen(text)) < 0 ||
	    oci_hash_data(NULL, bytes.data, bytes.len, p->result.digest) < 0)
		return error_errno(err, -ENOMEM, "manifest");
	return p->dest->ops->manifest(p->dest, &bytes, OCI_TYPE_MANIFEST, p->result.digest, tag,
				      NULL, NULL, err);
}

int push_image(const struct oci_image *image, struct cairn_store *store, struct dest *dest,
	       const char *tag, int level, struct push_result *ret, struct cairn_error *err)
{
	struct push p = {.image = image,
			 .store = store,
			 .dest = dest,
			 .level = level ? level : CHUNKED_LEVEL_DEFAULT,
			 .result = {.layers = image->manifest->nr_parts}};
	int r = 0;

	for (size_t i = 0; i < image->manifest->nr_parts && r == 0; i++) {
		r = send_layer(&p, i, err);
		if (r < 0)
			error_prepend(err, "layer %zu", i);
	}
	if (r == 0)
		r = dest_put_bytes(dest, image->manifest->config.digest, &image->config_bytes, err);
	if (r == 0)
		r = send_manifest(&p, tag, err);
	json_decref(p.manifest);
	if (r == 0)
		*ret = p.result;
	return r;
}
