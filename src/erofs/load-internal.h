/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What the two halves of the loader share: names and inodes (load.c), xattrs (load-xattr.c). */
#ifndef EROFS_LOAD_INTERNAL_H
#define EROFS_LOAD_INTERNAL_H

#include <errno.h>

#include "base/buf.h"
#include "erofs/format.h"
#include "erofs/reader.h"
#include "tree/tree.h"

#define REFS_CACHE      256 /* lists, a power of two */
#define REFS_CACHED_MAX 6   /* references of a list that is remembered */

struct cached_refs {
	uint32_t nr;
	uint8_t refs[4 * REFS_CACHED_MAX];
	const struct xattr_list *list;
};

struct loader {
	const struct image *img;
	unsigned int flags;
	const char *const *filter;
	struct tree *tree;
	struct tree_shard shard;
	uint32_t *seen;
	struct buf nodes; /* struct node * */
	struct buf maybe; /* uint32_t: inodes that look like whiteouts */
	struct buf nids;  /* uint32_t */
	uint32_t next_ino;
	uint64_t dir_bytes, xattr_bytes;
	struct buf inputs; /* struct xattr_input, scratch */
	struct buf names;  /* their names, scratch */
	struct cached_refs cache[REFS_CACHE];
};

/* What an inode's overlay xattrs say. */
struct overlay {
	const char *redirect; /* redirect_len bytes, NULL: none */
	uint32_t redirect_len;
	const uint8_t *digest; /* NULL: none */
	uint32_t digest_size;
	bool whiteout, user_whiteout;
};

static inline int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "load the image");
}

static inline int bad_inode(struct cairn_error *err, const struct inode *in, const char *words)
{
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "inode %u at offset %llu: %s", in->nid,
			 (unsigned long long)in->offset, words);
}

/* The xattrs of an inode: the tree's into *@ret, the overlay's into @ovl. @marked: the inode is known to
 * be a whiteout, or a directory with one in it, so that the writer must have marked it. */
int load_xattrs(struct loader *l, const struct inode *in, bool marked,
		const struct xattr_list **ret, struct overlay *ovl, struct cairn_error *err);

/* Whether a directory has all the marks that the writer gives to the parent of a whiteout
 * (image-format §4.4 step 3). Returns 1, 0 or a negative errno. */
int load_has_marks(const struct loader *l, uint32_t nid, struct cairn_error *err);

#endif
