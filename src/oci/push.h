/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Container images out of a store, to a registry or an OCI layout.
 *
 * A layer goes out as it came where the other side has that blob already, or it was kept, or it was plain. Else
 * its tar is put together again, exactly, and compressed as zstd:chunked: then its digest and the manifest's
 * are others, its diff_id and the config are the same.
 */
#ifndef OCI_PUSH_H
#define OCI_PUSH_H

#include <cairn/oci.h>

#include "oci/image.h"
#include "oci/registry.h"
#include "store/names.h"

#define STORE_BLOB_PREFIX "oci-blob-"

/* --- from the store -------------------------------------------------------------------------- */

/* The image that the config of the container image @tag refers to. Returns 0; -ENOENT: no such tag, or no such image;
 * or another negative errno. */
int store_tag_image(const struct cairn_store *store, const char *tag, struct cairn_digest *ret,
		    struct cairn_error *err);

/* Opens the split stream that has the entry @name. Returns a descriptor or -ENOENT … */
int store_open_stream(const struct cairn_store *store, const char *name, struct cairn_error *err);

/* Calls @fn for each of @diff_ids[0..@nr) that the store has as a layer, with a @tag of NULL, and for each tag of
 * an image that has it. Returns 0, what @fn returned below 0, or a negative errno. */
typedef int (*layer_user_fn)(void *arg, size_t i, const char *tag);
int store_layer_users(const struct cairn_store *store, const char *const *diff_ids, size_t nr,
		      layer_user_fn fn, void *arg, struct cairn_error *err);

/* The words for a layer whose tar the store has not. Returns -ENOENT. */
int store_layer_missing(const struct cairn_store *store, const struct oci_descriptor *layer,
			struct cairn_error *err);

/* All of the split stream with the entry @name, at most @max bytes, in place of what is in @ret. */
int store_read_stream(const struct cairn_store *store, const char *name, size_t max,
		      struct buf *ret, struct cairn_error *err);

/* Writes what was given to @w as a split stream. It is durable with the store. */
struct splitwriter;
int store_put_stream(struct cairn_store *store, struct splitwriter *w, struct cairn_digest *ret,
		     struct cairn_error *err);

/* The file with a blob that was kept. Returns a descriptor or -ENOENT. */
int store_open_blob(const struct cairn_store *store, const char *digest, struct cairn_error *err);

/* --- where to -------------------------------------------------------------------------------- */

struct dest;

/* Any number of threads may call all but manifest() at once. */
struct dest_ops {
	/* Whether it has the blob. Returns 1, 0 or a negative errno. */
	int (*has)(struct dest *d, const char *digest, uint64_t size, struct cairn_error *err);

	/* Takes the blob from the repository @from of the same place. Returns 1; 0: it cannot, or has it not; or a
	 * negative errno. NULL: it never can. */
	int (*mount)(struct dest *d, const char *digest, const char *from, struct cairn_error *err);

	/* Takes the blob: all @size bytes of the file @fd. */
	int (*blob)(struct dest *d, const char *digest, uint64_t size, int fd,
		    struct cairn_error *err);

	/* Takes a manifest, whose blobs it has; with @tag under that name. @subject: it refers to that manifest,
	 * NULL: to none; @artifact_type: then the type that a list of referrers tells. */
	int (*manifest)(struct dest *d, const struct buf *bytes, const char *media_type,
			const char *digest, const char *tag, const char *subject,
			const char *artifact_type, struct cairn_error *err);
	void (*free)(struct dest *d);
};

struct dest {
	const struct dest_ops *ops;
};

/* @ref: a registry or a layout. */
int dest_open(const struct oci_reference *ref, const struct registry_options *options,
	      struct dest **ret, struct cairn_error *err);
void dest_free(struct dest *d);
DEFINE_CLEANUP(struct dest *, dest, dest_free)

int dest_registry_open(const struct oci_reference *ref, const struct registry_options *options,
		       struct dest **ret, struct cairn_error *err);
int dest_layout_open(const struct oci_reference *ref, struct dest **ret, struct cairn_error *err);

/* Takes bytes in memory as a blob. */
int dest_put_bytes(struct dest *d, const char *digest, const struct buf *bytes,
		   struct cairn_error *err);

/* --- pushing --------------------------------------------------------------------------------- */

/* Makes the media types of a manifest those of OCI. Returns 0 or -ENOMEM. */
struct json_t;
int manifest_to_oci(struct json_t *manifest);

struct push_result {
	char digest[OCI_DIGEST_MAX]; /* of the manifest over there */
	size_t layers, kept, made;   /* there already or as they came; compressed anew */
	size_t mounted;              /* of those that were kept: from another repository */
	uint64_t sent;               /* bytes of blobs */
};

struct push_options {
	int level;         /* of what is compressed anew; 0: CHUNKED_LEVEL_DEFAULT */
	unsigned int jobs; /* layers at once; 0: 1 */
	/* For each layer another repository of the same registry that may have its blob; NULL: none is known. */
	const char *const *from;
	bool (*cancelled)(void *arg); /* asked by any thread; may be NULL */
	void *cancelled_arg;
};

/* @image: of oci_source_store_open(). @tag: the name over there, NULL: none. */
int push_image(const struct oci_image *image, struct cairn_store *store, struct dest *dest,
	       const char *tag, const struct push_options *options, struct push_result *ret,
	       struct cairn_error *err);

#endif
