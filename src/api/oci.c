/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The public functions that look at container images. */
#include <errno.h>
#include <string.h>

#include "api/oci-internal.h"
#include "oci/push.h"

#define REF_NAME       "org.opencontainers.image.ref.name"
#define CHUNKED        "io.github.containers.zstd-chunked.manifest-checksum"
#define CHUNKED_LEGACY "io.containers.zstd-chunked.manifest-checksum"
#define ESTARGZ        "containerd.io/snapshot/stargz/toc.digest"

void cairn_oci_close(struct cairn_oci *oci)
{
	if (!oci)
		return;
	oci_image_free(oci->image);
	oci_source_free(oci->source);
	oci_reference_fini(&oci->ref);
	oci_context_fini(&oci->context);
	free(oci->reference);
	free(oci);
}

DEFINE_CLEANUP(struct cairn_oci *, cairn_oci, cairn_oci_close)

static int find_storage(const struct cairn_oci_options *o, char **ret, struct cairn_error *err)
{
	if (!o)
		return 0;
	*ret = o->storage_dir ? strdup(o->storage_dir) : NULL;
	return o->storage_conf ? oci_storage_root(o->storage_conf, ret, err) : 0;
}

static int open_source(const char *reference, const struct cairn_oci_options *options,
		       struct cairn_oci **ret, struct cairn_error *err)
{
	struct cairn_oci *oci cleanup(cairn_oci) = (struct cairn_oci *)calloc(1, sizeof(*oci));
	int r;

	if (!oci)
		return error_errno(err, -ENOMEM, "%s", reference);
	r = oci_reference_parse(reference, &oci->ref, err);
	if (r == 0)
		r = oci_context_init(&oci->context, options, err);
	if (r < 0)
		return r;
	if (oci->ref.transport == OCI_STORAGE && !oci->ref.path)
		r = find_storage(options, &oci->ref.path, err);
	if (r < 0)
		return r;
	oci->reference = oci_reference_format(&oci->ref);
	r = oci->reference ? oci_source_open(&oci->ref, &oci->context.registry,
					     options ? options->store : NULL, &oci->source, err)
			   : error_errno(err, -ENOMEM, "%s", reference);
	if (r < 0)
		return r;
	*ret = take_ptr(oci);
	return 0;
}

int cairn_oci_open(const char *reference, const struct cairn_oci_options *options,
		   struct cairn_oci **ret, struct cairn_error *err)
{
	struct cairn_oci *oci cleanup(cairn_oci) = NULL;
	int r = open_source(reference, options, &oci, err);

	if (r == 0)
		r = oci_image_open(oci->source, &oci->context.platform, oci->context.platform_given,
				   &oci->image, err);
	if (r < 0)
		return r;
	if (oci->image->config)
		oci_platform_format(&oci->image->config->platform, oci->platform);
	*ret = take_ptr(oci);
	return 0;
}

void cairn_oci_info(const struct cairn_oci *oci, struct cairn_oci_info *ret)
{
	const struct oci_image *image = oci->image;
	const struct oci_document *m = image->manifest;

	*ret = (struct cairn_oci_info){
		.reference = oci->reference,
		.digest = image->digest,
		.top_digest = image->top_digest,
		.media_type = m->media_type,
		.config_digest = m->config.digest,
		.config_type = m->config.media_type,
		.platform = image->config ? oci->platform : NULL,
		.created = image->config ? image->config->created : NULL,
		.artifact_type = m->is_image        ? NULL
				 : m->artifact_type ? m->artifact_type
						    : m->config.media_type,
		.is_image = m->is_image,
		.nr_layers = m->nr_parts,
		.manifest = image->manifest_bytes.data,
		.manifest_size = image->manifest_bytes.len,
		.config = image->config ? image->config_bytes.data : NULL,
		.config_size = image->config ? image->config_bytes.len : 0,
	};
	for (size_t i = 0; i < m->nr_parts; i++)
		ret->size += m->parts[i].size;
}

static const char *compression_of(const struct oci_descriptor *d)
{
	if (oci_kind_of(d->media_type) != OCI_KIND_LAYER)
		return NULL;
	switch (oci_type_compression(d->media_type)) {
	case OCI_ZSTD:
		return oci_annotation(d, CHUNKED) || oci_annotation(d, CHUNKED_LEGACY)
			       ? "zstd:chunked"
			       : "zstd";
	case OCI_GZIP:
		return oci_annotation(d, ESTARGZ) ? "estargz" : "gzip";
	default:
		return "none";
	}
}

