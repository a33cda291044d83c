/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Sets of objects in little memory: of each the first eight bytes of its digest, its key. Two objects with
 * one key are taken for one where that is the safe side: nobody can make more than a few.
 */
#ifndef STORE_KEYSET_H
#define STORE_KEYSET_H

#include <endian.h>
#include <string.h>

#include "base/macro.h"

/* The key of a digest, in the order of names. Never 0: that is what is free. */
static inline uint64_t digest_key(const uint8_t *bytes)
{
	uint64_t key;

	memcpy(&key, bytes, sizeof(key));
	key = be64toh(key);
	return key ? key : 1;
}

struct keyset {
	uint64_t *slot; /* size of them, a power of two; 0: free */
	size_t nr, size;
};

void keyset_fini(struct keyset *k);

/* Adds @key, which is not 0. Returns 1: it is new; 0: it was there; -ENOMEM. */
int keyset_add(struct keyset *k, uint64_t key);
bool keyset_has(const struct keyset *k, uint64_t key);

#endif
