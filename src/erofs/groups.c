/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Files that have the same digest, or the same object path.
 *
 * First the hashes of all files are sorted into parts by some of their bits, ranges of entries in
 * parallel; then each part finds what is equal in a hash table of its own, small enough for a cache,
 * again in parallel. Numbers of groups do not depend on threads.
 */
#include <errno.h>
#include <xxhash.h>

#include "erofs/stored-internal.h"

#define PARTS 64    /* a part of a million files has a table of 256 KiB */
#define RANGE 16384 /* entries whose hashes are sorted at once */
#define AHEAD 12    /* slots fetched ahead */

/* What a file's metacopy or redirect is made of. */
struct key {
	const void *data; /* NULL: it has none */
	size_t size;
};

typedef struct key (*key_fn)(const struct stored *s, const struct node *n,
			     char buf[OBJECT_PATH_MAX]);

/* A file in its part. */
struct item {
	uint32_t tag;  /* of its hash */
	uint32_t node; /* index */
};

/* What a part has found. */
struct part {
	uint32_t *first; /* by group of the part, from 0: a node that has the value */
	uint32_t nr, first_size;
	struct item *member; /* tag: group of the part */
	uint32_t nr_members, members_size;
};

struct grouping {
	const struct stored *s;
	key_fn key_of;
	uint64_t seed;
	uint32_t *of;            /* see struct stored_groups */
	struct item *items;      /* the range of each entry begins at its index, sorted by part */
	uint32_t (*ends)[PARTS]; /* by range: where in it the items of a part end */
	size_t nr_ranges;
	struct part parts[PARTS];
};

static struct key digest_key(const struct stored *s, const struct node *n,
			     char buf[OBJECT_PATH_MAX])
{
	const uint8_t *digest = node_digest(n, s->alg);

	(void)buf;
	return digest ? (struct key){digest, cairn_digest_size(s->alg)} : (struct key){"", 0};
}

static struct key payload_key(const struct stored *s, const struct node *n,
			      char buf[OBJECT_PATH_MAX])
{
	const char *payload = stored_payload(s, n, buf);

	return (struct key){payload, payload ? strlen(payload) : 0};
}

/* --- sorting into parts ---------------------------------------------------------------------- */

static int sort_range(void *arg, unsigned int worker, size_t range)
{
	struct grouping *g = (struct grouping *)arg;
	const struct tree *t = g->s->tree;
	const uint32_t start = (uint32_t)range * RANGE;
	const uint32_t end = MIN(t->nr_entries - start, (uint32_t)RANGE) + start;
	cleanup_free struct item *found = NULL;
	uint8_t *part_of;
	uint32_t *ends = g->ends[range];
	uint32_t nr = 0, sum = 0;

	(void)worker;
	found = (struct item *)malloc(RANGE * (sizeof(*found) + 1));
	if (!found)
		return -ENOMEM;
	part_of = (uint8_t *)(found + RANGE);
	for (uint32_t i = start; i < end; i++) {
		const struct node *n = tree_entry(t, i);
		char buf[OBJECT_PATH_MAX];
		struct key key;
		uint64_t hash;

		if (!node_is_external(n))
			continue;
		key = g->key_of(g->s, n, buf);
		if (!key.data)
			continue;
		hash = XXH3_64bits_withSeed(key.data, key.size, g->seed);
		part_of[nr] = (uint8_t)(hash % PARTS);
		ends[part_of[nr]]++;
		found[nr++] = (struct item){(uint32_t)(hash >> 32), i};
	}

	/* From how many there are to where they begin, and while they are put there to their end. */
	for (uint32_t p = 0; p < PARTS; p++) {
		uint32_t here = ends[p];

		ends[p] = sum;
		sum += here;
	}
	for (uint32_t i = 0; i < nr; i++)
		g->items[start + ends[part_of[i]]++] = found[i];
	return 0;
}

/* The items of @part in @range. */
static const struct item *items_of(const struct grouping *g, size_t range, size_t part,
				   uint32_t *ret_nr)
{
	uint32_t start = part ? g->ends[range][part - 1] : 0;

	*ret_nr = g->ends[range][part] - start;
	return g->items + range * RANGE + start;
}

/* --- one part -------------------------------------------------------------------------------- */

static bool is_same(const struct grouping *g, uint32_t a, uint32_t b)
{
	char buf_a[OBJECT_PATH_MAX], buf_b[OBJECT_PATH_MAX];
	struct key key_a = g->key_of(g->s, g->s->tree->entries[a], buf_a);
	struct key key_b = g->key_of(g->s, g->s->tree->entries[b], buf_b);

	return key_a.size == key_b.size && !memcmp(key_a.data, key_b.data, key_a.size);
}

/* Room for one more of @size bytes in an array of @nr. */
static int grow(void **array, uint32_t nr, uint32_t *capacity, size_t size)
{
	uint32_t more = MAX(*capacity * 2, 64u);
	void *bigger;

	if (nr < *capacity)
		return 0;
	bigger = realloc(*array, more * size);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	*capacity = more;
	return 0;
}

static int add_member(struct grouping *g, struct part *p, uint32_t node, uint32_t group)
{
	if (grow((void **)&p->member, p->nr_members, &p->members_size, sizeof(*p->member)) < 0)
		return -ENOMEM;
	p->member[p->nr_members++] = (struct item){group, node};
	/* Numbered from 1 in the part, for now. */
	g->of[node] = group + 1;
	return 0;
}

