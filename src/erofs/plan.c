/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The plan of an image: order of inodes, shapes of directories, then the place of everything. */
#include "erofs/plan-internal.h"

#include <errno.h>
#include <stdio.h>

#include "base/hex.h"

/* erofs-variants §8: readers of V2 take no more. */
#define V2_INLINE_MAX  512
#define V2_SYMLINK_MAX 1024

/* image-format §8. */
#define EXTERNAL_MAX (UINT64_C(1) << 53)

int plan_refuse(struct cairn_error *err, int code, const struct node *n, const char *words)
{
	char path[NODE_PATH_QUOTED_MAX];

	return error_set(err, code, CAIRN_ERROR_FORMAT, "%s: %s", node_path_quoted(n, path), words);
}

/* --- what the whole tree decides ---------------------------------------------------------------- */

/* Limits that only an image has, when some inode is known to be above one. */
static int check_limits(const struct erofs_plan *p, struct cairn_error *err)
{
	const struct tree *t = p->tree;
	const bool v2 = p->format == CAIRN_FORMAT_V2;

	for (uint32_t i = 0; i < t->nr_entries; i++) {
		const struct node *n = tree_entry(t, i);

		if (node_is_link(n))
			continue;
		if (!v2 && node_is_external(n) && n->size > EXTERNAL_MAX)
			return plan_refuse(err, -EFBIG, n, "larger than 9007199254740992 bytes");
		if (v2 && S_ISREG(n->mode) && n->flags & NODE_INLINE && n->size > V2_INLINE_MAX)
			return plan_refuse(
				err, -EINVAL, n,
				"more than 512 bytes of inline content, which V2 cannot hold");
		if (v2 && S_ISLNK(n->mode) && n->size > V2_SYMLINK_MAX)
			return plan_refuse(
				err, -EINVAL, n,
				"a target of more than 1024 bytes, which V2 cannot hold");
	}
	return 0;
}

/* Version, smallest mtime and ACL flag (image-format §4.2, §4.6). */
static int survey(struct erofs_plan *p, struct cairn_error *err)
{
	const struct tree *t = p->tree;
	const struct tree_facts *f = &t->facts;

	if (p->format == CAIRN_FORMAT_AUTO)
		p->format = f->nr_whiteouts || p->alg == CAIRN_SHA512 ? CAIRN_FORMAT_V1
								      : CAIRN_FORMAT_V0;
	if (p->format == CAIRN_FORMAT_V2)
		return f->max_inline > V2_INLINE_MAX || f->max_symlink > V2_SYMLINK_MAX
			       ? check_limits(p, err)
			       : 0;

	p->build_time = f->oldest;
	p->build_nsec = f->oldest_nsec;
	for (uint32_t l = 0; l < t->nr_lists && !p->has_acl; l++)
		for (uint32_t x = 0; x < t->lists[l]->nr; x++)
			if (!strcmp(t->lists[l]->xattr[x]->name, "system.posix_acl_access") ||
			    !strcmp(t->lists[l]->xattr[x]->name, "system.posix_acl_default"))
				p->has_acl = true;
	return f->max_external > EXTERNAL_MAX ? check_limits(p, err) : 0;
}

/* The reference keeps a total of xattr bytes while it adds its marks, in an unsigned number that
 * begins at 0 whatever is there: replacing a user's longer value makes it negative, and the
 * reference fails (image-format §5.5). No image of such a tree exists, so none is made here. */
static int check_marks(const struct erofs_plan *p, struct cairn_error *err)
{
	const struct stored *s = &p->stored;

	/* Only these and their directories get marks. */
	if (!p->tree->facts.nr_whiteouts)
		return 0;
	for (uint32_t i = 0; i < p->tree->nr_entries; i++) {
		static const enum mark dir_marks[] = {MARK_WHITEOUTS, MARK_USER_WHITEOUTS,
						      MARK_OPAQUE, MARK_USER_OPAQUE};
		static const enum mark file_marks[] = {MARK_WHITEOUT, MARK_USER_WHITEOUT};
		const struct node *n = p->tree->entries[i];
		const struct stored_list *l;
		const enum mark *marks;
		uint32_t nr_marks, nr;
		uint64_t total = 0;

		if (node_is_link(n) || !n->xattrs || p->format == CAIRN_FORMAT_V2)
			continue;
		if (S_ISDIR(n->mode) && stored_is_marked(s, n)) {
			marks = dir_marks;
			nr_marks = p->format == CAIRN_FORMAT_V1 ? 4 : 2;
		} else if (node_is_whiteout(n)) {
			marks = file_marks;
			nr_marks = 2;
		} else {
			continue;
		}

		l = s->lists[n->xattrs->id];
		nr = l->nr;
		for (uint32_t m = 0; m < nr_marks; m++) {
			const struct stored_xattr *mark = &s->marks[marks[m]];

			for (uint32_t x = 0; x < l->nr; x++) {
				if (strcmp(l->xattr[x].name, mark->name))
					continue;
				nr--;
				total = nr ? total - 7 - mark->name_len - l->xattr[x].value_len : 0;
			}
			total += 7u + mark->name_len + mark->value_len + (nr ? 0u : 12u);
			nr++;
			if (total > XATTR_TOTAL_MAX)
				return plan_refuse(
					err, -ERANGE, n,
					"has a longer value for an xattr that the image must set");
		}
	}
	return 0;
}

/* --- the order of inodes ------------------------------------------------------------------------ */

