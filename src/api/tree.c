/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Looking inside trees. */
#include <errno.h>

#include "api/api-internal.h"
#include "base/buf.h"
#include "dump/print.h"
#include "tree/diff.h"
#include "tree/objects.h"

void cairn_tree_free(struct cairn_tree *tree)
{
	tree_free((struct tree *)tree);
}

static int find_top(const struct tree *t, const char *path, const struct node **ret,
		    struct cairn_error *err)
{
	*ret = path ? tree_lookup(t, path, strlen(path), NULL) : t->root;
	if (!*ret)
		return error_errno(err, -ENOENT, "%s", path);
	return 0;
}

/* --- entries -------------------------------------------------------------------------------------- */

struct walk {
	struct buf path, hardlink, xattrs;
};

static int put_path(struct buf *b, const struct node *n)
{
	size_t len = node_path_len(n);

	b->len = 0;
	if (buf_reserve(b, len + 1) < 0)
		return -ENOMEM;
	node_path(n, b->data);
	b->len = len;
	return 0;
}

static int put_xattrs(struct buf *b, const struct xattr_list *l)
{
	b->len = 0;
	for (uint32_t i = 0; l && i < l->nr; i++) {
		struct cairn_xattr x = {l->xattr[i]->name, l->xattr[i]->value,
					l->xattr[i]->value_len};

		if (buf_put(b, &x, sizeof(x)) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* What only regular files and links have. */
static void fill_content(const struct node *n, enum cairn_alg alg, char object[OBJECT_PATH_MAX],
			 struct cairn_entry *e)
{
	const uint8_t *digest;

	if (S_ISLNK(n->mode)) {
		e->payload = n->symlink.target;
	} else if (S_ISREG(n->mode) && n->flags & NODE_INLINE) {
		e->content = n->inl.content;
	} else if (node_is_external(n)) {
		digest = node_digest(n, alg);
		e->payload = node_payload(n, alg, object);
		if (digest) {
			e->digest.alg = alg;
			memcpy(e->digest.bytes, digest, cairn_digest_size(alg));
		}
	}
}

static int call_entry(const struct tree *t, const struct node *name, struct walk *w,
		      cairn_entry_fn fn, void *arg)
{
	const struct node *n = node_inode(name);
	char object[OBJECT_PATH_MAX];
	struct cairn_entry e;

	if (put_path(&w->path, name) < 0 || put_xattrs(&w->xattrs, n->xattrs) < 0 ||
	    (node_is_link(name) && put_path(&w->hardlink, n) < 0))
		return -ENOMEM;
	e = (struct cairn_entry){.path = w->path.data,
				 .path_len = w->path.len,
				 .mode = n->mode,
				 .nlink = n->nlink,
				 .uid = n->uid,
				 .gid = n->gid,
				 .mtime = n->mtime,
				 .mtime_nsec = n->mtime_nsec,
				 .hardlink = node_is_link(name) ? w->hardlink.data : NULL,
				 .xattrs = (const struct cairn_xattr *)(void *)w->xattrs.data,
				 .nr_xattrs = n->xattrs ? n->xattrs->nr : 0};
	if (S_ISREG(n->mode) || S_ISLNK(n->mode))
		e.size = n->size;
	if (S_ISCHR(n->mode) || S_ISBLK(n->mode))
		e.rdev = n->device.rdev;
	fill_content(n, tree_alg(t), object, &e);
	return fn(arg, &e);
}

int cairn_tree_walk(const struct cairn_tree *tree, const char *path, cairn_entry_fn fn, void *arg,
		    struct cairn_error *err)
{
	const struct tree *t = tree_from_public(tree);
	struct walk w = {BUF_INIT(SIZE_MAX / 4), BUF_INIT(SIZE_MAX / 4), BUF_INIT(SIZE_MAX / 4)};
	const struct node *top;
	int r;

	r = find_top(t, path, &top, err);
	if (r < 0)
		return r;
	for (const struct node *n = top; n && r >= 0; n = tree_next(t, top, n))
		r = call_entry(t, n, &w, fn, arg);
	buf_fini(&w.path);
	buf_fini(&w.hardlink);
	buf_fini(&w.xattrs);
	if (r == -ENOMEM)
		return error_errno(err, r, "walk the tree");
	return MIN(r, 0);
}

int cairn_tree_print(const struct cairn_tree *tree, enum cairn_print how, const char *path,
		     cairn_write_fn write, void *arg, struct cairn_error *err)
{
	const struct tree *t = tree_from_public(tree);
	const struct node *top;
	int r;

	if (how != CAIRN_PRINT_DUMP && how != CAIRN_PRINT_LS)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "no such way to print: %d",
				 (int)how);
	r = find_top(t, path, &top, err);
	if (r < 0)
		return r;
	r = dump_print(t, how, top, write, arg);
	return r < 0 ? error_errno(err, r, "print the tree") : 0;
}

/* --- objects and counts ----------------------------------------------------------------------------- */

int cairn_tree_objects(const struct cairn_tree *tree, int (*fn)(void *arg, const char *object_path),
		       void *arg)
{
	const struct tree *t = tree_from_public(tree);
	cleanup_free struct object_use *use = NULL;
	int64_t nr = tree_objects(t, &use);
	int r = 0;

	if (nr < 0)
		return (int)nr;
	for (int64_t i = 0; i < nr && r >= 0; i++) {
		char buf[OBJECT_PATH_MAX];

		r = fn(arg, node_payload(use[i].node, tree_alg(t), buf));
	}
	return MIN(r, 0);
}

int cairn_tree_stat(const struct cairn_tree *tree, struct cairn_tree_stats *ret)
{
	const struct tree *t = tree_from_public(tree);
	cleanup_free struct object_use *use = NULL;
	struct cairn_tree_stats s = {.names = t->nr_entries, .inodes = t->nr_inodes};
	int64_t nr = tree_objects(t, &use);

	if (nr < 0)
		return (int)nr;
	s.objects = (uint64_t)nr;
	for (int64_t i = 0; i < nr; i++)
		s.object_bytes += use[i].node->size;
	for (uint32_t i = 0; i < t->nr_entries; i++) {
		const struct node *n = t->entries[i];

		if (node_is_link(n))
			continue;
		s.directories += S_ISDIR(n->mode);
		s.files += S_ISREG(n->mode);
		s.symlinks += S_ISLNK(n->mode);
		if (S_ISREG(n->mode) && n->flags & NODE_INLINE)
			s.inline_files++;
		if (node_is_external(n)) {
			s.external_files++;
			s.external_bytes += n->size;
		}
	}
	s.others = s.inodes - s.directories - s.files - s.symlinks;
	*ret = s;
	return 0;
}

int64_t cairn_tree_diff(const struct cairn_tree *a, const struct cairn_tree *b,
			int (*fn)(void *arg, const struct cairn_difference *difference), void *arg)
{
	return tree_diff(tree_from_public(a), tree_from_public(b), fn, arg);
}
