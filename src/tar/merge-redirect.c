/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Names that go through a symbolic link of a layer below (oci-layers §4): unpacked, they would be where it
 * leads to.
 *
 * The layer is parted in two: what is below the directory that is a link there, under the path that the link
 * leads to; and, under it, all the rest. A file with names in both is in the rest, with links to it.
 */
#include <errno.h>
#include <string.h>

#include "tar/merge-internal.h"

/* One of the two layers that a layer becomes. */
struct side {
	const struct tree *from;
	struct tree_shard shard;
	struct tree *tree;
	struct node **made; /* by index of a node of `from` */
};

static int side_init(struct side *s, const struct tree *from)
{
	*s = (struct side){.from = from};
	s->made = (struct node **)calloc(from->nr_entries, sizeof(struct node *));
	if (!s->made || tree_shard_init(&s->shard) < 0 || tree_new(&s->tree) < 0)
		return -ENOMEM;
	return 0;
}

static void side_fini(struct side *s)
{
	free(s->made);
	tree_shard_fini(&s->shard);
	tree_free(s->tree);
}

static int set_xattr(struct side *s, struct node *n, const char *name, const char *value,
		     size_t len)
{
	struct xattr_input in = {.name = name,
				 .name_len = (uint32_t)strlen(name),
				 .value = value,
				 .value_len = (uint32_t)len};

	return tree_xattrs(&s->shard, &in, 1, &n->xattrs);
}

static int copy_xattrs(struct side *s, struct node *to, const struct xattr_list *from)
{
	cleanup_free struct xattr_input *in = NULL;

	if (!from)
		return 0;
	in = (struct xattr_input *)calloc(from->nr, sizeof(*in));
	if (!in)
		return -ENOMEM;
	for (uint32_t i = 0; i < from->nr; i++)
		in[i] = (struct xattr_input){.name = from->xattr[i]->name,
					     .name_len = from->xattr[i]->name_len,
					     .value = from->xattr[i]->value,
					     .value_len = from->xattr[i]->value_len};
	return tree_xattrs(&s->shard, in, from->nr, &to->xattrs);
}

/* The node @n of the layer as a child of @dir. What it points to stays where it is: the layer lives longer.
 * @rest: the other side, which has the files that both have; NULL: this is it. */
static int add_node(struct side *s, struct node *dir, const struct node *n, const struct side *rest)
{
	const struct node *from = node_inode(n);
	struct node *to = tree_add(&s->shard, dir, n->name, n->name_len);
	struct node place;

	if (!to)
		return -ENOMEM;
	if (rest && !S_ISDIR(from->mode) && rest->made[from->index]) {
		const struct node *there = rest->made[from->index];
		char path[TREE_PATH_MAX * 2];

		if (node_path_len(there) >= sizeof(path))
			return -ENAMETOOLONG;
		node_path(there, path);
		to->mode = S_IFREG;
		to->nlink = 1;
		return set_xattr(s, to, LAYER_XATTR_LINK, path + 1, strlen(path + 1));
	}
	if (s->made[from->index]) {
		to->flags = NODE_HARDLINK;
		to->link.target = s->made[from->index];
		to->link.target->nlink++;
		return 0;
	}
	s->made[from->index] = to;
	place = *to;
	*to = *from;
	to->parent = place.parent;
	to->next = place.next;
	to->name = place.name;
	to->name_len = place.name_len;
	to->index = place.index;
	to->xattrs = NULL;
	to->nlink = 1;
	if (S_ISDIR(from->mode)) {
		to->flags = 0;
		to->dir.newest = NULL;
		to->dir.first = to->dir.nr = 0;
	}
	return copy_xattrs(s, to, from->xattrs);
}

static bool is_implicit(const struct node *n)
{
	for (uint32_t i = 0; n->xattrs && i < n->xattrs->nr; i++)
		if (!strcmp(n->xattrs->xattr[i]->name, LAYER_XATTR_IMPLICIT))
			return true;
	return false;
}

static bool is_below(const struct node *n, const struct node *top)
{
	while (n && n != top)
		n = n->parent;
	return n != NULL;
}

static int add_root(struct side *s)
{
	s->tree->root = tree_add(&s->shard, NULL, "", 0);
	if (!s->tree->root)
		return -ENOMEM;
	s->tree->root->mode = S_IFDIR | 0755;
	s->made[0] = s->tree->root;
	return set_xattr(s, s->tree->root, LAYER_XATTR_IMPLICIT, "", 0);
}