static int order_stubs(struct erofs_plan *p)
{
	const struct tree *t = p->tree;
	const struct node *const *child = (const struct node *const *)t->entries + 1;
	uint32_t nr = t->root->dir.nr, at = 0;
	char *name;

	p->stub = (struct node *)calloc(STUBS, sizeof(*p->stub) + 3);
	p->root_child = (const struct node **)malloc((nr + STUBS) * sizeof(*p->root_child));
	if (!p->stub || !p->root_child)
		return -ENOMEM;

	name = (char *)(p->stub + STUBS);
	for (uint32_t i = 0; i < STUBS; i++, name += 3) {
		struct node *stub = &p->stub[p->nr_stubs];
		const uint8_t byte = (uint8_t)i;

		hex_put(name, &byte, 1);
		while (at < nr && strcmp(child[at]->name, name) < 0)
			p->root_child[p->nr_root_children++] = child[at++];
		if (at < nr && !strcmp(child[at]->name, name))
			continue;
		*stub = (struct node){.parent = t->root,
				      .name = name,
				      .name_len = 2,
				      .mode = S_IFCHR | 0644,
				      .uid = t->root->uid,
				      .gid = t->root->gid,
				      .mtime = t->root->mtime,
				      .mtime_nsec = t->root->mtime_nsec,
				      .nlink = 1,
				      .index = t->nr_entries + p->nr_stubs++};
		p->root_child[p->nr_root_children++] = stub;
	}
	while (at < nr)
		p->root_child[p->nr_root_children++] = child[at++];
	return 0;
}

/* V0, V1: breadth first, which is how the tree's entries lie; a file where its non-link name is. */
static int order_breadth_first(struct erofs_plan *p)
{
	const struct tree *t = p->tree;
	const uint32_t below = 1 + t->root->dir.nr; /* place of what is below the root's children */
	int r;

	r = order_stubs(p);
	if (r < 0)
		return r;
	p->inode[p->nr_inodes++] = t->root;
	for (uint32_t i = 0; i < p->nr_root_children; i++)
		if (!node_is_link(p->root_child[i]))
			p->inode[p->nr_inodes++] = p->root_child[i];
	if (!t->facts.nr_links) {
		memcpy(p->inode + p->nr_inodes, t->entries + below,
		       (t->nr_entries - below) * sizeof(*p->inode));
		p->nr_inodes += t->nr_entries - below;
		return 0;
	}
	for (uint32_t i = below; i < t->nr_entries; i++) {
		const struct node *n = tree_entry(t, i);

		if (!node_is_link(n))
			p->inode[p->nr_inodes++] = n;
	}
	return 0;
}

/* V2: depth first, a file at its first name; its nlink is the number of its names. */
static int order_depth_first(struct erofs_plan *p)
{
	const struct tree *t = p->tree;

	p->nlink = (uint32_t *)calloc(t->nr_entries, sizeof(*p->nlink));
	if (!p->nlink)
		return -ENOMEM;
	for (const struct node *n = t->root; n; n = tree_next(t, t->root, n)) {
		const struct node *inode = node_inode(n);

		if (!p->nlink[inode->index]++)
			p->inode[p->nr_inodes++] = inode;
	}
	return 0;
}

/* --- all ------------------------------------------------------------------------------------- */

static int make_plan(struct erofs_plan *p, struct cairn_error *err)
{
	const struct tree *t = p->tree;
	int r;

	if (t->algs && !(t->algs & CAIRN_ALG_BIT(p->alg)))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "the tree has digests of the other algorithm only");
	r = survey(p, err);
	if (r < 0)
		return r;
	if (p->alg == CAIRN_SHA512 && p->format == CAIRN_FORMAT_V0)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "format V0 has SHA-256 digests only");
	r = stored_init(&p->stored, t, p->format, p->alg);
	if (r < 0)
		return r;
	r = check_marks(p, err);
	if (r < 0)
		return r;

	p->inode = (const struct node **)malloc((t->nr_inodes + (size_t)STUBS) * sizeof(*p->inode));
	p->nid = (uint32_t *)calloc(t->nr_entries + (size_t)STUBS, sizeof(*p->nid));
	if (!p->inode || !p->nid)
		return -ENOMEM;
	r = p->format == CAIRN_FORMAT_V2 ? order_depth_first(p) : order_breadth_first(p);
	if (!r)
		r = stored_share(&p->stored, p->nr_stubs, &p->team);
	return r < 0 ? r : plan_place_all(p, err);
}

int erofs_plan_new(const struct tree *tree, int format, enum cairn_alg alg, const struct team *team,
		   struct erofs_plan **ret, struct cairn_error *err)
{
	struct erofs_plan *p cleanup(erofs_plan) = NULL;
	int r;

	p = (struct erofs_plan *)calloc(1, sizeof(*p));
	if (!p)
		return error_errno(err, -ENOMEM, "plan the image");
	p->tree = tree;
	p->format = format;
	p->alg = alg;
	p->team = *team;
	/* All of them together are a small part of the image. */
	p->dir_marks = p->spills = p->checkpoints = BUF_INIT(SIZE_MAX);
	r = make_plan(p, err);
	if (r == -ENOMEM)
		return error_errno(err, r, "plan the image");
	if (r < 0)
		return r;
	*ret = take_ptr(p);
	return 0;
}

void erofs_plan_free(struct erofs_plan *p)
{
	if (!p)
		return;
	stored_fini(&p->stored);
	free(p->inode);
	free(p->nid);
	free(p->nlink);
	free(p->stub);
	free(p->root_child);
	free(p->dir);
	buf_fini(&p->dir_marks);
	buf_fini(&p->spills);
	buf_fini(&p->checkpoints);
	free(p);
}

int erofs_plan_format(const struct erofs_plan *p)
{
	return p->format;
}

uint64_t erofs_plan_size(const struct erofs_plan *p)
{
	return p->size;
}

uint64_t erofs_plan_inodes(const struct erofs_plan *p)
{
	return p->nr_inodes;
}
