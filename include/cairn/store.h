/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The object store: file contents, each once, named by their own fs-verity digest.
 *
 * A store is a repository directory with objects/xx/yyyy… below it (repository §1), or the bare
 * objects directory itself, as `mkcomposefs --digest-store` makes it. An object appears whole or
 * not at all and never changes.
 */
#ifndef CAIRN_STORE_H
#define CAIRN_STORE_H

#include <cairn/digest.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cairn_store;

enum cairn_store_flags {
	CAIRN_STORE_CREATE = 1 << 0, /* make the directory, as a repository, when it is missing */
	CAIRN_STORE_READ_ONLY = 1 << 1,
	CAIRN_STORE_BARE = 1 << 2, /* the directory itself holds xx/yyyy…, whatever is in it */
};

/* Opens the store at @path. Which of the two layouts it has is told by what is there: a directory
 * named `objects`, or `meta.json`, makes a repository; two-digit directories a bare one; an empty
 * directory becomes a repository. Algorithm: that of the names found, else SHA-256.
 * Returns 0 or a negative errno. */
CAIRN_API int cairn_store_open(const char *path, unsigned int flags, struct cairn_store **ret,
			       struct cairn_error *err);

/* Closes and frees; NULL is allowed. */
CAIRN_API void cairn_store_close(struct cairn_store *store);

/* The algorithm that names objects. An empty store takes the one that is set first. */
CAIRN_API enum cairn_alg cairn_store_alg(const struct cairn_store *store);
/* Returns 0, or -EINVAL when objects of the other algorithm are there already. */
CAIRN_API int cairn_store_set_alg(struct cairn_store *store, enum cairn_alg alg);

/* Path of the directory that overlayfs takes as data-only layer (the one with xx/ in it). */
CAIRN_API const char *cairn_store_objects_path(const struct cairn_store *store);

/* Opens the object at @object_path, as an image names it, read-only; never follows a symbolic link
 * and never leaves the store. Returns a descriptor, -ENOENT, or another negative errno. */
CAIRN_API int cairn_store_open_object(const struct cairn_store *store, const char *object_path,
				      struct cairn_error *err);

/* Copies the content of an object to @write, each piece only after all of it was found to have
 * @digest. Returns 0; -EILSEQ (kind DIGEST) when it has not; -ENOENT; or what @write returned. */
CAIRN_API int cairn_store_read_object(const struct cairn_store *store, const char *object_path,
				      const struct cairn_digest *digest, cairn_write_fn write,
				      void *arg, struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
