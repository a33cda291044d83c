/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The objects that a tree's files need, each once. */
#include "tree/objects.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

enum cairn_alg tree_alg(const struct tree *t)
{
	return t->algs == CAIRN_ALG_BIT(CAIRN_SHA512) ? CAIRN_SHA512 : CAIRN_SHA256;
}

static int compare_paths(const struct node *a, const struct node *b, enum cairn_alg alg)
{
	char buf_a[OBJECT_PATH_MAX], buf_b[OBJECT_PATH_MAX];

	return strcmp(node_payload(a, alg, buf_a), node_payload(b, alg, buf_b));
}

static int compare(const void *pa, const void *pb, void *alg)
{
	const struct object_use *a = (const struct object_use *)pa;
	const struct object_use *b = (const struct object_use *)pb;

	if (a->key != b->key)
		return a->key > b->key ? 1 : -1;
	return compare_paths(a->node, b->node, *(const enum cairn_alg *)alg);
}

int64_t tree_objects(const struct tree *t, struct object_use **ret)
{
	enum cairn_alg alg = tree_alg(t);
	struct object_use *use;
	size_t nr = 0, unique = 0;

	for (uint32_t i = 0; i < t->nr_entries; i++)
		nr += node_is_external(t->entries[i]);
	use = (struct object_use *)malloc((nr + 1) * sizeof(*use));
	if (!use)
		return -ENOMEM;

	nr = 0;
	for (uint32_t i = 0; i < t->nr_entries; i++) {
		const struct node *n = tree_entry(t, i);
		char buf[OBJECT_PATH_MAX];
		const char *path;
		uint64_t key = 0;

		if (!node_is_external(n))
			continue;
		path = node_payload(n, alg, buf);
		if (!path)
			continue;
		memcpy(&key, path, strnlen(path, sizeof(key)));
		use[nr++] = (struct object_use){be64toh(key), n};
	}
	qsort_r(use, nr, sizeof(*use), compare, &alg);
	for (size_t i = 0; i < nr; i++)
		if (!unique || compare(&use[unique - 1], &use[i], &alg))
			use[unique++] = use[i];
	*ret = use;
	return (int64_t)unique;
}

/* Place of @digest among @nr of @size bytes each, which are sorted; it is there. */
static size_t find_digest(const uint8_t *digests, size_t nr, const uint8_t *digest, size_t size)
{
	size_t low = 0;
	size_t high = nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(digests + mid * size, digest, size) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int tree_set_digests(struct tree *t, enum cairn_alg alg, const uint8_t *digests, size_t nr)
{
	enum cairn_alg old_alg = tree_alg(t);
	size_t old_size = cairn_digest_size(old_alg);
	size_t size = cairn_digest_size(alg);
	cleanup_free uint8_t *old = (uint8_t *)malloc(nr * old_size + 1);
	cleanup_free struct object_use *use = NULL;
	uint8_t *copy = (uint8_t *)arena_alloc_aligned(&t->arena, nr * size + 1, 1);
	int64_t found = tree_objects(t, &use);

	if (!old || !copy || found < 0)
		return -ENOMEM;
	if ((uint64_t)found != nr)
		return -EINVAL;
	memcpy(copy, digests, nr * size);
	for (size_t i = 0; i < nr; i++)
		memcpy(old + i * old_size, node_digest(use[i].node, old_alg), old_size);
	for (uint32_t i = 0; i < t->nr_entries; i++) {
		struct node *n = t->entries[i];

		if (!node_is_external(n))
			continue;
		n->file.digest =
			copy + find_digest(old, nr, node_digest(n, old_alg), old_size) * size;
		n->flags &= (uint8_t) ~(NODE_SHA256 | NODE_SHA512);
		n->flags |= alg == CAIRN_SHA256 ? NODE_SHA256 : NODE_SHA512;
	}
	t->algs = nr ? CAIRN_ALG_BIT(alg) : t->algs;
	return 0;
}
