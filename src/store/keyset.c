/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A set of keys: open addressing, at most half full. Keys are digests, but anybody may choose them. */
#include "store/keyset.h"

#include <errno.h>

#define FIRST_SIZE 1024

void keyset_fini(struct keyset *k)
{
	free(k->slot);
	*k = (struct keyset){0};
}

/* Where @key is, or would be. */
static size_t place_of(const struct keyset *k, uint64_t key)
{
	size_t i = (key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (k->size - 1);

	while (k->slot[i] && k->slot[i] != key)
		i = (i + 1) & (k->size - 1);
	return i;
}

static int grow(struct keyset *k)
{
	struct keyset more = {.nr = k->nr, .size = k->size ? 2 * k->size : FIRST_SIZE};

	more.slot = (uint64_t *)calloc(more.size, sizeof(*more.slot));
	if (!more.slot)
		return -ENOMEM;
	for (size_t i = 0; i < k->size; i++)
		if (k->slot[i])
			more.slot[place_of(&more, k->slot[i])] = k->slot[i];
	free(k->slot);
	*k = more;
	return 0;
}

int keyset_add(struct keyset *k, uint64_t key)
{
	size_t i;

	if (2 * (k->nr + 1) > k->size && grow(k) < 0)
		return -ENOMEM;
	i = place_of(k, key);
	if (k->slot[i])
		return 0;
	k->slot[i] = key;
	k->nr++;
	return 1;
}

bool keyset_has(const struct keyset *k, uint64_t key)
{
	return k->size && k->slot[place_of(k, key)];
}
