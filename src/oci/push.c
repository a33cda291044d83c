/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* An image out of the store. */
#include "oci/push.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/parallel.h"
#include "oci/chunked_write.h"
#include "oci/json.h"
#include "oci/layer_import.h"
#include "sys/io.h"
#include "sys/pending.h"

#define PREFIX         "io.github.containers.zstd-chunked."
#define LAYERS_AT_ONCE 6u

/* What became of a layer. */
struct layer {
	size_t same_as; /* an earlier one with the same blob; or its own number */
	const char *
		from; /* another repository of the registry that may have the blob; NULL: none known */
	bool kept, made, mounted;
	uint64_t sent;
	struct chunked_written written; /* if it was made */
	struct cairn_error error;
};

struct push {
	const struct oci_image *image;
	struct cairn_store *store;
	struct dest *dest;
	const struct push_options *options;
	struct layer *layers;
	json_t *manifest; /* a copy that is changed; NULL: nothing changed */
	struct push_result result;
};

/* --- layers ---------------------------------------------------------------------------------- */

static int open_layer(const struct push *p, size_t i, struct cairn_error *err)
{
	char name[LAYER_NAME_MAX], path[OBJECT_PATH_MAX];
	struct cairn_digest id;
	int r;

	layer_stream_name(p->image->config->diff_ids[i], name);
	r = store_entry(p->store, STORE_STREAMS, name, &id, err);
	if (r == -ENOENT)
		return store_layer_missing(p->store, &p->image->manifest->parts[i], err);
	if (r < 0)
		return r;
	object_path(path, id.bytes, cairn_digest_size((enum cairn_alg)id.alg));
	return store_open_object(p->store, path, err);
}

/* A file that is filled, for as long as nobody cancels. */
struct filling {
	const struct push *p;
	int fd;
};

static int write_file(void *arg, const void *data, unsigned long size)
{
	const struct filling *f = (const struct filling *)arg;
	const struct push_options *o = f->p->options;

	return o->cancelled && o->cancelled(o->cancelled_arg) ? -ECANCELED
							      : write_all(f->fd, data, size);
}

static int copy_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	int r = write_file(arg, data, size);

	return r < 0 ? error_errno(err, r, "write") : 0;
}

/* Compresses the layer into the file @fd. */
static int compress_layer(const struct push *p, int layer, const char *diff_id, int fd,
			  struct chunked_written *ret, struct cairn_error *err)
{
	struct chunked_writer *w cleanup(chunked_writer) = NULL;
	struct filling filling = {p, fd};
	int r = chunked_writer_new(p->options->level ? p->options->level : CHUNKED_LEVEL_DEFAULT,
				   write_file, &filling, &w);

	if (r < 0)
		return error_errno(err, r, "compress");
	r = layer_export(p->store, layer, diff_id, chunked_writer_feed, w, err);
	return r < 0 ? r : chunked_writer_finish(w, ret, err);
}

static int send_made(struct push *p, size_t i, struct cairn_error *err)
{
	const char *diff_id = p->image->config->diff_ids[i];
	struct pending file cleanup_pending = PENDING_INIT;
	struct layer *l = &p->layers[i];
	int layer cleanup_fd = open_layer(p, i, err), r;

	if (layer < 0)
		return layer;
	r = pending_open(p->store->dirfd, ".tmp-push-", 0600, &file);
	if (r < 0)
		return error_errno(err, r, "%s", p->store->path);
	l->made = true;
	r = compress_layer(p, layer, diff_id, file.fd, &l->written, err);
	if (r == 0)
		r = p->dest->ops->has(p->dest, l->written.digest, l->written.size, err);
	if (r == 0) {
		l->sent = l->written.size;
		r = p->dest->ops->blob(p->dest, l->written.digest, l->written.size, file.fd, err);
	}
	return MIN(r, 0);
}

/* A layer that was plain goes out as the tar that it is. */
static int send_plain(struct push *p, size_t i, struct cairn_error *err)
{
	const struct oci_descriptor *d = &p->image->manifest->parts[i];
	struct pending file cleanup_pending = PENDING_INIT;
	struct filling filling = {.p = p};
	int layer cleanup_fd = open_layer(p, i, err), r;

	if (layer < 0)
		return layer;
	r = pending_open(p->store->dirfd, ".tmp-push-", 0600, &file);
	if (r < 0)
		return error_errno(err, r, "%s", p->store->path);
	filling.fd = file.fd;
	r = layer_export(p->store, layer, d->digest, copy_piece, &filling, err);
	if (r == 0)
		r = p->dest->ops->blob(p->dest, d->digest, d->size, file.fd, err);
	p->layers[i].sent = d->size;
	p->layers[i].kept = true;
	return r;
}

