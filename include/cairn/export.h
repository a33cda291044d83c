/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Trees back out, as files or as a tar stream, every content verified. */
#ifndef CAIRN_EXPORT_H
#define CAIRN_EXPORT_H

#include <cairn/tree.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What could not be set, or not be said. */
enum cairn_refused {
	CAIRN_REFUSED_OWNER,
	CAIRN_REFUSED_MODE, /* set-user-id and set-group-id bits without their owner */
	CAIRN_REFUSED_XATTR,
	CAIRN_REFUSED_TIME,
	CAIRN_REFUSED_NODE, /* a device that may not be made, a socket in a tar stream */
	CAIRN_REFUSED_KINDS
};

struct cairn_refusal {
	const char *path; /* "/a/b", NUL-terminated */
	enum cairn_refused what;
	const char *xattr; /* its name; else NULL */
	int code;          /* negative errno */
};

struct cairn_export_options {
	struct cairn_store *const *stores; /* where contents are, in the order in which to look */
	unsigned int nr_stores;
	unsigned int jobs; /* threads; 0 or 1: only the caller's. A tar stream is made by one */
	/* Told of everything that is refused, one at a time but in no order; may be NULL. */
	void (*refused)(void *arg, const struct cairn_refusal *refusal);
	void *refused_arg;
	cairn_progress_fn progress; /* may be NULL */
	void *progress_arg;
};

/* What was done. */
struct cairn_export_result {
	uint64_t names;  /* entries made, the root included */
	uint64_t files;  /* of them regular files, each inode once */
	uint64_t bytes;  /* bytes of them */
	uint64_t cloned; /* of the files, those that share the object's blocks */
	uint64_t refused[CAIRN_REFUSED_KINDS];
};

/*
 * Makes the tree in the directory @path below @dirfd (or AT_FDCWD), which is absent or empty: contents,
 * owners, modes, xattrs, hard links, devices, holes and modification times (the time of access is the
 * same). What the kernel refuses for want of rights is counted in @ret and left out.
 *
 * An absent directory appears under its name when all is there, or not at all. An empty one is filled
 * where it is; its own facts come last, and after a failure what was made so far stays in it. No name
 * in the tree leads out of it. Nothing is synced.
 * Returns 0 or a negative errno: -EEXIST or -ENOTEMPTY (kind USAGE): there is something at @path;
 * -EILSEQ (kind DIGEST): a content does not have its digest; -ENOENT: no store has it; @err names the
 * path.
 */
CAIRN_API int cairn_export_directory(const struct cairn_tree *tree, int dirfd, const char *path,
				     const struct cairn_export_options *options,
				     struct cairn_export_result *ret, struct cairn_error *err);

/* Writes the tree as a tar stream: ustar, with pax headers for what that cannot say (long names, times
 * with fractions, xattrs as SCHILY.xattr.*, ACLs also as SCHILY.acl.*). Names have no slash in front,
 * the root is "./"; the order is that of cairn_tree_walk(), but for the marks of layers, which come first in their
 * directory. The bytes depend on the tree alone. A stream
 * that ends with a failure has no end mark. Returns as above, or what @write returned. */
CAIRN_API int cairn_export_tar(const struct cairn_tree *tree, cairn_write_fn write, void *arg,
			       const struct cairn_export_options *options,
			       struct cairn_export_result *ret, struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
