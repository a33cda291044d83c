/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Finding nodes by name, and names by node. */
#include <stdio.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "tree/tree.h"

size_t object_path(char out[OBJECT_PATH_MAX], const uint8_t *digest, size_t size)
{
	char *p = hex_put(out, digest, 1);

	*p++ = '/';
	p = hex_put(p, digest + 1, size - 1);
	*p = '\0';
	return (size_t)(p - out);
}

const char *node_payload(const struct node *n, enum cairn_alg alg, char buf[OBJECT_PATH_MAX])
{
	const uint8_t *digest;

	if (!(n->flags & NODE_OBJECT_PATH))
		return n->file.payload;
	digest = node_digest(n, alg);
	if (!digest)
		return NULL;
	object_path(buf, digest, cairn_digest_size(alg));
	return buf;
}

static int compare(const struct node *n, const char *name, size_t name_len)
{
	return compare_bytes(n->name, n->name_len, name, name_len);
}

/* Gallops from the hint before it bisects: looking names up in order costs one comparison each. */
struct node *tree_child(const struct tree *t, const struct node *dir, const char *name,
			size_t name_len, uint32_t *hint)
{
	struct node *const *child;
	uint32_t low = 0, high, step = 1;

	if (!node_is_dir(dir) || !dir->dir.nr)
		return NULL;

	child = t->entries + dir->dir.first;
	high = dir->dir.nr;
	if (hint && *hint >= dir->dir.first && *hint - dir->dir.first < high) {
		uint32_t at = *hint - dir->dir.first;

		if (compare(child[at], name, name_len) <= 0) {
			low = at;
			while (low + step < high &&
			       compare(child[low + step], name, name_len) < 0) {
				low += step;
				step *= 2;
			}
			if (low + step < high)
				high = low + step + 1;
		} else {
			high = at;
		}
	}
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int c = compare(child[mid], name, name_len);

		if (!c) {
			if (hint)
				*hint = dir->dir.first + mid;
			return child[mid];
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

struct node *tree_lookup(const struct tree *t, const char *path, size_t len, uint32_t *hint)
{
	struct node *n = t->root;
	size_t i = 0;

	while (n) {
		size_t start;

		while (i < len && path[i] == '/')
			i++;
		if (i == len)
			return n;
		for (start = i; i < len && path[i] != '/';)
			i++;
		n = tree_child(t, n, path + start, i - start, hint);
	}
	return NULL;
}

const struct node *tree_next(const struct tree *t, const struct node *top, const struct node *n)
{
	if (node_is_dir(n) && n->dir.nr)
		return t->entries[n->dir.first];
	while (n != top && n->index + 1 == n->parent->dir.first + n->parent->dir.nr)
		n = n->parent;
	return n == top ? NULL : t->entries[n->index + 1];
}

size_t node_path_len(const struct node *n)
{
	size_t len = 0;

	if (!n->parent)
		return 1;
	for (; n->parent; n = n->parent)
		len += 1 + (size_t)n->name_len;
	return len;
}

void node_path(const struct node *n, char *out)
{
	size_t at = node_path_len(n);

	out[at] = '\0';
	if (!n->parent)
		out[0] = '/';
	for (; n->parent; n = n->parent) {
		at -= n->name_len;
		memcpy(out + at, n->name, n->name_len);
		out[--at] = '/';
	}
}

const char *node_path_quoted(const struct node *n, char out[NODE_PATH_QUOTED_MAX])
{
	char raw[NODE_PATH_QUOTED_MAX / 2];
	size_t len = node_path_len(n);
	size_t at = sizeof(raw) - 1;
	cleanup_free char *path = NULL;

	if (len < at) {
		node_path(n, raw);
		return error_quote(raw, len, out, NODE_PATH_QUOTED_MAX);
	}
	path = (char *)malloc(len + 1);
	if (!path)
		return error_quote(n->name, n->name_len, out, NODE_PATH_QUOTED_MAX);
	node_path(n, path);
	snprintf(raw, sizeof(raw), "%.100s…%s", path, path + len - 100);
	return error_quote(raw, strlen(raw), out, NODE_PATH_QUOTED_MAX);
}
