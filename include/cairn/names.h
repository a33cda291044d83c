/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Images in a store, and what they are called.
 *
 * An image in a store is an object like others, which images/DIGEST announces. A reference is a name
 * for it that can move: "debian", "site/web/current". What a reference names is kept by a collection;
 * an image without one is not. docs/format/store.md says what is durable when.
 */
#ifndef CAIRN_NAMES_H
#define CAIRN_NAMES_H

#include <cairn/image.h>
#include <cairn/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the image of @tree into the store and lets reference @name (NULL: none) name it, whatever it
 * named before. The objects of the tree must be in the store and durable, as they are when
 * cairn_tree_from_directory() has filled it. The image has the store's algorithm and, for format AUTO,
 * the store's format; `write`, `sync` and `verity` of @options are not used: it is durable on return,
 * and has fs-verity where objects have it.
 * @ret: may be NULL. Returns 0; -EINVAL (USAGE): no such name is possible; or as cairn_image_write(). */
CAIRN_API int cairn_store_add_image(struct cairn_store *store, const struct cairn_tree *tree,
				    const struct cairn_image_options *options, const char *name,
				    struct cairn_image_result *ret, struct cairn_error *err);

/* What a person may call an image in @store:
 *   sha256:HEX, sha512:HEX   its digest, or the first digits of it, six at least, if no other image has them
 *   ref:NAME                 the reference
 *   64 or 128 digits         the whole digest
 *   NAME                     the reference; if there is none the first digits of a digest, or the name that
 *                            a container image has which another tool has pulled
 * Returns 0; -ENOENT; -EINVAL: too few digits to tell (USAGE), or a malformed reference (FORMAT). */
CAIRN_API int cairn_store_resolve(const struct cairn_store *store, const char *text,
				  struct cairn_digest *ret, struct cairn_error *err);

/* Opens the image @digest read-only, after its content was found to have the digest: by the kernel's
 * measurement, or in a store that is not secure by reading it. Returns a descriptor; -ENOENT; -EILSEQ
 * (DIGEST): it has another one, or no fs-verity in a secure store. */
CAIRN_API int cairn_store_open_image(const struct cairn_store *store,
				     const struct cairn_digest *digest, struct cairn_error *err);

enum cairn_tag_flags {
	CAIRN_TAG_MOVE = 1 << 0, /* also when the name is that of another image */
};

/* Lets reference @name name the image @digest, durably. Returns 0; -ENOENT: there is no such image, or
 * objects that it needs are missing; -EEXIST (USAGE): without MOVE, and it names another; -EINVAL
 * (USAGE): no such name is possible. */
CAIRN_API int cairn_store_tag(struct cairn_store *store, const char *name,
			      const struct cairn_digest *digest, unsigned int flags,
			      struct cairn_error *err);

/* Removes reference @name, durably, and the tag of that name that a container image has (cairn_oci_pull()). The image stays until a
 * collection, so do its layers. Returns 0 or -ENOENT. */
CAIRN_API int cairn_store_untag(struct cairn_store *store, const char *name,
				struct cairn_error *err);

struct cairn_store_image {
	struct cairn_digest digest; /* alg 0: the entry is malformed */
	const char *name;           /* of the entry in images/: the digest in hexadecimal */
	uint64_t size;              /* bytes of the image */
	int64_t mtime;              /* when it was written, seconds */
	int format;                 /* enum cairn_format; -1: not an image */
	uint64_t nr_refs;           /* references that name it */
	const char *problem;        /* NULL, or what is wrong with it */
};

/* Calls @fn for every image, in order of the digests. Returns 0, or what @fn returned below 0. */
CAIRN_API int cairn_store_images(const struct cairn_store *store,
				 int (*fn)(void *arg, const struct cairn_store_image *image),
				 void *arg, struct cairn_error *err);

struct cairn_store_ref {
	const char *name;
	int stream;         /* 1: names a stream (streams/refs), 0: an image (images/refs) */
	const char *target; /* the entry in images/ or streams/ that it names */
	struct cairn_digest digest; /* the object of that entry; alg 0: there is none */
	const char *problem;        /* NULL, or what is wrong with it: dangling, malformed */
};

/* Calls @fn for every reference: those to images, then those to streams, each in order of the names. */
CAIRN_API int cairn_store_refs(const struct cairn_store *store,
			       int (*fn)(void *arg, const struct cairn_store_ref *ref), void *arg,
			       struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
