/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Memory that dies together. */
#include "base/arena.h"

#include <sys/mman.h>

/* Blocks grow with the arena, so that a small tree stays small and a large one makes few system
 * calls. From mmap, so that freeing gives the memory back and untouched pages are never paid for. */
#define BLOCK_MIN (64u << 10)
#define BLOCK_MAX (32u << 20)
#define HUGE_PAGE (2u << 20) /* larger blocks ask for pages of this size */

struct arena_block {
	struct arena_block *older;
	size_t size; /* bytes, this header included */
};

void arena_init(struct arena *a)
{
	*a = (struct arena){0};
}

void arena_fini(struct arena *a)
{
	struct arena_block *b = a->blocks;

	while (b) {
		struct arena_block *older = b->older;

		munmap(b, b->size);
		b = older;
	}
	arena_init(a);
}

void arena_adopt(struct arena *to, struct arena *from)
{
	struct arena_block *last = from->blocks;

	if (!last)
		return;

	/* Behind the newest block of @to, whose free space stays in use. */
	while (last->older)
		last = last->older;
	if (to->blocks) {
		last->older = to->blocks->older;
		to->blocks->older = from->blocks;
		to->size += from->size;
	} else {
		*to = *from;
	}
	arena_init(from);
}

void *arena_alloc_slow(struct arena *a, size_t size, size_t align)
{
	size_t block_size = MIN(MAX(a->size / 4, (size_t)BLOCK_MIN), (size_t)BLOCK_MAX);
	struct arena_block *b;
	uintptr_t start;

	if (size > SIZE_MAX / 2)
		return NULL;
	block_size = MAX(block_size, size + sizeof(*b) + align);
	block_size = ROUND_UP(block_size, (size_t)4096);
	b = (struct arena_block *)mmap(NULL, block_size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b == MAP_FAILED)
		return NULL;
	if (block_size >= 2 * (size_t)HUGE_PAGE)
		(void)madvise(b, block_size, MADV_HUGEPAGE);

	b->size = block_size;
	a->size += block_size;
	start = ROUND_UP((uintptr_t)(b + 1), align);

	/* A large odd piece must not waste what is left of the current block. */
	if (a->blocks && (size_t)(a->end - a->next) > block_size - size - sizeof(*b)) {
		b->older = a->blocks->older;
		a->blocks->older = b;
		return (void *)start;
	}
	b->older = a->blocks;
	a->blocks = b;
	a->next = (char *)(start + size);
	a->end = (char *)b + block_size;
	return (void *)start;
}
