/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Sorting the children of a directory by the bytes of their names.
 *
 * Eight bytes of each name at a time are kept beside the pointer as one big-endian number; numbers
 * are sorted, and only groups of equal ones look at their next eight bytes. So a name is fetched
 * from memory once for each eight bytes that others share, and the cost stays linear in a directory
 * with a million entries. Names have no NUL, so a number with NULs at its end is a whole name.
 */
#include "tree/sort-internal.h"

#include <endian.h>
#include <errno.h>

/* From here on counting by bytes beats comparing. */
#define RADIX_MIN 256

struct item {
	uint64_t key;
	struct node *node;
};

static uint64_t key_at(const struct node *n, size_t depth)
{
	uint64_t key = 0;

	if (depth < n->name_len)
		memcpy(&key, n->name + depth, MIN((size_t)(n->name_len - depth), sizeof(key)));
	return be64toh(key);
}

static void insertion_sort(struct item *a, size_t nr)
{
	for (size_t i = 1; i < nr; i++) {
		struct item x = a[i];
		size_t j = i;

		for (; j && a[j - 1].key > x.key; j--)
			a[j] = a[j - 1];
		a[j] = x;
	}
}

static void merge_sort(struct item *a, struct item *scratch, size_t nr)
{
	size_t half = nr / 2;
	size_t i = 0, j = half, o = 0;

	if (nr <= 16) {
		insertion_sort(a, nr);
		return;
	}
	merge_sort(a, scratch, half);
	merge_sort(a + half, scratch, nr - half);
	if (a[half - 1].key <= a[half].key)
		return;
	memcpy(scratch, a, half * sizeof(*a));
	while (i < half && j < nr)
		a[o++] = a[j].key < scratch[i].key ? a[j++] : scratch[i++];
	memcpy(a + o, scratch + i, (half - i) * sizeof(*a));
}

/* Least significant byte first, bytes that are all the same skipped; stable. */
static void radix_sort(struct item *a, struct item *scratch, size_t nr)
{
	size_t count[8][256] = {{0}};
	struct item *from = a, *to = scratch;

	for (size_t i = 0; i < nr; i++)
		for (unsigned int byte = 0; byte < 8; byte++)
			count[byte][a[i].key >> (8 * byte) & 255]++;

	for (unsigned int byte = 0; byte < 8; byte++) {
		struct item *swap = from;
		size_t at = 0;

		if (count[byte][from[0].key >> (8 * byte) & 255] == nr)
			continue;
		for (size_t v = 0; v < 256; v++) {
			size_t n = count[byte][v];

			count[byte][v] = at;
			at += n;
		}
		for (size_t i = 0; i < nr; i++)
			to[count[byte][from[i].key >> (8 * byte) & 255]++] = from[i];
		from = to;
		to = swap;
	}
	if (from != a)
		memcpy(a, from, nr * sizeof(*a));
}

static void sort_items(struct item *a, struct item *scratch, size_t nr, size_t depth)
{
	for (size_t i = 0; i < nr; i++) {
		if (i + TREE_AHEAD < nr)
			node_prefetch(a[i + TREE_AHEAD].node);
		a[i].key = key_at(a[i].node, depth);
	}
	if (nr < RADIX_MIN)
		merge_sort(a, scratch, nr);
	else
		radix_sort(a, scratch, nr);

	for (size_t i = 0, end; i < nr; i = end) {
		for (end = i + 1; end < nr && a[end].key == a[i].key;)
			end++;
		/* At most 32 deep: a name has 255 bytes. */
		if (end - i > 1 && (a[i].key & 255))
			sort_items(a + i, scratch, end - i, depth + 8);
	}
}

int sort_nodes(struct node **nodes, size_t nr)
{
	cleanup_free struct item *items = NULL;

	if (nr < 2)
		return 0;
	items = (struct item *)malloc(nr * 2 * sizeof(*items));
	if (!items)
		return -ENOMEM;

	for (size_t i = 0; i < nr; i++)
		items[i].node = nodes[i];
	sort_items(items, items + nr, nr, 0);
	for (size_t i = 0; i < nr; i++)
		nodes[i] = items[i].node;
	return 0;
}
