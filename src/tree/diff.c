/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Where two trees differ: both are walked at once, depth first, and names that stand on both sides
 * are compared fact by fact.
 *
 * Which name of a file carries its facts is a matter of the source, so the first in the walk stands
 * for all of them: names are equal links when those are.
 */
#include "tree/diff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/hex.h"

#define VALUE_MAX 256 /* bytes of a value in the report */

struct side {
	const struct tree *tree;
	uint32_t *first; /* by inode index: index of its first name; NULL: the tree has no links */
};

struct diff {
	struct side a, b;
	int (*fn)(void *arg, const struct cairn_difference *difference);
	void *arg;
	int64_t found;
	struct buf path;
};

typedef char value[VALUE_MAX];

static int find_first_names(struct side *s)
{
	const struct tree *t = s->tree;

	if (t->nr_inodes == t->nr_entries)
		return 0;
	s->first = (uint32_t *)malloc(t->nr_entries * sizeof(*s->first));
	if (!s->first)
		return -ENOMEM;
	memset(s->first, 0xff, t->nr_entries * sizeof(*s->first));
	for (const struct node *n = t->root; n; n = tree_next(t, t->root, n))
		if (s->first[node_inode(n)->index] == UINT32_MAX)
			s->first[node_inode(n)->index] = n->index;
	return 0;
}

static const struct node *first_name(const struct side *s, const struct node *n)
{
	return s->first ? s->tree->entries[s->first[node_inode(n)->index]] : n;
}

/* --- reporting ------------------------------------------------------------------------------------ */

static int report(struct diff *d, const struct node *n, const char *field, const char *a,
		  const char *b)
{
	struct cairn_difference difference = {.field = field, .a = a, .b = b};

	d->path.len = 0;
	if (buf_reserve(&d->path, node_path_len(n) + 1) < 0)
		return -ENOMEM;
	node_path(n, d->path.data);
	difference.path = d->path.data;
	d->found++;
	return MIN(d->fn(d->arg, &difference), 0);
}

static int report_number(struct diff *d, const struct node *n, const char *field, const char *fmt,
			 uint64_t a, uint64_t b)
{
	value va, vb;

	if (a == b)
		return 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(va, sizeof(va), fmt, a);
	snprintf(vb, sizeof(vb), fmt, b);
#pragma GCC diagnostic pop
	return report(d, n, field, va, vb);
}

static const char *type_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	case S_IFIFO:
		return "fifo";
	default:
		return "socket";
	}
}

/* A name that only one side has; of a directory, with what is below it. */
static int report_entry(struct diff *d, const struct side *s, const struct node *n)
{
	const char *type = type_name(node_inode(n)->mode);
	uint64_t below = 0;
	value v;

	for (const struct node *next = n; (next = tree_next(s->tree, n, next));)
		below++;
	if (below)
		snprintf(v, sizeof(v), "%s with %" PRIu64 " names", type, below);
	else
		snprintf(v, sizeof(v), "%s", type);
	return report(d, n, "entry", s == &d->a ? v : NULL, s == &d->a ? NULL : v);
}

/* --- facts ------------------------------------------------------------------------------------------ */

static void show_bytes(const char *data, size_t size, value out)
{
	error_quote(data, size, out, VALUE_MAX);
}

/* The content of a regular file, as far as the tree knows it. */
static void show_content(const struct node *n, enum cairn_alg alg, value out)
{
	const uint8_t *digest;
	char *p = out;

	if (!n->size) {
		snprintf(out, VALUE_MAX, "empty");
	} else if (n->flags & NODE_INLINE) {
		p += snprintf(out, VALUE_MAX, "inline ");
		error_quote((const char *)n->inl.content, (size_t)n->size, p, VALUE_MAX - 7);
	} else if ((digest = node_digest(n, alg))) {
		p += snprintf(out, VALUE_MAX, "%s:", alg == CAIRN_SHA256 ? "sha256" : "sha512");
		p = hex_put(p, digest, cairn_digest_size(alg));
		*p = '\0';
	} else {
		snprintf(out, VALUE_MAX, "object of unknown digest");
	}
}

