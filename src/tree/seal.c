/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Sealing a tree: hard links followed to their ends, every fact checked, names counted. */
#include <errno.h>

#include "tree/tree.h"

static int bad_node(struct cairn_error *err, int code, const struct node *n, const char *words)
{
	char path[NODE_PATH_QUOTED_MAX];

	return error_set(err, code, CAIRN_ERROR_FORMAT, "%s: %s", node_path_quoted(n, path), words);
}

/* Points @n at the end of its chain, and with it every link on the way, so that each is walked
 * once. */
static int follow_link(struct tree *t, struct node *n, bool compat, struct cairn_error *err)
{
	struct node *end = n;
	uint32_t steps = 0;

	while (node_is_link(end)) {
		if (!end->link.target)
			return bad_node(err, -EINVAL, n, "hard link without a target");
		if (steps++ > t->nr_entries)
			return bad_node(err, -ELOOP, n, "hard links lead in a circle");
		end = end->link.target;
	}
	if (S_ISDIR(end->mode) && !compat)
		return bad_node(err, -EINVAL, n,
				"hard link to a directory, which no file system allows");

	for (struct node *next; node_is_link(n); n = next) {
		next = n->link.target;
		n->link.target = end;
	}
	return 0;
}

static int check_node(struct tree *t, const struct node *n, bool *first_digest,
		      struct cairn_error *err)
{
	if (!n->name_len && n->parent)
		return bad_node(err, -EINVAL, n, "a name without bytes");

	switch (n->mode & S_IFMT) {
	case S_IFREG:
		if (n->flags & NODE_INLINE && n->size > TREE_CONTENT_MAX)
			return bad_node(err, -EINVAL, n, "more than 5000 bytes of inline content");
		if (node_is_external(n) && n->flags & (NODE_SHA256 | NODE_SHA512)) {
			unsigned int algs = 0;

			if (n->flags & NODE_SHA256)
				algs |= CAIRN_ALG_BIT(CAIRN_SHA256);
			if (n->flags & NODE_SHA512)
				algs |= CAIRN_ALG_BIT(CAIRN_SHA512);
			t->algs = *first_digest ? algs : t->algs & algs;
			*first_digest = false;
			if (!t->algs)
				return bad_node(
					err, -EINVAL, n,
					"a digest of another algorithm than the files before it");
		}
		return 0;
	case S_IFLNK:
		if (!n->size || n->size > TREE_PATH_MAX)
			return bad_node(err, -EINVAL, n,
					"the target of a symbolic link has 1 to 4095 bytes");
		return 0;
	case S_IFDIR:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return bad_node(err, -EINVAL, n, "unknown file type");
	}
}

/* The digests that every file with a digest has; 0 when there is none, or two have none in common. */
static unsigned int common_algs(const struct tree_facts *f)
{
	uint8_t all = f->any_digest & (uint8_t)~f->lacks_digest;

	return (all & NODE_SHA256 ? CAIRN_ALG_BIT(CAIRN_SHA256) : 0u) |
	       (all & NODE_SHA512 ? CAIRN_ALG_BIT(CAIRN_SHA512) : 0u);
}

/* When the facts say that nothing is wrong, only hard links are looked at. */
int tree_seal(struct tree *t, bool compat, struct cairn_error *err)
{
	const struct tree_facts *f = &t->facts;
	bool first_digest = true;
	bool look = f->unsure || (f->any_digest && !common_algs(f));
	int r = 0;

	if (!S_ISDIR(t->root->mode))
		return bad_node(err, -ENOTDIR, t->root, "the root is not a directory");

	t->algs = look ? 0 : common_algs(f);
	for (uint32_t i = 0; (look || f->nr_links) && !r && i < t->nr_entries; i++) {
		struct node *n = tree_entry(t, i);

		if (node_is_link(n))
			r = follow_link(t, n, compat, err);
		else if (look)
			r = check_node(t, n, &first_digest, err);
	}
	t->nr_inodes = t->nr_entries - f->nr_links;
	return r;
}
