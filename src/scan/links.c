/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Which names are one file, and which of them is the file in the tree.
 *
 * The first name that a worker comes across is only the first by chance: its node holds the facts
 * until the first in path order is known.
 */
#include <errno.h>
#include <pthread.h>

#include "scan/scan-internal.h"

struct group {
	dev_t dev;
	ino_t ino;
	struct timespec ctime;
	off_t size;
	struct node *holder; /* has the facts */
	struct node *first;  /* of its names, in path order */
	uint32_t nr;         /* names */
};

struct member {
	uint32_t group;
	struct node *node;
};

struct link_table {
	pthread_mutex_t lock; /* over all below */
	struct group *groups;
	uint32_t nr_groups, max_groups;
	struct member *members; /* names that are not holders */
	size_t nr_members, max_members;
	uint32_t *slots; /* group + 1 by hash of device and inode; 0: free */
	uint32_t mask;
};

int links_new(struct link_table **ret)
{
	struct link_table *t = (struct link_table *)calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	*ret = t;
	return 0;
}

void links_free(struct link_table *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t->groups);
	free(t->members);
	free(t->slots);
	free(t);
}

/* Room for one more of @size bytes in an array. */
static int reserve(void **array, size_t nr, size_t *max, size_t size)
{
	size_t more = MAX(2 * *max, (size_t)64);
	void *p;

	if (nr < *max)
		return 0;
	p = realloc(*array, more * size);
	if (!p)
		return -ENOMEM;
	*array = p;
	*max = more;
	return 0;
}

static uint32_t hash_of(dev_t dev, ino_t ino)
{
	uint64_t h = (uint64_t)ino * 0x9e3779b97f4a7c15ull ^ (uint64_t)dev * 0xc2b2ae3d27d4eb4full;

	return (uint32_t)(h >> 32);
}

static int grow_slots(struct link_table *t)
{
	uint32_t mask = MAX(2 * t->mask + 1, 255u);
	uint32_t *slots;

	if (t->slots && t->nr_groups < t->mask / 2)
		return 0;
	slots = (uint32_t *)calloc((size_t)mask + 1, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->nr_groups; i++) {
		uint32_t at = hash_of(t->groups[i].dev, t->groups[i].ino) & mask;

		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = i + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->mask = mask;
	return 0;
}

static int add_group(struct link_table *t, uint32_t slot, struct node *n, const struct stat *st)
{
	size_t max = t->max_groups;
	int r = reserve((void **)&t->groups, t->nr_groups, &max, sizeof(*t->groups));

	t->max_groups = (uint32_t)max;
	if (r < 0)
		return r;
	t->groups[t->nr_groups++] = (struct group){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.ctime = st->st_ctim,
		.size = st->st_size,
		.holder = n,
		.first = n,
		.nr = 1,
	};
	t->slots[slot] = t->nr_groups;
	return 1;
}

static int add_member(struct link_table *t, uint32_t group, struct node *n, const struct stat *st)
{
	struct group *g = &t->groups[group];
	int r;

	if (g->ctime.tv_sec != st->st_ctim.tv_sec || g->ctime.tv_nsec != st->st_ctim.tv_nsec ||
	    g->size != st->st_size)
		return -ESTALE;
	r = reserve((void **)&t->members, t->nr_members, &t->max_members, sizeof(*t->members));
	if (r < 0)
		return r;
	t->members[t->nr_members++] = (struct member){group, n};
	n->flags |= NODE_HARDLINK;
	g->nr++;
	return 0;
}

static int claim_locked(struct link_table *t, struct node *n, const struct stat *st)
{
	uint32_t at;

	if (grow_slots(t) < 0)
		return -ENOMEM;
	for (at = hash_of(st->st_dev, st->st_ino) & t->mask; t->slots[at];
	     at = (at + 1) & t->mask) {
		const struct group *g = &t->groups[t->slots[at] - 1];

		if (g->dev == st->st_dev && g->ino == st->st_ino)
			return add_member(t, t->slots[at] - 1, n, st);
	}
	return add_group(t, at, n, st);
}

int links_claim(struct link_table *t, struct node *n, const struct stat *st)
{
	int r;

	pthread_mutex_lock(&t->lock);
	r = claim_locked(t, n, st);
	pthread_mutex_unlock(&t->lock);
	return r;
}

/* --- which is first -------------------------------------------------------------------------- */

static uint32_t depth_of(const struct node *n)
{
	uint32_t depth = 0;

	while ((n = n->parent))
		depth++;
	return depth;
}

bool node_precedes(const struct node *a, const struct node *b)
{
	uint32_t da = depth_of(a);
	uint32_t db = depth_of(b);
	bool shallower = da < db;
	int c;

	/* At equal depth, both are the same only if one was above the other. */
	for (; da > db; da--)
		a = a->parent;
	for (; db > da; db--)
		b = b->parent;
	if (a == b)
		return shallower;
	while (a->parent != b->parent) {
		a = a->parent;
		b = b->parent;
	}
	c = memcmp(a->name, b->name, MIN(a->name_len, b->name_len));
	return c ? c < 0 : a->name_len < b->name_len;
}

/* The facts go from @from, which becomes a link, to @to. */
static void move_facts(struct node *from, struct node *to)
{
	struct node facts = *from;

	facts.parent = to->parent;
	facts.next = to->next;
	facts.name = to->name;
	facts.name_len = to->name_len;
	facts.index = to->index;
	*to = facts;
	from->flags = NODE_HARDLINK;
	from->link.path = NULL;
	from->link.target = to;
}

void links_resolve(struct link_table *t)
{
	for (size_t i = 0; i < t->nr_members; i++) {
		struct group *g = &t->groups[t->members[i].group];

		if (node_precedes(t->members[i].node, g->first))
			g->first = t->members[i].node;
	}
	for (uint32_t i = 0; i < t->nr_groups; i++) {
		struct group *g = &t->groups[i];

		if (g->first != g->holder)
			move_facts(g->holder, g->first);
		g->first->nlink = g->nr;
	}
	for (size_t i = 0; i < t->nr_members; i++) {
		struct member *m = &t->members[i];
		const struct group *g = &t->groups[m->group];

		if (m->node == g->first)
			continue;
		m->node->link.path = NULL;
		m->node->link.target = g->first;
	}
}