/* The entry of the history that made layer @i; entries without a layer do not count. */
static const char *created_by(const struct oci_config *config, size_t i)
{
	for (size_t k = 0; k < config->nr_history; k++) {
		if (!config->history[k].empty_layer && i-- == 0)
			return config->history[k].created_by;
	}
	return NULL;
}

int cairn_oci_layer(const struct cairn_oci *oci, size_t i, struct cairn_oci_layer *ret)
{
	const struct oci_document *m = oci->image->manifest;
	const struct oci_config *config = oci->image->config;
	const struct oci_descriptor *d;

	if (i >= m->nr_parts)
		return -EINVAL;
	d = &m->parts[i];
	*ret = (struct cairn_oci_layer){
		.digest = d->digest,
		.media_type = d->media_type,
		.size = d->size,
		.diff_id = config ? config->diff_ids[i] : NULL,
		.compression = compression_of(d),
		.created_by = config ? created_by(config, i) : NULL,
	};
	return 0;
}

/* --- listing --------------------------------------------------------------------------------- */

int cairn_oci_layer_by_table(const struct cairn_oci *oci, const struct cairn_store *store, size_t i)
{
	const struct oci_document *m = oci->image->manifest;
	char key[TOC_KEY_MAX], name[LAYER_NAME_MAX];
	struct cairn_digest id;

	if (i >= m->nr_parts)
		return -EINVAL;
	if (!toc_key_of(&m->parts[i], key))
		return 0;
	layer_stream_name(key, name);
	return store_entry(store, STORE_STREAMS, name, &id, NULL) == 0;
}

int cairn_oci_shared(const struct cairn_oci *oci, const struct cairn_store *store,
		     int (*fn)(void *arg, size_t layer, const char *tag), void *arg,
		     struct cairn_error *err)
{
	const struct oci_config *config = oci->image->config;

	return config ? store_layer_users(store, config->diff_ids, config->nr_diff_ids, fn, arg,
					  err)
		      : 0;
}

static int list_index(const struct oci_document *index, const char *tag,
		      int (*fn)(void *arg, const struct cairn_oci_entry *entry), void *arg)
{
	char platform[OCI_PLATFORM_TEXT_MAX];
	int r = 0;

	for (size_t i = 0; i < index->nr_parts && r == 0; i++) {
		const struct oci_descriptor *d = &index->parts[i];
		const char *name = oci_annotation(d, REF_NAME);
		const struct cairn_oci_entry entry = {
			.name = name ? name : tag,
			.digest = d->digest,
			.platform = d->has_platform ? oci_platform_format(&d->platform, platform)
						    : NULL,
			.media_type = d->media_type,
			.size = d->size,
		};

		r = fn(arg, &entry);
	}
	return r;
}

static int list_reference(struct cairn_oci *oci,
			  int (*fn)(void *arg, const struct cairn_oci_entry *entry), void *arg,
			  struct cairn_error *err)
{
	struct source_top top cleanup_source_top = SOURCE_TOP_INIT;
	struct oci_document *doc cleanup(oci_document) = NULL;
	struct cairn_oci_entry entry;
	int r = oci_index_open(oci->source, &top, &doc, err);

	if (r < 0)
		return r;
	if (r == 1)
		return list_index(doc, oci->ref.tag, fn, arg);
	r = oci_document_parse(top.bytes.data, top.bytes.len, top.media_type, &doc, err);
	if (r < 0)
		return r;
	entry = (struct cairn_oci_entry){
		.name = oci->ref.tag,
		.digest = top.digest,
		.media_type = doc->media_type,
		.size = top.bytes.len,
	};
	return fn(arg, &entry);
}

struct tags {
	int (*fn)(void *arg, const struct cairn_oci_entry *entry);
	void *arg;
};

static int one_tag(void *arg, const char *tag)
{
	const struct tags *t = (const struct tags *)arg;
	const struct cairn_oci_entry entry = {.name = tag};

	return t->fn(t->arg, &entry);
}

int cairn_oci_list(const char *reference, const struct cairn_oci_options *options,
		   int (*fn)(void *arg, const struct cairn_oci_entry *entry), void *arg,
		   struct cairn_error *err)
{
	struct cairn_oci *oci cleanup(cairn_oci) = NULL;
	struct tags tags = {fn, arg};
	int r = open_source(reference, options, &oci, err);
	const struct source_ops *ops;

	if (r < 0)
		return r;
	ops = oci->source->ops;
	if (ops->tags && oci->ref.tag_implied)
		return ops->tags(oci->source, one_tag, &tags, err);
	if (ops->index && !oci->ref.tag && !oci->ref.digest)
		return list_index(ops->index(oci->source), NULL, fn, arg);
	return list_reference(oci, fn, arg, err);
}
