/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Layers of container images: tar archives that lie upon each other, and what they are together
 * (oci-layers, oci-to-tree).
 *
 *	a layer's tar -> its tree (M), its contents into the store, the tar itself kept exactly
 *	M1, M2, M3 -> the tree of the image (U), from the metadata alone
 */
#ifndef CAIRN_LAYER_H
#define CAIRN_LAYER_H

#include <cairn/export.h>
#include <cairn/tree.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whose rules hold where they differ. */
enum cairn_profile {
	/* Those of composefs: bootc's and cfsctl's digests follow from them. Marks remove what the
	 * same layer had before them; every directory must have an entry; the root is like /usr, /run
	 * is empty, few extended attributes are kept. */
	CAIRN_PROFILE_COMPOSEFS = 1,
	/* Those of the image specification: what podman and others unpack. */
	CAIRN_PROFILE_RUNTIME = 2,
};

/* Which extended attributes the tree of an image keeps in the profile composefs. */
enum cairn_xattr_mode {
	CAIRN_XATTRS_ALLOWLIST = 0, /* security.capability */
	CAIRN_XATTRS_USER = 1,      /* and user.* */
	CAIRN_XATTRS_ALL = 2,       /* all that the layers have (composefs-rs before 0.8) */
};

/* What was found in a layer. */
struct cairn_layer_stats {
	uint64_t entries;
	uint64_t files; /* regular files */
	uint64_t bytes; /* of their contents */
	/* Names that come twice, which the specification forbids; the last one counts. */
	uint64_t duplicates;
	/* Marks behind entries that they match: the profiles differ about them. */
	uint64_t order_sensitive;
};

struct cairn_layer_options {
	enum cairn_profile profile;
	unsigned int algs; /* as struct cairn_scan_options */
	/* NULL, or the store that gets every content of more than CAIRN_INLINE_DEFAULT bytes. */
	struct cairn_store *store;
	const char *diff_id;        /* NULL, or that the layer must have: "sha256:…" */
	cairn_progress_fn progress; /* may be NULL; told of bytes as they are read */
	void *progress_arg;
};

#define CAIRN_CONTENT_DIGEST_MAX 136 /* characters of "sha512:…", with NUL */

struct cairn_layer_result {
	char diff_id[CAIRN_CONTENT_DIGEST_MAX]; /* digest of the tar, computed */
	uint64_t size;                          /* bytes of it */
	struct cairn_layer_stats stats;
	uint64_t new_objects, new_bytes; /* that the store lacked */
};

/* Reads a layer's tar from @fd up to its end, plain, gzip or zstd, in one pass. With a store all objects
 * are durable when this returns.
 * @ret: the layer's tree, with its marks (`.wh.NAME` files); what an image has follows from
 * cairn_layers_merge(), also for one layer. @res: may be NULL.
 * Returns 0; -EINVAL, -ENOENT, -ENOTDIR … (kind FORMAT), @err names entry and offset; -ENOTSUP for entries
 * that layers cannot have; -EILSEQ (kind DIGEST): another diff_id; or a read error. */
CAIRN_API int cairn_layer_read(int fd, const struct cairn_layer_options *options,
			       struct cairn_tree **ret, struct cairn_layer_result *res,
			       struct cairn_error *err);

struct cairn_merge_options {
	enum cairn_profile profile;
	enum cairn_xattr_mode xattrs; /* profile composefs only */
	/* Nothing is below but something will be: marks stay, and the result is a layer again. Then
	 * merging it upon the others gives what merging all of them gives. */
	int partial;
};

/* The tree of the image whose layers are @layers[0..@nr), the base first: trees of
 * cairn_layer_read(), or any others. They stay the caller's.
 * Returns 0; -EINVAL, -ENOTDIR, -ENOENT, -ELOOP (kind FORMAT) for layers that do not fit upon each
 * other, the path and the layer in @err; -ENOMEM. */
CAIRN_API int cairn_layers_merge(const struct cairn_tree *const *layers, size_t nr,
				 const struct cairn_merge_options *options, struct cairn_tree **ret,
				 struct cairn_error *err);

/* The layer that the upper directory of an overlay mount is: whiteouts and opaque directories become marks, and
 * overlayfs's own attributes go. @upper: the tree of that directory, as cairn_tree_from_directory() gives it.
 * Returns 0; -ENOTSUP (kind UNSUPPORTED) for what only overlayfs can say (renamed directories, files without
 * their contents), naming it; -ENOMEM. */
CAIRN_API int cairn_layer_from_upper(const struct cairn_tree *upper, struct cairn_tree **ret,
				     struct cairn_error *err);

/* Writes a layer as a tar archive, as cairn_export_tar() does, and tells its diff_id and size. @res: may be
 * NULL. Returns as cairn_export_tar(). */
CAIRN_API int cairn_layer_write(const struct cairn_tree *layer, cairn_write_fn write, void *arg,
				const struct cairn_export_options *options,
				struct cairn_layer_result *res, struct cairn_error *err);

/* The rules by which an image was made. */
struct cairn_layer_rules {
	enum cairn_profile profile;
	enum cairn_xattr_mode xattrs;
	int format;        /* enum cairn_format */
	int whole_seconds; /* times without fractions (composefs-rs before 0.9) */
};

/* Looks for the rules by which the layers give the image that has @digest: formats, profiles, which
 * extended attributes are kept, and whether times have fractions.
 * @composefs, @runtime: @nr layers each, read by cairn_layer_read() in that profile, with digests of the
 * algorithm of @digest; either may be NULL, then the profile is not tried. A profile in which the layers
 * do not fit upon each other is passed over.
 * Returns 1 and *@ret; 0: none of them gives it; or a negative errno. */
CAIRN_API int cairn_layers_match(const struct cairn_tree *const *composefs,
				 const struct cairn_tree *const *runtime, size_t nr,
				 const struct cairn_digest *digest, struct cairn_layer_rules *ret,
				 struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