/* What is not below @at. */
static int fill_rest(struct side *s, const struct node *at)
{
	const struct tree *t = s->from;
	const struct node *n = tree_next(t, t->root, t->root);
	int r = add_root(s);

	if (!r && !is_implicit(t->root)) {
		s->tree->root->mode = t->root->mode;
		s->tree->root->uid = t->root->uid;
		s->tree->root->gid = t->root->gid;
		s->tree->root->mtime = t->root->mtime;
		s->tree->root->mtime_nsec = t->root->mtime_nsec;
		s->tree->root->xattrs = NULL;
		r = copy_xattrs(s, s->tree->root, t->root->xattrs);
	}
	while (n && !r) {
		if (n == at) { /* pass over all that is below */
			const struct node *next = n;

			do
				next = tree_next(t, t->root, next);
			while (next && is_below(next, at));
			n = next;
			continue;
		}
		r = add_node(s, s->made[n->parent->index], n, NULL);
		n = tree_next(t, t->root, n);
	}
	return r;
}

/* The directories of @path. */
static int add_path(struct side *s, const struct node *at, const char *path, struct node **ret)
{
	struct node *dir = s->tree->root;

	while (*path) {
		const char *slash = strchrnul(path, '/');
		struct node *n = tree_add(&s->shard, dir, path, (size_t)(slash - path));

		if (!n)
			return -ENOMEM;
		n->mode = S_IFDIR | 0755;
		if (copy_xattrs(s, n, at->xattrs) < 0) /* implicit, as it was */
			return -ENOMEM;
		dir = n;
		path = *slash ? slash + 1 : slash;
	}
	*ret = dir;
	return 0;
}

/* What is below @at, at @path. */
static int fill_moved(struct side *s, const struct node *at, const char *path,
		      const struct side *rest)
{
	const struct tree *t = s->from;
	struct node *dir = NULL;
	int r = add_root(s);

	if (!r)
		r = add_path(s, at, path, &dir);
	if (r < 0)
		return r;
	s->made[at->index] = dir;
	for (const struct node *n = tree_next(t, at, at); n && !r; n = tree_next(t, at, n))
		r = add_node(s, s->made[n->parent->index], n, rest);
	return r;
}

/* Where the link leads to, from the directory that it is in: without `..`, which ends at the root. */
static int join(const struct node *dir, const char *target, char *out, size_t size)
{
	size_t len = 0;

	if (*target != '/' && dir->parent) {
		len = node_path_len(dir) - 1;
		if (len + 2 > size)
			return -ENAMETOOLONG;
		{
			char path[TREE_PATH_MAX * 2];

			node_path(dir, path);
			memcpy(out, path + 1, len);
		}
	}
	for (const char *p = target; *p;) {
		const char *end = strchrnul(p, '/');
		size_t n = (size_t)(end - p);

		if (n == 2 && !memcmp(p, "..", 2)) {
			while (len && out[--len] != '/')
				;
		} else if (n && !(n == 1 && *p == '.')) {
			if (n > TREE_NAME_MAX || len + n + 2 > size)
				return -ENAMETOOLONG;
			if (len)
				out[len++] = '/';
			memcpy(out + len, p, n);
			len += n;
		}
		p = *end ? end + 1 : end;
	}
	out[len] = '\0';
	return 0;
}

int merge_redirect(const struct tree *layer, const struct node *at, const char *target,
		   struct tree **ret_rest, struct tree **ret_moved)
{
	char path[TREE_PATH_MAX + 1];
	struct side rest, moved;
	int r;

	r = join(at->parent, target, path, sizeof(path));
	if (r < 0)
		return r;
	r = side_init(&rest, layer);
	r = side_init(&moved, layer) < 0 ? -ENOMEM : r;
	if (!r)
		r = fill_rest(&rest, at);
	if (!r)
		r = fill_moved(&moved, at, path, &rest);
	if (!r)
		r = tree_index(rest.tree, &rest.shard, 1, NULL, NULL);
	if (!r)
		r = tree_seal(rest.tree, false, NULL);
	if (!r)
		r = tree_index(moved.tree, &moved.shard, 1, NULL, NULL);
	if (!r)
		r = tree_seal(moved.tree, false, NULL);
	if (!r) {
		*ret_rest = take_ptr(rest.tree);
		*ret_moved = take_ptr(moved.tree);
	}
	side_fini(&rest);
	side_fini(&moved);
	return r;
}
