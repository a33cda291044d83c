/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What of an image a mount shows: the same as through EROFS and overlayfs in the kernel
 * (mount-semantics §3), told from the image's bytes alone.
 *
 *  - Device 0:0 is a whiteout and is not there; so the writer's stubs are not.
 *  - trusted.overlay.* is the writer's and is not shown; what the user had under such names is stored
 *    escaped, as trusted.overlay.overlay.*, and is shown without that.
 *  - user.*, trusted.*, security.* are shown, and ACLs where the image's header says so.
 *
 * With VIEW_METADATA it is what overlayfs, mounted with `userxattr`, needs from its lower layer: the
 * writer's attributes are then named user.overlay.*, and what the user had under such names is escaped.
 *
 * The view is const: any thread may use it. No byte of the image is trusted.
 */
#ifndef FUSE_VIEW_H
#define FUSE_VIEW_H

#include "erofs/reader.h"

struct fuse_attr;

enum view_flags {
	VIEW_METADATA = 1 << 0,
	VIEW_ACL = 1 << 1, /* system.posix_acl_* are shown */
};

struct view {
	struct image img;
	unsigned int flags; /* enum view_flags */
};

/* Number of the root for the kernel; that of everything else is its nid (36 and up). */
#define VIEW_ROOT 1

/* The inode with number @node. Returns 0 or -EINVAL. */
int view_inode(const struct view *v, uint64_t node, struct inode *ret, struct cairn_error *err);

static inline uint64_t view_node(const struct view *v, const struct inode *in)
{
	return in->nid == v->img.root_nid ? VIEW_ROOT : in->nid;
}

/* Whether it is a whiteout. */
bool view_hidden(const struct inode *in);

/* Whether it is "." or "..". */
static inline bool view_is_dot(const struct image_dirent *d)
{
	return d->name[0] == '.' && (d->name_len == 1 || (d->name_len == 2 && d->name[1] == '.'));
}

/* Whether its content is not in the image. */
bool view_external(const struct inode *in);

void view_attr(const struct inode *in, struct fuse_attr *ret);

/* Copies what is between @offset and @offset + @size of an inode's data in the image to @out. Returns how
 * many bytes there were. */
size_t view_data(const struct inode *in, void *out, size_t size, uint64_t offset);

/* One xattr as it is shown. */
struct view_xattr {
	char name[256 + 32]; /* NUL-terminated */
	size_t name_len;
	const char *value; /* in the image */
	size_t value_len;
};

/* The next one that is shown. Returns 1, 0 at the end, -EINVAL. @it: of image_xattr_begin(). */
int view_xattr_next(const struct view *v, const struct inode *in, struct image_xattr_iter *it,
		    struct view_xattr *ret, struct cairn_error *err);

/* The one named @name[0..@len). Returns 1; 0: there is none; -EOPNOTSUPP: names of this kind are not
 * shown; -EINVAL. */
int view_xattr_find(const struct view *v, const struct inode *in, const char *name, size_t len,
		    struct view_xattr *ret, struct cairn_error *err);

/* Where the content of a file is. */
struct view_object {
	const char *path; /* path_len bytes in the image, or in @own */
	uint32_t path_len;
	struct cairn_digest digest; /* alg 0: the image has none */
	char own[CAIRN_DIGEST_HEX_MAX + 1];
};

/* For a file with view_external(). Returns 0; -ENODATA: the image does not say; -EINVAL. */
int view_object(const struct view *v, const struct inode *in, struct view_object *ret,
		struct cairn_error *err);

#endif
