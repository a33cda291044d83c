/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Extended attributes of a tree: validated, sorted by name, each pair and each list kept once. */
#include "tree/xattr-internal.h"

#include <errno.h>
#include <xxhash.h>

#include "base/bytes.h"

DEFINE_CLEANUP(struct xattr_intern *, xattr_intern, xattr_intern_free)

/* What the reference adds to an inode's total for each attribute, and once for the first of them
 * (image-format §5.5). */
#define COST_EACH  7
#define COST_FIRST 12

static int table_init(struct intern_table *t, uint32_t slots)
{
	t->slots = (struct intern_slot *)calloc(slots, sizeof(*t->slots));
	if (!t->slots)
		return -ENOMEM;
	t->mask = slots - 1;
	t->nr = 0;
	return 0;
}

static int table_grow(struct intern_table *t)
{
	struct intern_table bigger;
	int r;

	if (t->mask >= UINT32_MAX / 2)
		return -ENOMEM;
	r = table_init(&bigger, (t->mask + 1) * 2);
	if (r < 0)
		return r;

	for (uint32_t i = 0; i <= t->mask; i++) {
		uint32_t at = t->slots[i].hash & bigger.mask;

		if (!t->slots[i].item)
			continue;
		while (bigger.slots[at].item)
			at = (at + 1) & bigger.mask;
		bigger.slots[at] = t->slots[i];
	}
	bigger.nr = t->nr;
	free(t->slots);
	*t = bigger;
	return 0;
}

int xattr_intern_new(struct xattr_intern **ret)
{
	struct xattr_intern *x cleanup(xattr_intern) = NULL;

	x = (struct xattr_intern *)calloc(1, sizeof(*x));
	if (!x || table_init(&x->pairs, 64) < 0 || table_init(&x->lists, 64) < 0)
		return -ENOMEM;
	*ret = take_ptr(x);
	return 0;
}

void xattr_intern_free(struct xattr_intern *x)
{
	if (!x)
		return;
	free(x->pairs.slots);
	free(x->lists.slots);
	free(x);
}

static bool pair_equal(const struct xattr *x, const struct xattr_input *in)
{
	return x->name_len == in->name_len && x->value_len == in->value_len &&
	       !memcmp(x->name, in->name, in->name_len) &&
	       (!in->value_len || !memcmp(x->value, in->value, in->value_len));
}

static const struct xattr *intern_pair(struct xattr_intern *intern, struct arena *a,
				       const struct xattr_input *in)
{
	struct intern_table *t = &intern->pairs;
	uint32_t hash = (uint32_t)XXH3_64bits_withSeed(in->value, in->value_len,
						       XXH3_64bits(in->name, in->name_len));
	struct xattr *x;
	uint32_t at;

	if (t->nr > t->mask / 2 && table_grow(t) < 0)
		return NULL;
	for (at = hash & t->mask; t->slots[at].item; at = (at + 1) & t->mask) {
		x = (struct xattr *)t->slots[at].item;
		if (t->slots[at].hash == hash && pair_equal(x, in))
			return x;
	}

	x = (struct xattr *)arena_alloc(a, sizeof(*x));
	if (!x)
		return NULL;
	x->name = arena_dup(a, in->name, in->name_len);
	x->value = arena_dup(a, in->value_len ? in->value : "", in->value_len);
	if (!x->name || !x->value)
		return NULL;
	x->name_len = (uint8_t)in->name_len;
	x->value_len = in->value_len;
	x->id = t->nr++;
	t->slots[at] = (struct intern_slot){hash, x};
	return x;
}

/* Bytes of the bitmap of a list of @nr pairs. */
static size_t bitmap_size(size_t nr)
{
	return (nr + 63) / 64 * sizeof(uint64_t);
}

static bool bitmap_equal(const uint64_t *a, const uint64_t *b, uint32_t nr)
{
	return a && b ? !memcmp(a, b, bitmap_size(nr)) : a == b;
}

/* Pairs are interned, so that a list is known by their addresses. @shared: see struct xattr_list. */
static const struct xattr_list *intern_list(struct xattr_intern *intern, struct arena *a,
					    const struct xattr **pairs, uint32_t nr,
					    const uint64_t *shared)
{
	struct intern_table *t = &intern->lists;
	size_t size = nr * sizeof(struct xattr *);
	uint32_t hash = (uint32_t)XXH3_64bits_withSeed(pairs, size, shared ? shared[0] : 0);
	struct xattr_list *l;
	uint32_t at;

	if (t->nr > t->mask / 2 && table_grow(t) < 0)
		return NULL;
	for (at = hash & t->mask; t->slots[at].item; at = (at + 1) & t->mask) {
		l = (struct xattr_list *)t->slots[at].item;
		if (t->slots[at].hash == hash && l->nr == nr &&
		    bitmap_equal(l->shared, shared, nr) && !memcmp(l->xattr, pairs, size))
			return l;
	}

	l = (struct xattr_list *)arena_alloc(a, sizeof(*l) + size);
	if (!l)
		return NULL;
	l->nr = nr;
	l->shared = NULL;
	if (shared) {
		uint64_t *copy = (uint64_t *)arena_alloc(a, bitmap_size(nr));

		if (!copy)
			return NULL;
		l->shared = (const uint64_t *)memcpy(copy, shared, bitmap_size(nr));
	}
	l->sealed = NULL;
	l->id = t->nr++;
	memcpy(l->xattr, pairs, size);
	t->slots[at] = (struct intern_slot){hash, l};
	return l;
}

