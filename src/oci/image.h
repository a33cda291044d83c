/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A container image that was found: its manifest, config and layers, read and checked, nothing of the layers
 * fetched yet.
 */
#ifndef OCI_IMAGE_H
#define OCI_IMAGE_H

#include "oci/source.h"

struct oci_image {
	struct source *source;       /* borrowed */
	char digest[OCI_DIGEST_MAX]; /* of the manifest */
	char top_digest
		[OCI_DIGEST_MAX]; /* of what the reference names: the manifest, or an index */
	struct buf manifest_bytes, config_bytes; /* as received */
	struct oci_document *manifest;
	struct oci_config *config; /* NULL: an artifact, whose config means nothing to us */
};

/* Resolves what the reference of @source names for @platform. When @platform_required, an image whose config
 * is for another platform is refused (an index entry that lies, or a single image for another machine).
 * Returns 0; -ENOENT, -EINVAL (FORMAT), -EILSEQ (DIGEST), -ENOTSUP (UNSUPPORTED) or another negative errno. */
int oci_image_open(struct source *source, const struct oci_platform *platform,
		   bool platform_required, struct oci_image **ret, struct cairn_error *err);

/* The same of the manifest @d (an entry of an index). */
int oci_image_open_manifest(struct source *source, const struct oci_descriptor *d,
			    struct oci_image **ret, struct cairn_error *err);
void oci_image_free(struct oci_image *image);
DEFINE_CLEANUP(struct oci_image *, oci_image, oci_image_free)

/* Of what the reference names: the index, when it is one, for --all-platforms. Returns 1 with *@ret; 0: it is a
 * single image; or a negative errno. @top keeps the bytes. */
int oci_index_open(struct source *source, struct source_top *top, struct oci_document **ret,
		   struct cairn_error *err);

/* ChainID of layers 0 to @n (oci-image.md §8). */
int oci_chain_id(const struct oci_config *config, size_t n, char out[OCI_DIGEST_MAX]);

#endif
