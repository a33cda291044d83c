/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What of an image a mount shows. */
#include "fuse/view.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "erofs/format.h"
#include "fuse/protocol-internal.h"

int view_inode(const struct view *v, uint64_t node, struct inode *ret, struct cairn_error *err)
{
	return image_inode(&v->img, node == VIEW_ROOT ? v->img.root_nid : node, ret, err);
}

bool view_hidden(const struct inode *in)
{
	return S_ISCHR(in->mode) && !in->u;
}

bool view_external(const struct inode *in)
{
	return S_ISREG(in->mode) && in->layout == LAYOUT_CHUNK && in->size;
}

void view_attr(const struct inode *in, struct fuse_attr *ret)
{
	const bool has_data = S_ISREG(in->mode) || S_ISDIR(in->mode) || S_ISLNK(in->mode);

	*ret = (struct fuse_attr){
		.ino = in->nid,
		.size = has_data ? in->size : 0,
		.blocks = has_data ? (in->size + BLOCK_SIZE - 1) / BLOCK_SIZE * (BLOCK_SIZE / 512)
				   : 0,
		.atime = (uint64_t)in->mtime,
		.mtime = (uint64_t)in->mtime,
		.ctime = (uint64_t)in->mtime,
		.atimensec = in->mtime_nsec,
		.mtimensec = in->mtime_nsec,
		.ctimensec = in->mtime_nsec,
		.mode = in->mode,
		.nlink = in->nlink,
		.uid = in->uid,
		.gid = in->gid,
		.rdev = S_ISCHR(in->mode) || S_ISBLK(in->mode) ? in->u : 0,
		.blksize = BLOCK_SIZE,
	};
}

size_t view_data(const struct inode *in, void *out, size_t size, uint64_t offset)
{
	const uint64_t whole = in->nr_blocks * BLOCK_SIZE;
	uint8_t *p = (uint8_t *)out;
	size_t n = 0;

	if (offset < whole) {
		n = (size_t)MIN((uint64_t)size, whole - offset);
		memcpy(p, in->blocks + offset, n);
		offset += n;
	}
	if (n < size && offset - whole < in->tail_size) {
		const size_t rest = (size_t)MIN(size - n, in->tail_size - (offset - whole));

		memcpy(p + n, in->tail + (offset - whole), rest);
		n += rest;
	}
	return n;
}

/* --- xattrs ---------------------------------------------------------------------------------------- */

static bool begins_with(const struct image_xattr *x, const char *prefix, const char *suffix)
{
	const size_t len = strlen(suffix);

	return !strcmp(x->prefix, prefix) && x->suffix_len >= len &&
	       !memcmp(x->suffix, suffix, len);
}

/* Whether EROFS gives it out at all: it knows three prefixes, and the two names of ACLs. */
static bool is_known(const struct view *v, const struct image_xattr *x)
{
	if (!strncmp(x->prefix, "system.posix_acl_", 17))
		return v->flags & VIEW_ACL && !x->suffix_len;
	return x->suffix_len && (!strcmp(x->prefix, "user.") || !strcmp(x->prefix, "trusted.") ||
				 !strcmp(x->prefix, "security."));
}

/* The name under which @x is shown: @prefix, then its suffix without the first *@skip bytes. Returns
 * false when it is not. */
static bool shown_as(const struct view *v, const struct image_xattr *x, const char **prefix,
		     uint32_t *skip)
{
	*prefix = x->prefix;
	*skip = 0;
	if (begins_with(x, "trusted.", "overlay.overlay.")) {
		*skip = sizeof("overlay.") - 1;
	} else if (begins_with(x, "trusted.", "overlay.")) {
		*prefix = "user.";
		return v->flags & VIEW_METADATA;
	} else if (v->flags & VIEW_METADATA && begins_with(x, "user.", "overlay.")) {
		*prefix = "user.overlay.";
	}
	return is_known(v, x);
}

int view_xattr_next(const struct view *v, const struct inode *in, struct image_xattr_iter *it,
		    struct view_xattr *ret, struct cairn_error *err)
{
	struct image_xattr x;
	const char *prefix;
	uint32_t skip;
	size_t len;
	int r;

	do {
		r = image_xattr_next(&v->img, in, it, &x, err);
		if (r <= 0)
			return r;
	} while (!shown_as(v, &x, &prefix, &skip));

	len = strlen(prefix);
	ret->name_len = len + x.suffix_len - skip;
	memcpy(ret->name, prefix, len);
	memcpy(ret->name + len, x.suffix + skip, x.suffix_len - skip);
	ret->name[ret->name_len] = '\0';
	ret->value = x.value;
	ret->value_len = x.value_len;
	return 1;
}

int view_xattr_find(const struct view *v, const struct inode *in, const char *name, size_t len,
		    struct view_xattr *ret, struct cairn_error *err)
{
	static const char system[] = "system.";
	struct image_xattr_iter it;
	int r;

	if (len > sizeof(system) - 1 && !memcmp(name, system, sizeof(system) - 1) &&
	    !(v->flags & VIEW_ACL))
		return -EOPNOTSUPP;
	r = image_xattr_begin(in, &it, err);
	if (r < 0)
		return r;
	while ((r = view_xattr_next(v, in, &it, ret, err)) > 0)
		if (ret->name_len == len && !memcmp(ret->name, name, len))
			return 1;
	return r;
}

/* --- contents ------------------------------------------------------------------------------------- */

static bool is_overlay(const struct image_xattr *x, const char *suffix)
{
	return begins_with(x, "trusted.", suffix) && x->suffix_len == strlen(suffix);
}

static void take_digest(const struct image_xattr *x, struct cairn_digest *ret)
{
	const uint32_t size = x->value_len - METACOPY_HEADER_SIZE;

	if (x->value_len < METACOPY_HEADER_SIZE || (size != 32 && size != 64))
		return;
	*ret = (struct cairn_digest){.alg = size == 32 ? CAIRN_SHA256 : CAIRN_SHA512};
	memcpy(ret->bytes, x->value + METACOPY_HEADER_SIZE, size);
}

int view_object(const struct view *v, const struct inode *in, struct view_object *ret,
		struct cairn_error *err)
{
	struct image_xattr_iter it;
	struct image_xattr x;
	size_t size;
	int r = image_xattr_begin(in, &it, err);

	ret->path = NULL;
	ret->path_len = 0;
	ret->digest = (struct cairn_digest){0};
	if (r < 0)
		return r;
	while ((r = image_xattr_next(&v->img, in, &it, &x, err)) > 0) {
		if (is_overlay(&x, "overlay.redirect")) {
			ret->path = x.value;
			ret->path_len = x.value_len;
		} else if (is_overlay(&x, "overlay.metacopy")) {
			take_digest(&x, &ret->digest);
		}
	}
	if (r < 0)
		return r;
	if (ret->path_len)
		return 0;
	if (!ret->digest.alg)
		return error_set(err, -ENODATA, CAIRN_ERROR_FORMAT,
				 "inode %u: neither a path nor a digest of its object", in->nid);
	size = cairn_digest_size((enum cairn_alg)ret->digest.alg);
	ret->own[2] = '/';
	hex_put(ret->own, ret->digest.bytes, 1);
	hex_put(ret->own + 3, ret->digest.bytes + 1, size - 1);
	ret->path = ret->own;
	ret->path_len = (uint32_t)(2 * size + 1);
	return 0;
}
