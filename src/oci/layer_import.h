/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The tar of a layer, compressed or not, in one pass: its diff_id, its tree, its contents in the store, and
 * the tar itself kept as a split stream. And back: the tree, or the exact tar, from the split stream.
 *
 * A layer is fed by one thread; any number of layers may be read at once into one store. Each takes some 10 MiB
 * beside its tree, whatever its size.
 */
#ifndef OCI_LAYER_IMPORT_H
#define OCI_LAYER_IMPORT_H

#include "oci/name.h"
#include "store/store.h"
#include "sys/decompress.h"
#include "tar/layer.h"

/* Above this a content is an object; up to it, it is in the image and in the split stream. Part of both
 * formats. */
#define LAYER_INLINE_MAX CAIRN_INLINE_DEFAULT

#define LAYER_UNPACKED_MAX ((uint64_t)512 << 30) /* bytes of a tar; more than any real one */

struct layer_import_options {
	enum cairn_profile profile;
	struct cairn_store *store; /* begun (store_begin()); NULL: digests only */
	unsigned int algs;         /* digests of contents to compute; the store's is among them */
	bool keep;                 /* the tar as a split stream; needs a store */
	enum compression compression;
	const char *diff_id; /* that it must have, NULL: any */
	bool unhashed; /* the tar is not the layer's: no diff_id is computed, and what is known need not be fed */
	uint64_t limit; /* bytes of the tar; 0: LAYER_UNPACKED_MAX */
	bool threads;   /* decompression, reading and storing in a thread each */
	/* Told at the end, when the layer has its diff_id, of each content that layer_import_mark() was called
	 * for: its object. May be NULL. */
	void (*stored)(void *arg, const void *cookie, const struct cairn_digest *id);
	void *stored_arg;
	/* Likewise of each content that became an object, and its SHA-256, which is computed for that. May be NULL. */
	void (*hashed)(void *arg, const uint8_t sha256[32], const struct cairn_digest *id);
	void *hashed_arg;
};

struct layer_import_result {
	char diff_id[OCI_DIGEST_MAX]; /* computed */
	uint64_t size;                /* bytes of the tar */
	enum compression compression; /* that it had */
	struct cairn_layer_stats stats;
	uint64_t new_objects, new_bytes; /* that the store lacked */
	struct cairn_digest stream;      /* the split stream in the store; alg 0: not kept */
};

struct layer_import;

/* Returns 0, -ENOTSUP for a diff_id of an algorithm that cannot be computed, or -ENOMEM. */
int layer_import_new(const struct layer_import_options *options, struct layer_import **ret,
		     struct cairn_error *err);
void layer_import_free(struct layer_import *im);

DEFINE_CLEANUP(struct layer_import *, layer_import, layer_import_free)

/* The next bytes of the layer, as it is stored: compressed, if it is. Fits source_fn. Returns 0 or a
 * negative errno; objects that were written stay, for they are true whatever the layer is. */
int layer_import_feed(void *import, const void *data, size_t size, struct cairn_error *err);

/* Of a layer that is given as a plain tar (COMPRESSION_NONE): the content that is due now, none of whose bytes was
 * fed yet, is to be told to options->stored(). False: no content of @size bytes, more than LAYER_INLINE_MAX, is due. */
bool layer_import_mark(struct layer_import *im, uint64_t size, const void *cookie);

/* Likewise: the content that is due now is in the store as object @id, and the @size bytes that are fed next are read
 * from there, verified, so that they need not be hashed for it again. Returns 1; 0: it is not due, or wants other
 * digests as well, and nothing has changed; or a negative errno. Of what is unhashed the bytes are not fed. */
int layer_import_known(struct layer_import *im, uint64_t size, const struct cairn_digest *id,
		       struct cairn_error *err);

/* The end. What was written is not durable before store_sync(), and the split stream has no name yet:
 * see layer_stream_name(). Returns 0; -EILSEQ (kind DIGEST): another diff_id. @ret: may be NULL. */
int layer_import_finish(struct layer_import *im, struct tree **ret, struct layer_import_result *res,
			struct cairn_error *err);

/* --- from the store -------------------------------------------------------------------------- */

#define LAYER_STREAM_PREFIX "oci-layer-"

#define LAYER_NAME_MAX (OCI_DIGEST_MAX + 32)

/* The name that the split stream of a layer has in streams/: "oci-layer-sha256:…" by its diff_id, "oci-toc:…" by what
 * vouches for it without one (toc_key_of()). */
void layer_stream_name(const char *key, char out[LAYER_NAME_MAX]);

/* The tree of the layer whose split stream is open at @fd. Contents are not read. */
int layer_load(int fd, enum cairn_profile profile, struct tree **ret,
	       struct cairn_layer_stats *stats, struct cairn_error *err);

/* The exact tar out of the split stream open at @fd: contents come from @store, each verified before it is
 * handed out. @diff_id: that it must have; known only at the end, when all is handed out; NULL: any.
 * Returns 0; -EILSEQ (DIGEST); -ENOENT for a missing object; or what @fn returned. */
int layer_export(const struct cairn_store *store, int fd, const char *diff_id, decompress_fn fn,
		 void *arg, struct cairn_error *err);

#endif
