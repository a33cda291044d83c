/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The store: file contents, each once, named by their own fs-verity digest.
 *
 * A store is a composefs repository of version 1 (docs/format/store.md), with or without meta.json,
 * or the bare directory of objects, as `mkcomposefs --digest-store` makes it. An object appears whole
 * or not at all and never changes.
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
	CAIRN_STORE_NO_PARENTS = 1 << 3, /* do not look into its parents */
};

/* Opens the store at @path. Which of the two layouts it has is told by what is there: a directory
 * named `objects`, or `meta.json`, makes a repository; two-digit directories a bare one; an empty
 * directory becomes a repository when it is first filled. Algorithm: that of meta.json or of the names
 * found, else SHA-256. A repository with a feature that only readers may ignore is opened read-only.
 * Returns 0; -ENOTSUP (UNSUPPORTED): a newer version, or a feature that must be known; or another
 * negative errno. */
CAIRN_API int cairn_store_open(const char *path, unsigned int flags, struct cairn_store **ret,
			       struct cairn_error *err);

/* Closes and frees; NULL is allowed. */
CAIRN_API void cairn_store_close(struct cairn_store *store);

/* How a repository is to be, or already is. */
struct cairn_store_config {
	uint32_t alg;         /* enum cairn_alg; 0: SHA-256, or what is there */
	int format;           /* of new images, enum cairn_format; AUTO: V1, or what is there */
	unsigned int formats; /* bit N: other tools write their images in format N as well */
	int secure; /* 1: every object must have fs-verity; 0: may lack it; -1: 1 where the file
				 system has it, or what is there */
};

/* Makes the repository @path, with its directories, and opens it. One without meta.json is given one: its
 * objects decide the algorithm, and that the first of them has fs-verity whether it is secure. One that
 * has it already is opened if it is as @config says (NULL: whatever it is), and never changed.
 * It is durable on return. Returns 1: made; 0: it was there; -EEXIST (USAGE): it is there, and not as
 * @config says; -EINVAL (USAGE): not a repository; -EOPNOTSUPP (UNSUPPORTED): no fs-verity here;
 * or another negative errno. */
CAIRN_API int cairn_store_init(const char *path, const struct cairn_store_config *config,
			       struct cairn_store **ret, struct cairn_error *err);

struct cairn_store_info {
	int bare;             /* a directory of objects only */
	int version;          /* of the repository; 0: no meta.json */
	uint32_t alg;         /* enum cairn_alg; of an empty store without meta.json the default */
	int secure;           /* every object must have fs-verity */
	int format;           /* of new images, enum cairn_format; AUTO: it does not say */
	unsigned int formats; /* bit N: other tools write their images in format N */
	int read_only; /* it cannot be written, for the reason below or by the caller's wish */
	const char
		*feature; /* the feature that makes it so, "": none; lives as long as the store */
};

CAIRN_API void cairn_store_info(const struct cairn_store *store, struct cairn_store_info *ret);

/*
 * Parents: stores in which objects are looked for that this one lacks, read-only, in their order, with their
 * own parents behind them. Everything that looks an object up knows them, and nothing is copied that one
 * of them has. Whoever removes objects from a parent must know what its children need.
 */

/* The parents of an open store, flat, each once. NULL: there is no @i-th. */
CAIRN_API const struct cairn_store *cairn_store_parent(const struct cairn_store *store,
						       unsigned int i);

/* The path by which the store was opened; lives as long as the store. */
CAIRN_API const char *cairn_store_path(const struct cairn_store *store);

/* Calls @fn for every parent that the store itself names, as it names it. Returns 0, what @fn returned
 * below 0, or a negative errno. */
CAIRN_API int cairn_store_parent_lines(const struct cairn_store *store,
				       int (*fn)(void *arg, const char *line), void *arg,
				       struct cairn_error *err);

/* A store that looks into @store, as far as is known: it has noted itself where it may write. */
struct cairn_store_child {
	const char *path;    /* of its directory */
	const char *machine; /* machine-id, or name, of the machine that it is on */
	int here;            /* 1: that is this machine */
};

/* Calls @fn for each child that is noted. Returns 0, what @fn returned below 0, or a negative errno. */
CAIRN_API int cairn_store_children(const struct cairn_store *store,
				   int (*fn)(void *arg, const struct cairn_store_child *child),
				   void *arg, struct cairn_error *err);

/* Drops the note about the child @path: a collection does not ask it any more. Returns 0; -ENOENT (USAGE): there is none;
 * or another negative errno. */
CAIRN_API int cairn_store_forget_child(struct cairn_store *store, const char *path,
				       struct cairn_error *err);

/* Makes @lines the parents that the store names: absolute paths, or paths that begin at the store. They are
 * not opened but to note this store as their child, where that may be written, and those of the open @store stay as they are. Durable on return. Returns 0;
 * -EOPNOTSUPP: a bare store has none; or another negative errno. */
CAIRN_API int cairn_store_set_parents(struct cairn_store *store, const char *const *lines,
				      unsigned long nr, struct cairn_error *err);

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

/* Which store has the object, @store or a parent: *@ret, which may be NULL; *@ret_size its bytes. Only
 * names are looked at. Returns 0 or -ENOENT. */
CAIRN_API int cairn_store_find_object(const struct cairn_store *store, const char *object_path,
				      const struct cairn_store **ret, uint64_t *ret_size);

/* Copies the content of an object to @write, each piece only after all of it was found to have
 * @digest. Returns 0; -EILSEQ (kind DIGEST) when it has not; -ENOENT; or what @write returned. */
CAIRN_API int cairn_store_read_object(const struct cairn_store *store, const char *object_path,
				      const struct cairn_digest *digest, cairn_write_fn write,
				      void *arg, struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