static int diff_content(struct diff *d, const struct node *name, const struct node *a,
			const struct node *b)
{
	enum cairn_alg alg = node_is_external(a) && node_is_external(b) &&
					     a->flags & b->flags & NODE_SHA512 &&
					     !(a->flags & b->flags & NODE_SHA256)
				     ? CAIRN_SHA512
				     : CAIRN_SHA256;
	char path_a[OBJECT_PATH_MAX], path_b[OBJECT_PATH_MAX];
	const char *payload_a, *payload_b;
	value va, vb;
	int r;

	r = report_number(d, name, "size", "%" PRIu64, a->size, b->size);
	if (r < 0)
		return r;
	/* Shown values are cut; compared they are whole. */
	show_content(a, alg, va);
	show_content(b, alg, vb);
	if (a->flags & b->flags & NODE_INLINE && a->size == b->size) {
		if (memcmp(a->inl.content, b->inl.content, (size_t)a->size))
			return report(d, name, "content", va, vb);
		return 0;
	}
	if (strcmp(va, vb)) {
		r = report(d, name, "content", va, vb);
		if (r < 0)
			return r;
	}
	if (!node_is_external(a) || !node_is_external(b) ||
	    (a->flags & b->flags & NODE_OBJECT_PATH))
		return 0;
	payload_a = node_payload(a, alg, path_a);
	payload_b = node_payload(b, alg, path_b);
	if (!payload_a != !payload_b || (payload_a && strcmp(payload_a, payload_b)))
		return report(d, name, "payload", payload_a, payload_b);
	return 0;
}

static int compare_xattr_names(const struct xattr *a, const struct xattr *b)
{
	return strcmp(a->name, b->name);
}