/* The cheapest way in which the blob gets there. */
static int send_layer(struct push *p, size_t i, struct cairn_error *err)
{
	const struct oci_descriptor *d = &p->image->manifest->parts[i];
	struct layer *l = &p->layers[i];
	int r = p->dest->ops->has(p->dest, d->digest, d->size, err), blob cleanup_fd = -1;

	if (r == 0 && l->from && p->dest->ops->mount) {
		r = p->dest->ops->mount(p->dest, d->digest, l->from, err);
		l->mounted = r > 0;
	}
	if (r != 0) {
		l->kept = r > 0;
		return MIN(r, 0);
	}
	blob = store_open_blob(p->store, d->digest, NULL);
	if (blob >= 0) {
		l->kept = true;
		l->sent = d->size;
		return p->dest->ops->blob(p->dest, d->digest, d->size, blob, err);
	}
	if (!strcmp(d->digest, p->image->config->diff_ids[i]))
		return send_plain(p, i, err);
	return send_made(p, i, err);
}

static int send_one(void *arg, unsigned int worker, size_t i)
{
	struct push *p = (struct push *)arg;
	struct layer *l = &p->layers[i];
	int r = l->same_as == i ? send_layer(p, i, &l->error) : 0;

	(void)worker;
	if (r < 0)
		error_prepend(&l->error, "layer %zu", i);
	return r;
}

static void set_same(struct push *p)
{
	const struct oci_descriptor *parts = p->image->manifest->parts;

	for (size_t i = 0; i < p->image->manifest->nr_parts; i++) {
		struct layer *l = &p->layers[i];

		for (l->same_as = 0; l->same_as < i; l->same_as++) {
			if (!strcmp(parts[l->same_as].digest, parts[i].digest))
				break;
		}
	}
}

static int send_layers(struct push *p, struct cairn_error *err)
{
	const size_t nr = p->image->manifest->nr_parts;
	int r;

	set_same(p);
	r = parallel_for(MIN(MAX(p->options->jobs, 1u), LAYERS_AT_ONCE), nr, send_one, p);
	for (size_t i = 0; r < 0 && i < nr; i++) {
		if (!p->layers[i].error.code)
			continue;
		if (err)
			*err = p->layers[i].error;
		return p->layers[i].error.code;
	}
	for (size_t i = 0; i < nr; i++) {
		const struct layer *l = &p->layers[p->layers[i].same_as];

		p->result.kept += l->kept;
		p->result.made += l->made;
		p->result.mounted += l->mounted && p->layers[i].same_as == i;
		p->result.sent += p->layers[i].sent;
	}
	return r < 0 ? error_errno(err, r, "push") : 0;
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

static int change_layer(json_t *layer, const struct chunked_written *w)
{
	return json_object_set_new(layer, "digest", json_string(w->digest)) |
	       json_object_set_new(layer, "mediaType", json_string(OCI_TYPE_LAYER "+zstd")) |
	       json_object_set_new(layer, "size", json_integer((json_int_t)w->size)) |
	       json_object_set_new(layer, "annotations",
				   json_pack("{s:s,s:s,s:s}", PREFIX "manifest-checksum",
					     w->toc_digest, PREFIX "manifest-position",
					     w->toc_position, PREFIX "tarsplit-position",
					     w->split_position));
}

/* Descriptors of the layers that were made, if there are any. zstd is of OCI alone, so then the documents must be,
 * too. */
static int change_manifest(struct push *p, struct cairn_error *err)
{
	int r = 0;

	if (!p->result.made)
		return 0;
	p->manifest = json_deep_copy(p->image->manifest->json);
	if (!p->manifest)
		return error_errno(err, -ENOMEM, "manifest");
	for (size_t i = 0; i < p->result.layers && r == 0; i++) {
		const struct layer *l = &p->layers[p->layers[i].same_as];
		json_t *list = json_object_get(p->manifest, "layers");

		if (l->made)
			r = change_layer(json_array_get(list, i), &l->written);
	}
	return r || manifest_to_oci(p->manifest) < 0 ? error_errno(err, -ENOMEM, "manifest") : 0;
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
	text = json_dumps(p->manifest, JSON_COMPACT);
	if (!text || buf_put(&bytes, text, strlen(text)) < 0 ||
	    oci_hash_data(NULL, bytes.data, bytes.len, p->result.digest) < 0)
		return error_errno(err, -ENOMEM, "manifest");
	return p->dest->ops->manifest(p->dest, &bytes, OCI_TYPE_MANIFEST, p->result.digest, tag,
				      NULL, NULL, err);
}

int push_image(const struct oci_image *image, struct cairn_store *store, struct dest *dest,
	       const char *tag, const struct push_options *options, struct push_result *ret,
	       struct cairn_error *err)
{
	struct push p = {.image = image,
			 .store = store,
			 .dest = dest,
			 .options = options,
			 .result = {.layers = image->manifest->nr_parts}};
	int r;

	p.layers = (struct layer *)calloc(p.result.layers + 1, sizeof(*p.layers));
	if (!p.layers)
		return error_errno(err, -ENOMEM, "push");
	for (size_t i = 0; options->from && i < p.result.layers; i++)
		p.layers[i].from = options->from[i];
	r = send_layers(&p, err);
	if (r == 0)
		r = dest_put_bytes(dest, image->manifest->config.digest, &image->config_bytes, err);
	if (r == 0)
		r = change_manifest(&p, err);
	if (r == 0)
		r = send_manifest(&p, tag, err);
	json_decref(p.manifest);
	free(p.layers);
	if (r == 0)
		*ret = p.result;
	return r;
}
