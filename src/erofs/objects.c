/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The objects that an image needs, without making a tree of it: a walk over its directories, each inode
 * once.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "erofs/format.h"
#include "erofs/reader.h"

#define NID_SIZE 32 /* bytes of the slot that a nid counts */

struct walk {
	const struct image *img;
	uint64_t *seen;  /* bit: this nid was visited */
	struct buf dirs; /* uint64_t: directories that are still to be read */
	uint64_t
		dir_bytes; /* of those that were read: overlapping ones would be work without end */
	image_object_fn fn;
	void *arg;
};

static bool name_is(const struct image_xattr *x, const char *suffix)
{
	return x->suffix_len == strlen(suffix) && !strcmp(x->prefix, "trusted.") &&
	       !memcmp(x->suffix, suffix, x->suffix_len);
}

static int tell_object(const struct walk *w, const struct inode *in, struct cairn_error *err)
{
	struct image_object object = {.size = in->size};
	struct image_xattr_iter it;
	struct image_xattr x;
	int r = image_xattr_begin(in, &it, err);

	if (r < 0 || !in->xattrs)
		return r;
	while ((r = image_xattr_next(w->img, in, &it, &x, err)) > 0) {
		uint32_t digest = x.value_len - METACOPY_HEADER_SIZE;

		if (name_is(&x, "overlay.redirect")) {
			uint32_t slash = x.value_len && x.value[0] == '/';

			object.path = x.value + slash;
			object.path_len = x.value_len - slash;
		} else if (name_is(&x, "overlay.metacopy") && (digest == 32 || digest == 64)) {
			object.digest = (const uint8_t *)x.value + METACOPY_HEADER_SIZE;
			object.digest_size = digest;
		}
	}
	return r < 0 ? r : w->fn(w->arg, &object);
}

static int visit(struct walk *w, uint64_t nid, struct cairn_error *err)
{
	struct inode in;
	int r = image_inode(w->img, nid, &in, err);

	if (r < 0)
		return r;
	if (w->seen[nid / 64] & 1ull << nid % 64)
		return 0;
	w->seen[nid / 64] |= 1ull << nid % 64;
	if (S_ISDIR(in.mode) && buf_put(&w->dirs, &nid, sizeof(nid)) < 0)
		return error_errno(err, -ENOMEM, "look for the objects");
	if (S_ISREG(in.mode) && in.size && in.layout == LAYOUT_CHUNK)
		return tell_object(w, &in, err);
	return 0;
}

static int read_directory(struct walk *w, uint64_t nid, struct cairn_error *err)
{
	struct image_dir_iter it = {0};
	struct image_dirent d;
	struct inode in;
	int r = image_inode(w->img, nid, &in, err);

	if (r < 0)
		return r;
	w->dir_bytes += in.size;
	if (w->dir_bytes > w->img->size)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "inode %u: directories overlap: more bytes than the image has",
				 in.nid);
	while ((r = image_dir_next(&in, &it, &d, err)) > 0) {
		r = visit(w, d.nid, err);
		if (r < 0)
			return r;
	}
	return r;
}

int image_objects(const struct image *img, image_object_fn fn, void *arg, struct cairn_error *err)
{
	struct walk w = {.img = img, .dirs = BUF_INIT(SIZE_MAX / 2), .fn = fn, .arg = arg};
	int r;

	w.seen = (uint64_t *)calloc(img->size / NID_SIZE / 64 + 1, sizeof(*w.seen));
	r = w.seen ? visit(&w, img->root_nid, err)
		   : error_errno(err, -ENOMEM, "look for the objects");
	while (!r && w.dirs.len) {
		uint64_t nid;

		w.dirs.len -= sizeof(nid);
		memcpy(&nid, w.dirs.data + w.dirs.len, sizeof(nid));
		r = read_directory(&w, nid, err);
	}
	free(w.seen);
	buf_fini(&w.dirs);
	return r;
}
