/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Which xattrs the image has at all.
 *
 * The kernel caches names and attributes, but asks for an xattr each time; `ls -l` wants security.selinux of
 * every file, and with most images gets nothing. Told that there are none on the whole file system,
 * the kernel does not ask again; told that there are no labels, ls does not. So one thread walks the image
 * while the others serve; until it has seen all of it every question is answered by looking.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "fuse/server-internal.h"

/* Directories that wait: more than any tree has at once; a hostile image must not fill the memory. */
#define WAITING_MAX (sizeof(uint32_t) << 20)

struct survey {
	struct server *s;
	struct buf waiting; /* uint32_t, nids of directories */
	uint64_t left;      /* steps until it is given up: an image may have loops */
	unsigned int found;
};

static bool take_xattrs(struct survey *v, const struct inode *in)
{
	struct image_xattr_iter it;
	struct view_xattr x;
	int r = image_xattr_begin(in, &it, NULL);

	while (!r && (r = view_xattr_next(&v->s->view, in, &it, &x, NULL)) > 0) {
		r = 0;
		v->found |= SURVEY_ANY;
		if (!strcmp(x.name, "security.selinux"))
			v->found |= SURVEY_LABELS;
		if (!v->left--)
			return false;
	}
	return r == 0;
}

static bool take_directory(struct survey *v, uint32_t nid)
{
	struct image_dir_iter it = {0};
	struct image_dirent d;
	struct inode dir, in;
	int r = image_inode(&v->s->view.img, nid, &dir, NULL);

	while (!r && (r = image_dir_next(&dir, &it, &d, NULL)) > 0) {
		if (!v->left--)
			return false;
		r = image_inode(&v->s->view.img, d.nid, &in, NULL);
		if (r < 0 || !take_xattrs(v, &in))
			return false;
		if (S_ISDIR(in.mode) && !view_is_dot(&d) &&
		    buf_put(&v->waiting, &in.nid, sizeof(in.nid)) < 0)
			return false;
	}
	return r == 0;
}

void survey(struct server *s)
{
	struct survey v = {.s = s, .waiting = BUF_INIT(WAITING_MAX), .left = s->view.img.size};
	const unsigned int all = SURVEY_ANY | SURVEY_LABELS;
	uint32_t nid = s->view.img.root_nid;
	bool whole = buf_put(&v.waiting, &nid, sizeof(nid)) == 0;

	while (whole && v.waiting.len && v.found != all) {
		v.waiting.len -= sizeof(nid);
		memcpy(&nid, v.waiting.data + v.waiting.len, sizeof(nid));
		whole = take_directory(&v, nid);
	}
	buf_fini(&v.waiting);
	if (whole)
		s->survey = v.found | SURVEY_DONE;
}
