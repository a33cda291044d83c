/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Bringing the layers and documents of an image into a store (repository.md §9).
 *
 *  1. A layer is known by its diff_id, which was computed here from its bytes: never because somebody
 *     wrote it under that name. Which split streams were verified so is kept in the store's own folder; one
 *     of another tool is read and hashed once.
 *     A layer that only its table of contents vouches for is known by that, and never by the diff_id that the
 *     config claims.
 *  2. Layers are fetched side by side, each byte once, and never lie anywhere as a whole.
 *  3. What is complete stays: a layer gets its name when it is durable, also when another one fails, so the next
 *     attempt goes on from there. Nothing else becomes visible before all is right.
 */
#ifndef OCI_PULL_H
#define OCI_PULL_H

#include <cairn/oci.h>

#include "oci/image.h"
#include "oci/layer_import.h"
#include "oci/toc.h"
#include "store/names.h"

struct pull_layer {
	struct tree *tree;          /* NULL: not read yet */
	struct cairn_digest stream; /* its split stream in the store; alg 0: none */
	struct cairn_digest blob;   /* the one of the blob, if that is kept; alg 0: it is not */
	size_t same_as;             /* an earlier layer that is the same one; or its own number */
	struct cairn_layer_stats stats;
	uint64_t size;                   /* bytes of the tar */
	uint64_t fetched, saved;         /* bytes that came over, and need not come over */
	uint64_t new_objects, new_bytes; /* that the store lacked */
	bool known;                      /* the store had it */
	char toc[TOC_KEY_MAX]; /* what vouches for it in place of its diff_id; "": that was computed */
	const char *
		whole; /* why it had to be fetched whole although tables may vouch; NULL: it had not */
};

struct pull_options {
	enum cairn_profile profile;
	struct cairn_store *store; /* NULL: only trees with digests */
	unsigned int algs;         /* digests of contents; the store's is among them */
	unsigned int jobs;         /* layers at once; 0: 1 */
	bool again;                /* fetch also what is known */
	bool keep_blobs;           /* and keep the blobs as they come */
	enum cairn_partial partial;
	struct names_batch *names; /* gets the names of what was read; NULL without a store */
	cairn_pull_progress_fn progress;
	void *progress_arg;
};

struct pull {
	const struct oci_image *image;
	struct pull_layer *layers;
	size_t nr_layers;
};

/* What a layer is called in the streams of config and manifest: its diff_id, or what vouches for it. */
const char *pull_layer_key(const struct pull *p, size_t i);

/* Reads all layers of @image. With a store the names of those that were read, also when something failed, are in
 * options->names, to be committed whatever becomes of the image. Returns 0 or a negative errno; -ENOSPC: they cannot fit, said before
 * anything is fetched. */
int pull_layers(const struct oci_image *image, const struct pull_options *options, struct pull *ret,
		struct cairn_error *err);
void pull_fini(struct pull *p);
#define cleanup_pull __attribute__((__cleanup__(pull_fini)))

/* Names in the stream of a manifest beside those of composefs-rs; the second with the digest of the blob behind. */
#define PULL_SEAL_NAME "cairn.seal"
#define PULL_BLOB_NAME "cairn.blob:"

/* Puts config and manifest into the store as split streams with their names, and lets the reference @tag (NULL:
 * none) of streams/refs/oci name the manifest. @image_digest, @format: the merged image that the config then
 * refers to. @seal: the stream of its seal that the manifest refers to; NULL: none. The names go to @names. */
int pull_documents(const struct pull *p, struct cairn_store *store,
		   const struct cairn_digest *image_digest, int format,
		   const struct cairn_digest *seal, const char *tag, struct names_batch *names,
		   struct cairn_error *err);

#endif
