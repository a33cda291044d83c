/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The xattrs of an image's inodes: which are the tree's, and which the writer made (image-format §10).
 */
#include <xxhash.h>

#include "erofs/load-internal.h"

/* Shared xattrs can make a small image mean many bytes. Real images have the same few lists
 * everywhere, which are decoded once each. */
#define XATTR_BYTES_FACTOR 64

static bool name_is(const struct image_xattr *x, const char *prefix, const char *suffix)
{
	return x->suffix_len == strlen(suffix) && !strcmp(x->prefix, prefix) &&
	       !memcmp(x->suffix, suffix, x->suffix_len);
}

/* Takes the writer's own xattrs out (image-format §10): true when @x is not one that the tree
 * has. @marked: the inode is known to be a whiteout, or a directory with one in it, so that the
 * writer must have marked it. */
static bool take_overlay(const struct loader *l, const struct inode *in, bool marked,
			 const struct image_xattr *x, struct overlay *ovl)
{
	bool compat = l->flags & CAIRN_LOAD_COMPAT;
	bool empty = !x->value_len;
	bool opaque = !compat && l->img->format == CAIRN_FORMAT_V1 && S_ISDIR(in->mode) && marked &&
		      x->value_len == 1 && x->value[0] == 'x';

	if (S_ISREG(in->mode)) {
		if (name_is(x, "trusted.", "overlay.redirect")) {
			ovl->redirect = x->value;
			ovl->redirect_len = x->value_len;
			return true;
		}
		if (name_is(x, "trusted.", "overlay.metacopy")) {
			ovl->digest_size = x->value_len - METACOPY_HEADER_SIZE;
			if (ovl->digest_size == 32 || ovl->digest_size == 64)
				ovl->digest = (const uint8_t *)x->value + METACOPY_HEADER_SIZE;
			return true;
		}
	}
	if (l->img->format == CAIRN_FORMAT_V2)
		return false;
	if (S_ISREG(in->mode) && name_is(x, "trusted.", "overlay.overlay.whiteout") &&
	    (compat || (empty && !in->size))) {
		ovl->whiteout = true;
		return compat || marked;
	}
	if (name_is(x, "user.", "overlay.whiteout") &&
	    (compat || (S_ISREG(in->mode) && empty && !in->size))) {
		ovl->user_whiteout = true;
		return compat || marked;
	}
	if (name_is(x, "trusted.", "overlay.overlay.whiteouts") ||
	    name_is(x, "user.", "overlay.whiteouts"))
		return compat || (S_ISDIR(in->mode) && marked && empty);
	if (name_is(x, "trusted.", "overlay.overlay.opaque") ||
	    name_is(x, "user.", "overlay.opaque"))
		return opaque;
	return false;
}

/* The name as the tree has it: unescaped. NULL: an overlay xattr that nobody escaped, which is the
 * writer's. Not NUL-terminated; *ret_len bytes. */
static const char *tree_name(struct loader *l, const struct image_xattr *x, uint32_t *ret_len)
{
	static const char overlay[] = "overlay.";
	const uint32_t len = sizeof(overlay) - 1;
	const char *suffix = x->suffix;
	uint32_t suffix_len = x->suffix_len;
	char *out;

	if (!strcmp(x->prefix, "trusted.") && suffix_len >= len && !memcmp(suffix, overlay, len)) {
		suffix += len;
		suffix_len -= len;
		if (suffix_len < len || memcmp(suffix, overlay, len))
			return NULL;
	}
	/* Reserved for all of an inode's names at once, so that it does not move. */
	out = l->names.data + l->names.len;
	memcpy(out, x->prefix, x->prefix_len);
	memcpy(out + x->prefix_len, suffix, suffix_len);
	*ret_len = x->prefix_len + suffix_len;
	l->names.len += *ret_len;
	return out;
}

static int add_input(struct loader *l, const struct image_xattr *x)
{
	struct xattr_input in = {
		.value = x->value, .value_len = x->value_len, .shared = x->ref != UINT32_MAX};

	in.name = tree_name(l, x, &in.name_len);
	if (!in.name)
		return 0;
	l->xattr_bytes += in.name_len + in.value_len;
	return buf_put(&l->inputs, &in, sizeof(in));
}

