/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Merging layers: what is looked up in them, and what of a file is kept. */
#include <errno.h>
#include <string.h>

#include "tar/merge-internal.h"

/* --- marks ----------------------------------------------------------------------------------- */

/* The first child from @at on whose name is not less than @name. */
static uint32_t lower_bound(const struct tree *t, uint32_t at, uint32_t end, const char *name,
			    size_t len)
{
	while (at < end) {
		uint32_t mid = at + (end - at) / 2;
		const struct node *n = t->entries[mid];

		if (compare_bytes(n->name, n->name_len, name, len) < 0)
			at = mid + 1;
		else
			end = mid;
	}
	return at;
}

static bool is_mark(const struct node *n)
{
	return n->name_len > LAYER_MARK_LEN && !memcmp(n->name, LAYER_MARK, LAYER_MARK_LEN);
}

uint32_t merge_marks(const struct tree *t, const struct node *dir, uint32_t *ret_end)
{
	uint32_t first = dir->dir.first, end = first + dir->dir.nr, at;

	/* Most directories have none, and most have no name that sorts before. */
	*ret_end = end;
	if (first == end || t->entries[first]->name[0] > '.')
		return end;
	at = lower_bound(t, first, end, LAYER_MARK, LAYER_MARK_LEN);
	if (at == end || !is_mark(t->entries[at]))
		return end;
	/* The least name that does not begin so. */
	*ret_end = lower_bound(t, at, end, ".wh/", LAYER_MARK_LEN);
	return at;
}

bool merge_opaque(const struct tree *t, const struct node *dir)
{
	if (!dir->dir.nr || t->entries[dir->dir.first]->name[0] > '.')
		return false;
	return tree_child(t, dir, LAYER_OPAQUE, sizeof(LAYER_OPAQUE) - 1, NULL);
}

enum implicit merge_implicit(const struct layer *l, const struct node *dir)
{
	return dir->xattrs ? (enum implicit)l->lists[dir->xattrs->id].implicit : NOT_IMPLICIT;
}

bool merge_is_link(const struct layer *l, const struct node *inode)
{
	return S_ISREG(inode->mode) && inode->xattrs && l->lists[inode->xattrs->id].link;
}

/* --- looking up ------------------------------------------------------------------------------ */

/* Where a look-up is: the directories that take part, topmost first. */
struct search {
	struct buf *from, *to; /* struct part; only layer and dir are used */
	bool hidden;           /* nothing below the lowest layer can be seen here */
};

static int add_found(struct buf *to, uint32_t layer, const struct node *dir)
{
	struct part p = {.layer = layer, .dir = dir};

	return buf_put(to, &p, sizeof(p));
}

/* One name of the path. @last: what is found may not be a directory, else it must be. Returns 1 when a
 * file was found, 0 to go on, or an error. */
static int find_name(struct merge *m, struct search *s, const char *name, size_t len, bool last,
		     uint32_t *ret_layer, const struct node **ret)
{
	const struct part *parts = (const struct part *)(void *)s->from->data;
	size_t nr = s->from->len / sizeof(*parts);
	char mark[LAYER_MARK_LEN + TREE_NAME_MAX] = LAYER_MARK;

	memcpy(mark + LAYER_MARK_LEN, name, MIN(len, (size_t)TREE_NAME_MAX - LAYER_MARK_LEN));
	s->to->len = 0;
	for (size_t i = 0; i < nr; i++) {
		const struct tree *t = m->layers[parts[i].layer].tree;
		const struct node *n = tree_child(t, parts[i].dir, name, len, NULL);
		bool removed = len <= TREE_NAME_MAX - LAYER_MARK_LEN &&
			       tree_child(t, parts[i].dir, mark, LAYER_MARK_LEN + len, NULL);

		if (n && node_is_dir(n)) {
			if (add_found(s->to, parts[i].layer, n) < 0)
				return -ENOMEM;
			removed |= merge_opaque(t, n);
		} else if (n && !s->to->len) {
			*ret_layer = parts[i].layer;
			*ret = node_inode(n);
			return last ? 1 : -ENOTDIR;
		} else if (n) {
			removed = true;
		}
		if (removed) {
			s->hidden = true;
			break;
		}
	}
	if (!s->to->len)
		return s->hidden ? -ENOENT : -EAGAIN;
	return last ? -EISDIR : 0;
}

int merge_find(struct merge *m, uint32_t end, const struct xattr *link, uint32_t *ret_layer,
	       const struct node **ret)
{
	struct search s = {&m->found[0], &m->found[1], false};
	const char *path = link->value;
	const char *stop = path + link->value_len;

	s.from->len = 0;
	for (uint32_t i = end; i-- && !s.hidden;) {
		const struct node *root = m->layers[i].tree->root;

		if (add_found(s.from, i, root) < 0)
			return -ENOMEM;
		s.hidden = merge_opaque(m->layers[i].tree, root);
	}
	while (path < stop) {
		const char *slash = (const char *)memchr(path, '/', (size_t)(stop - path));
		const char *name_end = slash ? slash : stop;
		struct buf *swap = s.from;
		int r;

		if ((size_t)(name_end - path) > TREE_NAME_MAX || name_end == path)
			return -ENOENT;
		r = find_name(m, &s, path, (size_t)(name_end - path), !slash, ret_layer, ret);
		if (r)
			return MIN(r, 0);
		s.from = s.to;
		s.to = swap;
		path = name_end + 1;
	}
	return -EISDIR;
}

/* --- what is kept ---------------------------------------------------------------------------- */

static bool begins(const struct xattr *x, const char *prefix)
{
	size_t len = strlen(prefix);

	return x->name_len >= len && !memcmp(x->name, prefix, len);
}

static bool is_named(const struct xattr *x, const char *name)
{
	return x->name_len == strlen(name) && begins(x, name);
}

/* oci-to-tree §6, oci-layers §8. */
static bool keep_xattr(const struct cairn_merge_options *o, const struct xattr *x)
{
	if (o->partial)
		return true;
	if (begins(x, LAYER_XATTR_PREFIX))
		return false;
	if (o->profile == CAIRN_PROFILE_RUNTIME)
		return !is_named(x, "security.selinux") && !is_named(x, "security.ima") &&
		       !is_named(x, "security.evm");
	return o->xattrs == CAIRN_XATTRS_ALL || is_named(x, "security.capability") ||
	       (o->xattrs == CAIRN_XATTRS_USER && begins(x, "user."));
}

int merge_xattrs(struct merge *m, struct layer *l, const struct xattr_list *from,
		 const struct xattr_list **ret)
{
	struct list_use *use;

	*ret = NULL;
	if (!from)
		return 0;
	use = &l->lists[from->id];
	if (!use->mapped) {
		m->inputs.len = 0;
		for (uint32_t i = 0; i < from->nr; i++) {
			const struct xattr *x = from->xattr[i];
			struct xattr_input in = {.name = x->name,
						 .name_len = x->name_len,
						 .value = x->value,
						 .value_len = x->value_len};

			if (keep_xattr(m->options, x) && buf_put(&m->inputs, &in, sizeof(in)) < 0)
				return -ENOMEM;
		}
		if (tree_xattrs(&m->shard, (struct xattr_input *)(void *)m->inputs.data,
				m->inputs.len / sizeof(struct xattr_input), &use->to) < 0)
			return -ENOMEM; /* less than what was a list already */
		use->mapped = true;
	}
	*ret = use->to;
	return 0;
}
