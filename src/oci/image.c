/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* From a reference to a manifest and its config. */
#include "oci/image.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void oci_image_free(struct oci_image *image)
{
	if (!image)
		return;
	oci_document_free(image->manifest);
	oci_config_free(image->config);
	buf_fini(&image->manifest_bytes);
	buf_fini(&image->config_bytes);
	free(image);
}

static struct oci_image *new_image(struct source *source, struct cairn_error *err)
{
	struct oci_image *image = (struct oci_image *)calloc(1, sizeof(*image));

	if (!image) {
		error_errno(err, -ENOMEM, "image");
		return NULL;
	}
	image->source = source;
	image->manifest_bytes = BUF_INIT(OCI_DOCUMENT_MAX);
	image->config_bytes = BUF_INIT(OCI_DOCUMENT_MAX);
	return image;
}

/* The config, after the manifest. */
static int load_config(struct oci_image *image, struct cairn_error *err)
{
	const struct oci_document *m = image->manifest;
	int r;

	if (!m->is_image)
		return 0;
	r = oci_source_document(image->source, &m->config, "config", &image->config_bytes, err);
	if (r == 0)
		r = oci_config_parse(image->config_bytes.data, image->config_bytes.len,
				     &image->config, err);
	if (r < 0)
		return r;
	if (image->config->nr_diff_ids != m->nr_parts)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "the manifest has %zu layers, the config %zu", m->nr_parts,
				 image->config->nr_diff_ids);
	return 0;
}

/* Follows indexes from *@top down to a manifest, whose bytes are then in *@top. */
static int descend(struct source *source, struct source_top *top,
		   const struct oci_platform *platform, struct oci_document **ret,
		   struct cairn_error *err)
{
	char name[OCI_PLATFORM_TEXT_MAX];

	for (unsigned int depth = 0; depth <= OCI_NESTED_MAX; depth++) {
		struct oci_document *doc cleanup(oci_document) = NULL;
		struct buf bytes cleanup_buf = BUF_INIT(OCI_DOCUMENT_MAX);
		const struct oci_descriptor *d;
		int r = oci_document_parse(top->bytes.data, top->bytes.len, top->media_type, &doc,
					   err);

		if (r < 0)
			return r;
		if (doc->kind == OCI_KIND_MANIFEST) {
			*ret = take_ptr(doc);
			return 0;
		}
		d = oci_platform_choose(doc, platform);
		if (!d)
			return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
					 "there is no image for %s in it",
					 oci_platform_format(platform, name));
		r = oci_source_document(source, d, "manifest", &bytes, err);
		if (r < 0)
			return r;
		snprintf(top->digest, sizeof(top->digest), "%s", d->digest);
		free(top->media_type);
		top->media_type = strdup(d->media_type);
		buf_fini(&top->bytes);
		top->bytes = bytes;
		bytes = BUF_INIT(0);
	}
	return error_set(err, -ELOOP, CAIRN_ERROR_FORMAT, "indexes are nested deeper than %u",
			 OCI_NESTED_MAX);
}

static int check_platform(const struct oci_image *image, const struct oci_platform *platform,
			  struct cairn_error *err)
{
	char wanted[OCI_PLATFORM_TEXT_MAX], found[OCI_PLATFORM_TEXT_MAX];

	if (!image->config || oci_platform_rank(&image->config->platform, platform))
		return 0;
	return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM, "the image is for %s, not %s",
			 oci_platform_format(&image->config->platform, found),
			 oci_platform_format(platform, wanted));
}

int oci_image_open(struct source *source, const struct oci_platform *platform,
		   bool platform_required, struct oci_image **ret, struct cairn_error *err)
{
	struct oci_image *image cleanup(oci_image) = new_image(source, err);
	struct source_top top cleanup_source_top = SOURCE_TOP_INIT;
	int r;

	if (!image)
		return -ENOMEM;
	r = source->ops->top(source, &top, err);
	if (r < 0)
		return r;
	memcpy(image->top_digest, top.digest, sizeof(top.digest));
	r = descend(source, &top, platform, &image->manifest, err);
	if (r < 0)
		return r;
	memcpy(image->digest, top.digest, sizeof(top.digest));
	image->manifest_bytes = top.bytes;
	top.bytes = BUF_INIT(0);
	r = load_config(image, err);
	if (r == 0 && platform_required)
		r = check_platform(image, platform, err);
	if (r < 0)
		return r;
	*ret = take_ptr(image);
	return 0;
}

int oci_image_open_manifest(struct source *source, const struct oci_descriptor *d,
			    struct oci_image **ret, struct cairn_error *err)
{
	struct oci_image *image cleanup(oci_image) = new_image(source, err);
	int r;

	if (!image)
		return -ENOMEM;
	r = oci_source_document(source, d, "manifest", &image->manifest_bytes, err);
	if (r == 0)
		r = oci_document_parse(image->manifest_bytes.data, image->manifest_bytes.len,
				       d->media_type, &image->manifest, err);
	if (r < 0)
		return r;
	if (image->manifest->kind != OCI_KIND_MANIFEST)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: not a manifest", d->digest);
	snprintf(image->digest, sizeof(image->digest), "%s", d->digest);
	snprintf(image->top_digest, sizeof(image->top_digest), "%s", d->digest);
	r = load_config(image, err);
	if (r < 0)
		return r;
	*ret = take_ptr(image);
	return 0;
}

int oci_index_open(struct source *source, struct source_top *top, struct oci_document **ret,
		   struct cairn_error *err)
{
	struct oci_document *doc cleanup(oci_document) = NULL;
	int r = source->ops->top(source, top, err);

	if (r == 0)
		r = oci_document_parse(top->bytes.data, top->bytes.len, top->media_type, &doc, err);
	if (r < 0 || doc->kind != OCI_KIND_INDEX)
		return r;
	*ret = take_ptr(doc);
	return 1;
}

int oci_chain_id(const struct oci_config *config, size_t n, char out[OCI_DIGEST_MAX])
{
	char both[2 * OCI_DIGEST_MAX];
	int r = 0;

	if (n >= config->nr_diff_ids)
		return -EINVAL;
	snprintf(out, OCI_DIGEST_MAX, "%s", config->diff_ids[0]);
	for (size_t i = 1; i <= n && r == 0; i++) {
		snprintf(both, sizeof(both), "%s %s", out, config->diff_ids[i]);
		r = oci_hash_data(NULL, both, strlen(both), out);
	}
	return r;
}