static struct cached_refs *cache_slot(struct loader *l, const uint8_t *refs, uint32_t nr)
{
	return &l->cache[XXH3_64bits(refs, (size_t)4 * nr) & (REFS_CACHE - 1)];
}

int load_xattrs(struct loader *l, const struct inode *in, bool marked,
		const struct xattr_list **ret, struct overlay *ovl, struct cairn_error *err)
{
	struct cached_refs *cached = NULL;
	struct image_xattr_iter it;
	struct image_xattr x;
	const uint8_t *refs;
	uint32_t nr_refs, nr_inputs, nr_overlay = 0;
	int r;

	*ovl = (struct overlay){0};
	*ret = NULL;
	r = image_xattr_begin(in, &it, err);
	if (r < 0 || !in->xattrs)
		return r;
	refs = it.ref;
	nr_refs = it.nr_refs;
	l->inputs.len = l->names.len = 0;
	/* Every entry takes 4 bytes or a reference, and its name at most 255 and a prefix. */
	if (buf_reserve(&l->names, (nr_refs + (size_t)(it.end - it.next) / 4) * 288) < 0)
		return out_of_memory(err);

	while (it.next < it.end) {
		r = image_xattr_next(l->img, in, &it, &x, err);
		if (r < 0)
			return r;
		if (!take_overlay(l, in, marked, &x, ovl) && add_input(l, &x) < 0)
			return out_of_memory(err);
	}
	if (!l->inputs.len && nr_refs && nr_refs <= REFS_CACHED_MAX && !marked) {
		cached = cache_slot(l, refs, nr_refs);
		if (cached->nr == nr_refs && !memcmp(cached->refs, refs, (size_t)4 * nr_refs)) {
			*ret = cached->list;
			return 0;
		}
	}
	while ((r = image_xattr_next(l->img, in, &it, &x, err)) > 0) {
		if (take_overlay(l, in, marked, &x, ovl))
			nr_overlay++;
		else if (add_input(l, &x) < 0)
			return out_of_memory(err);
	}
	if (r < 0)
		return r;
	if (l->xattr_bytes > l->img->size * XATTR_BYTES_FACTOR)
		return bad_inode(err, in,
				 "the xattrs so far are larger than such an image can mean");

	nr_inputs = (uint32_t)(l->inputs.len / sizeof(struct xattr_input));
	r = tree_xattrs(&l->shard, (struct xattr_input *)(void *)l->inputs.data, nr_inputs, ret);
	if (r == -ENOMEM)
		return out_of_memory(err);
	if (r < 0)
		return bad_inode(err, in, "its xattrs are larger than the format allows");
	if (cached && !nr_overlay && !ovl->whiteout && !ovl->user_whiteout && *ret &&
	    (*ret)->nr == nr_refs) {
		cached->nr = nr_refs;
		memcpy(cached->refs, refs, (size_t)4 * nr_refs);
		cached->list = *ret;
	}
	return 0;
}

int load_has_marks(const struct loader *l, uint32_t nid, struct cairn_error *err)
{
	bool opaque = l->img->format == CAIRN_FORMAT_V1;
	struct image_xattr_iter it;
	struct image_xattr x;
	struct inode in;
	int r, nr = 0;

	r = image_inode(l->img, nid, &in, err);
	if (!r)
		r = image_xattr_begin(&in, &it, err);
	if (r < 0 || !in.xattrs)
		return r;
	while ((r = image_xattr_next(l->img, &in, &it, &x, err)) > 0) {
		if (name_is(&x, "trusted.", "overlay.overlay.whiteouts") ||
		    name_is(&x, "user.", "overlay.whiteouts"))
			nr += !x.value_len;
		else if (opaque && (name_is(&x, "trusted.", "overlay.overlay.opaque") ||
				    name_is(&x, "user.", "overlay.opaque")))
			nr += x.value_len == 1 && x.value[0] == 'x';
	}
	return r < 0 ? r : nr == (opaque ? 4 : 2);
}