/* @node has the same value as @same, which came before. */
static int join_group(struct grouping *g, struct part *p, uint32_t same, uint32_t node)
{
	if (!g->of[same]) {
		if (grow((void **)&p->first, p->nr, &p->first_size, sizeof(*p->first)) < 0)
			return -ENOMEM;
		p->first[p->nr] = same;
		if (add_member(g, p, same, p->nr++) < 0)
			return -ENOMEM;
	}
	return add_member(g, p, node, g->of[same] - 1);
}

static int put_item(struct grouping *g, struct part *p, struct item *slots, uint32_t mask,
		    const struct item *item)
{
	uint32_t at = item->tag & mask;

	/* Slots count nodes from 1: 0 is free. */
	for (; slots[at].node; at = (at + 1) & mask) {
		uint32_t same = slots[at].node - 1;

		if (slots[at].tag == item->tag && is_same(g, same, item->node))
			return join_group(g, p, same, item->node);
	}
	slots[at] = (struct item){item->tag, item->node + 1};
	return 0;
}

static int group_part(void *arg, unsigned int worker, size_t part)
{
	struct grouping *g = (struct grouping *)arg;
	struct part *p = &g->parts[part];
	cleanup_free struct item *slots = NULL;
	uint32_t nr, total = 0, mask = 15;

	(void)worker;
	for (size_t range = 0; range < g->nr_ranges; range++) {
		(void)items_of(g, range, part, &nr);
		total += nr;
	}
	while (mask / 2 < total)
		mask = mask * 2 + 1;
	slots = (struct item *)calloc((size_t)mask + 1, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t range = 0; range < g->nr_ranges; range++) {
		const struct item *item = items_of(g, range, part, &nr);

		for (uint32_t i = 0; i < nr; i++) {
			if (i + AHEAD < nr)
				__builtin_prefetch(&slots[item[i + AHEAD].tag & mask], 1);
			if (put_item(g, p, slots, mask, &item[i]) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

/* --- all ------------------------------------------------------------------------------------- */

/* Numbers the groups of all parts, from 1. */
static int number_groups(struct grouping *g, struct stored_groups *ret)
{
	for (size_t p = 0; p < PARTS; p++)
		ret->nr += g->parts[p].nr;
	ret->first = (uint32_t *)malloc((ret->nr + 1u) * sizeof(*ret->first));
	if (!ret->first)
		return -ENOMEM;
	ret->first[0] = 0;
	for (uint32_t p = 0, base = 1; p < PARTS; base += g->parts[p++].nr) {
		const struct part *part = &g->parts[p];

		if (part->nr)
			memcpy(ret->first + base, part->first, part->nr * sizeof(*ret->first));
		for (uint32_t i = 0; i < part->nr_members; i++)
			ret->of[part->member[i].node] = base + part->member[i].tag;
	}
	return 0;
}

static int group_by(const struct stored *s, key_fn key_of, const struct team *team,
		    struct stored_groups *ret)
{
	static const struct team alone = {0};
	const uint32_t nr = s->tree->nr_entries;
	/* Nobody can make many files with one hash who does not know it. */
	struct grouping g = {.s = s, .key_of = key_of, .seed = (uintptr_t)s};
	struct arena scratch;
	int r = -ENOMEM;

	g.nr_ranges = (nr + (size_t)RANGE - 1) / RANGE;
	/* Threads take longer to start. */
	if (g.nr_ranges == 1)
		team = &alone;
	/* For its large pages. */
	arena_init(&scratch);
	g.items = (struct item *)arena_alloc(&scratch, nr * sizeof(*g.items));
	g.ends = (uint32_t(*)[PARTS])calloc(g.nr_ranges, sizeof(*g.ends));
	g.of = ret->of = (uint32_t *)calloc(nr, sizeof(*g.of));
	if (g.items && g.ends && g.of)
		r = team_each(team, g.nr_ranges, sort_range, &g);
	if (!r)
		r = team_each(team, PARTS, group_part, &g);
	if (!r)
		r = number_groups(&g, ret);
	for (size_t p = 0; p < PARTS; p++) {
		free(g.parts[p].first);
		free(g.parts[p].member);
	}
	free(g.ends);
	arena_fini(&scratch);
	return r;
}

/* When every path is made from its digest, files share their path when they share their digest. */
int stored_group(struct stored *s, const struct team *team)
{
	const struct tree *t = s->tree;
	bool other_paths = false;
	int r;

	for (uint32_t i = 1; t->facts.nr_own_paths && !other_paths && i < t->nr_entries; i++) {
		const struct node *n = tree_entry(t, i);

		other_paths = node_is_external(n) && !stored_has_object_path(s, n);
	}
	r = group_by(s, digest_key, team, &s->metacopy_groups);
	if (r < 0)
		return r;
	if (other_paths)
		return group_by(s, payload_key, team, &s->redirect_groups);

	s->redirect_groups = s->metacopy_groups;
	s->redirect_groups.first =
		(uint32_t *)malloc((s->redirect_groups.nr + 1u) * sizeof(uint32_t));
	if (!s->redirect_groups.first)
		return -ENOMEM;
	if (s->redirect_groups.nr)
		memcpy(s->redirect_groups.first, s->metacopy_groups.first,
		       (s->redirect_groups.nr + 1u) * sizeof(uint32_t));
	return 0;
}