const struct xattr_list *xattr_intern_list(struct xattr_intern *x, struct arena *a,
					   const struct xattr_list *from)
{
	cleanup_free const struct xattr **pairs = NULL;

	pairs = (const struct xattr **)malloc(from->nr * sizeof(struct xattr *));
	if (!pairs)
		return NULL;
	for (uint32_t i = 0; i < from->nr; i++) {
		const struct xattr *p = from->xattr[i];

		pairs[i] = intern_pair(x, a,
				       &(struct xattr_input){.name = p->name,
							     .name_len = p->name_len,
							     .value = p->value,
							     .value_len = p->value_len});
		if (!pairs[i])
			return NULL;
	}
	return intern_list(x, a, pairs, from->nr, from->shared);
}

static int compare_name(const struct xattr_input *a, const struct xattr_input *b)
{
	return compare_bytes(a->name, a->name_len, b->name, b->name_len);
}

static int compare_input(const void *pa, const void *pb)
{
	const struct xattr_input *a = (const struct xattr_input *)pa;
	const struct xattr_input *b = (const struct xattr_input *)pb;
	int c = compare_name(a, b);

	return c ? c : (a->place > b->place) - (a->place < b->place);
}

/* The total is kept as attributes are set one after the other, in the order of the source: a later
 * one of the same name first gives back what the earlier one cost. @in is sorted. */
static int check_total(const struct xattr_input *in, size_t nr)
{
	cleanup_free uint32_t *by_place = NULL;
	uint64_t total = 0;
	uint32_t live = 0;

	by_place = (uint32_t *)malloc(nr * sizeof(*by_place));
	if (!by_place)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		by_place[in[i].place] = (uint32_t)i;

	for (size_t place = 0; place < nr; place++) {
		const struct xattr_input *x = &in[by_place[place]];

		if (x > in && !compare_name(x, x - 1)) {
			live--;
			total = live ? total - COST_EACH - x[-1].name_len - x[-1].value_len : 0;
		}
		total += COST_EACH + x->name_len + x->value_len + (live ? 0 : COST_FIRST);
		live++;
		if (total > XATTR_TOTAL_MAX)
			return -ERANGE;
	}
	return 0;
}

/* Sorts and validates. */
static int prepare_input(struct xattr_input *in, size_t nr)
{
	uint64_t total = COST_FIRST;

	for (size_t i = 0; i < nr; i++) {
		if (!in[i].name_len || in[i].name_len > XATTR_NAME_MAX)
			return -ERANGE;
		if (in[i].value_len > XATTR_VALUE_MAX)
			return -EINVAL;
		total += COST_EACH + in[i].name_len + in[i].value_len;
		in[i].place = (uint32_t)i;
	}
	if (nr > 1)
		qsort(in, nr, sizeof(*in), compare_input);
	return total > XATTR_TOTAL_MAX ? check_total(in, nr) : 0;
}

int tree_xattrs(struct tree_shard *s, struct xattr_input *in, size_t nr,
		const struct xattr_list **ret)
{
	const struct xattr *few[16];
	cleanup_free const struct xattr **many = NULL;
	const struct xattr **pairs = few;
	const struct xattr_list *l;
	uint64_t few_shared = 0;
	cleanup_free uint64_t *many_shared = NULL;
	uint64_t *shared = &few_shared;
	bool any_shared = false;
	uint32_t n = 0;
	int r;

	if (!nr) {
		*ret = NULL;
		return 0;
	}
	r = prepare_input(in, nr);
	if (r < 0)
		return r;
	if (nr > ARRAY_SIZE(few)) {
		pairs = many = (const struct xattr **)malloc(nr * sizeof(*many));
		shared = many_shared = (uint64_t *)calloc(1, bitmap_size(nr));
		if (!many || !many_shared)
			return -ENOMEM;
	}

	for (size_t i = 0; i < nr; i++) {
		if (i + 1 < nr && !compare_name(&in[i], &in[i + 1]))
			continue;
		pairs[n] = intern_pair(s->intern, &s->arena, &in[i]);
		if (!pairs[n])
			return -ENOMEM;
		if (in[i].shared) {
			shared[n / 64] |= UINT64_C(1) << n % 64;
			any_shared = true;
		}
		n++;
	}
	l = intern_list(s->intern, &s->arena, pairs, n, any_shared ? shared : NULL);
	if (!l)
		return -ENOMEM;
	*ret = l;
	return 0;
}