static int diff_xattrs(struct diff *d, const struct node *name, const struct xattr_list *la,
		       const struct xattr_list *lb)
{
	uint32_t na = la ? la->nr : 0, nb = lb ? lb->nr : 0;

	for (uint32_t i = 0, j = 0; i < na || j < nb;) {
		const struct xattr *a = i < na ? la->xattr[i] : NULL;
		const struct xattr *b = j < nb ? lb->xattr[j] : NULL;
		char field[XATTR_NAME_MAX + sizeof("xattr ")];
		int c = !a ? 1 : !b ? -1 : compare_xattr_names(a, b);
		value va, vb;
		int r;

		i += c <= 0;
		j += c >= 0;
		if (!c && a->value_len == b->value_len && !memcmp(a->value, b->value, a->value_len))
			continue;
		snprintf(field, sizeof(field), "xattr %s", c <= 0 ? a->name : b->name);
		if (c <= 0)
			show_bytes(a->value, a->value_len, va);
		if (c >= 0)
			show_bytes(b->value, b->value_len, vb);
		r = report(d, name, field, c <= 0 ? va : NULL, c >= 0 ? vb : NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

static int diff_mtime(struct diff *d, const struct node *name, const struct node *a,
		      const struct node *b)
{
	value va, vb;

	if (a->mtime == b->mtime && a->mtime_nsec == b->mtime_nsec)
		return 0;
	snprintf(va, sizeof(va), "%" PRId64 ".%09" PRIu32, a->mtime, a->mtime_nsec);
	snprintf(vb, sizeof(vb), "%" PRId64 ".%09" PRIu32, b->mtime, b->mtime_nsec);
	return report(d, name, "mtime", va, vb);
}

static int diff_by_type(struct diff *d, const struct node *name, const struct node *a,
			const struct node *b)
{
	switch (a->mode & S_IFMT) {
	case S_IFREG:
		return diff_content(d, name, a, b);
	case S_IFLNK:
		if (strcmp(a->symlink.target, b->symlink.target))
			return report(d, name, "target", a->symlink.target, b->symlink.target);
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		return report_number(d, name, "rdev", "0x%" PRIx64, a->device.rdev, b->device.rdev);
	default:
		return 0;
	}
}

static int diff_inodes(struct diff *d, const struct node *name, const struct node *a,
		       const struct node *b)
{
	int r;

	if ((a->mode & S_IFMT) != (b->mode & S_IFMT))
		return report(d, name, "type", type_name(a->mode), type_name(b->mode));
	r = report_number(d, name, "mode", "%04" PRIo64, a->mode & 07777u, b->mode & 07777u);
	if (!r)
		r = report_number(d, name, "uid", "%" PRIu64, a->uid, b->uid);
	if (!r)
		r = report_number(d, name, "gid", "%" PRIu64, a->gid, b->gid);
	if (!r && !S_ISDIR(a->mode))
		r = report_number(d, name, "nlink", "%" PRIu64, a->nlink, b->nlink);
	if (!r)
		r = diff_mtime(d, name, a, b);
	if (!r)
		r = diff_by_type(d, name, a, b);
	return r ? r : diff_xattrs(d, name, a->xattrs, b->xattrs);
}

/* --- the walk --------------------------------------------------------------------------------------- */

static int compare_paths(const struct node *a, const struct node *b)
{
	for (; a->parent && b->parent; a = a->parent, b = b->parent)
		if (strcmp(a->name, b->name))
			return 1;
	return a->parent != b->parent;
}

/* One name that both sides have. */
static int diff_name(struct diff *d, const struct node *a, const struct node *b)
{
	const struct node *first_a = first_name(&d->a, a), *first_b = first_name(&d->b, b);
	cleanup_free char *path_a = NULL, *path_b = NULL;

	if (compare_paths(first_a, first_b)) {
		path_a = (char *)malloc(node_path_len(first_a) + 1);
		path_b = (char *)malloc(node_path_len(first_b) + 1);
		if (!path_a || !path_b)
			return -ENOMEM;
		node_path(first_a, path_a);
		node_path(first_b, path_b);
		return report(d, a, "hardlink", first_a == a ? NULL : path_a,
			      first_b == b ? NULL : path_b);
	}
	/* A file's facts are reported once. */
	return first_a == a ? diff_inodes(d, a, node_inode(a), node_inode(b)) : 0;
}

/* A pair of directories, and how far their children are. */
struct level {
	const struct node *a, *b;
	uint32_t i, j;
};

static int diff_children(struct diff *d, struct level *l, struct level *ret_below)
{
	const struct node *a = NULL, *b = NULL;
	int c, r;

	if (l->i < l->a->dir.nr)
		a = d->a.tree->entries[l->a->dir.first + l->i];
	if (l->j < l->b->dir.nr)
		b = d->b.tree->entries[l->b->dir.first + l->j];
	c = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
	l->i += c <= 0;
	l->j += c >= 0;
	if (c)
		return report_entry(d, c < 0 ? &d->a : &d->b, c < 0 ? a : b);

	r = diff_name(d, a, b);
	if (!r && node_is_dir(a) && node_is_dir(b))
		*ret_below = (struct level){.a = a, .b = b};
	return r;
}

static int diff_all(struct diff *d)
{
	struct buf levels cleanup_buf = BUF_INIT(SIZE_MAX / 4);
	struct level below = {.a = d->a.tree->root, .b = d->b.tree->root};
	int r;

	r = diff_name(d, below.a, below.b);
	if (!r)
		r = buf_put(&levels, &below, sizeof(below));
	while (!r && levels.len) {
		struct level *l = (struct level *)(void *)(levels.data + levels.len) - 1;

		if (l->i == l->a->dir.nr && l->j == l->b->dir.nr) {
			levels.len -= sizeof(*l);
			continue;
		}
		below.a = NULL;
		r = diff_children(d, l, &below);
		if (!r && below.a)
			r = buf_put(&levels, &below, sizeof(below));
	}
	return r;
}

int64_t tree_diff(const struct tree *a, const struct tree *b,
		  int (*fn)(void *arg, const struct cairn_difference *difference), void *arg)
{
	struct diff d = {.a = {.tree = a},
			 .b = {.tree = b},
			 .fn = fn,
			 .arg = arg,
			 .path = BUF_INIT(SIZE_MAX / 4)};
	int r;

	r = find_first_names(&d.a);
	if (!r)
		r = find_first_names(&d.b);
	if (!r)
		r = diff_all(&d);
	free(d.a.first);
	free(d.b.first);
	buf_fini(&d.path);
	return r < 0 ? r : d.found;
}
