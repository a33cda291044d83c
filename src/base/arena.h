/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Memory that dies together: bump allocation in blocks, freed all at once.
 *
 * An arena belongs to one thread at a time. Allocations do not move.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <string.h>

#include "base/macro.h"

struct arena_block;

struct arena {
	char *next;                 /* first free byte of the newest block */
	char *end;                  /* its end */
	struct arena_block *blocks; /* newest first */
	size_t size;                /* bytes of all blocks */
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);

/* Moves every block of @from into @to; @from is empty then. */
void arena_adopt(struct arena *to, struct arena *from);

void *arena_alloc_slow(struct arena *a, size_t size, size_t align);

/* @size bytes, not cleared, aligned to @align (a power of two, at most 64). NULL: out of memory. */
static inline void *arena_alloc_aligned(struct arena *a, size_t size, size_t align)
{
	uintptr_t start = ROUND_UP((uintptr_t)a->next, align);

	if (unlikely(start > (uintptr_t)a->end || size > (uintptr_t)a->end - start))
		return arena_alloc_slow(a, size, align);
	a->next = (char *)(start + size);
	return (void *)start;
}

/* @size bytes, not cleared, aligned to 8. */
static inline void *arena_alloc(struct arena *a, size_t size)
{
	return arena_alloc_aligned(a, size, 8);
}

/* A copy of @data[0..@size) with a NUL after it, not aligned. */
static inline char *arena_dup(struct arena *a, const void *data, size_t size)
{
	char *p = (char *)arena_alloc_aligned(a, size + 1, 1);

	if (!p)
		return NULL;
	memcpy(p, data, size);
	p[size] = '\0';
	return p;
}

#endif
