/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Which directory a dump line belongs to. */
#include "dump/dirs-internal.h"

#include <errno.h>
#include <xxhash.h>

#define SLOTS_MIN 1024

/* The first @len bytes of the last path lead to @node. */
struct step {
	size_t len;
	struct node *node;
};

int dirs_init(struct dirs *d, size_t path_max)
{
	*d = (struct dirs){.mask = SLOTS_MIN - 1,
			   .last = BUF_INIT(path_max),
			   .steps = BUF_INIT(path_max * sizeof(struct step))};
	d->slots = (struct node **)calloc(SLOTS_MIN, sizeof(struct node *));
	return d->slots ? 0 : -ENOMEM;
}

void dirs_fini(struct dirs *d)
{
	free(take_ptr(d->slots));
	buf_fini(&d->last);
	buf_fini(&d->steps);
}

static size_t hash(const struct node *parent, const char *name, size_t len)
{
	return (size_t)XXH3_64bits_withSeed(name, len, (uint64_t)(uintptr_t)parent);
}

static void put(struct node **slots, size_t mask, struct node *dir)
{
	size_t at = hash(dir->parent, dir->name, dir->name_len) & mask;

	while (slots[at])
		at = (at + 1) & mask;
	slots[at] = dir;
}

int dirs_add(struct dirs *d, struct node *dir)
{
	if (d->nr > d->mask / 2) {
		size_t mask = d->mask * 2 + 1;
		struct node **slots = (struct node **)calloc(mask + 1, sizeof(*slots));

		if (!slots)
			return -ENOMEM;
		for (size_t i = 0; i <= d->mask; i++)
			if (d->slots[i])
				put(slots, mask, d->slots[i]);
		free(d->slots);
		d->slots = slots;
		d->mask = mask;
	}
	put(d->slots, d->mask, dir);
	d->nr++;
	return 0;
}

struct node *dirs_get(const struct dirs *d, const struct node *parent, struct span name)
{
	for (size_t at = hash(parent, name.p, name.len) & d->mask; d->slots[at];
	     at = (at + 1) & d->mask) {
		struct node *n = d->slots[at];

		if (n->parent == parent && n->name_len == name.len &&
		    !memcmp(n->name, name.p, name.len))
			return n;
	}
	return NULL;
}

/* A directory that is taken to be @name in @parent, which is such a one too. */
static struct node *add_outside(struct dirs *d, struct node *parent, struct span name)
{
	struct outside *o;

	o = (struct outside *)arena_alloc(d->arena, sizeof(*o));
	if (!o)
		return NULL;
	*o = (struct outside){.node = {.parent = parent, .name_len = (uint8_t)name.len}};
	o->node.name = arena_dup(d->arena, name.p, name.len);
	if (!o->node.name || (parent && dirs_add(d, &o->node) < 0))
		return NULL;
	if (d->last_outside)
		d->last_outside->next = o;
	else
		d->first_outside = o;
	d->last_outside = o;
	return &o->node;
}

int dirs_reset(struct dirs *d, struct arena *arena, struct node **ret_root)
{
	memset(d->slots, 0, (d->mask + 1) * sizeof(struct node *));
	d->nr = 0;
	d->last.len = 0;
	d->steps.len = 0;
	d->arena = arena;
	d->first_outside = d->last_outside = NULL;
	*ret_root = arena ? add_outside(d, NULL, (struct span){"", 0}) : NULL;
	return arena && !*ret_root ? -ENOMEM : 0;
}

/* Whether @dir has any child of that name: only asked when no directory was found. */
static bool has_child(const struct node *dir, struct span name)
{
	for (const struct node *n = dir->dir.newest; n; n = n->next)
		if (n->name_len == name.len && !memcmp(n->name, name.p, name.len))
			return true;
	return false;
}

/* How many of the steps lie on the way to @path too. */
static size_t common_steps(const struct dirs *d, struct span path)
{
	const struct step *steps = (const struct step *)(const void *)d->steps.data;
	size_t nr = d->steps.len / sizeof(*steps);
	size_t max = MIN(d->last.len, path.len);
	size_t common = 0;

	while (common < max && path.p[common] == d->last.data[common])
		common++;
	while (nr && (steps[nr - 1].len > common ||
		      (steps[nr - 1].len < path.len && path.p[steps[nr - 1].len] != '/')))
		nr--;
	return nr;
}

int dirs_find(struct dirs *d, struct node *root, struct span path, struct node **ret)
{
	const struct step *steps = (const struct step *)(const void *)d->steps.data;
	size_t nr = d->steps.len / sizeof(*steps);
	struct node *n = root;
	size_t i = 0;

	if (nr && path.len == d->last.len && !memcmp(path.p, d->last.data, path.len)) {
		*ret = steps[nr - 1].node;
		return 0;
	}

	nr = common_steps(d, path);
	if (nr) {
		n = steps[nr - 1].node;
		i = steps[nr - 1].len;
	}
	d->steps.len = nr * sizeof(*steps);
	d->last.len = 0;

	for (;;) {
		struct span name;
		struct step step;
		struct node *child;

		while (i < path.len && path.p[i] == '/')
			i++;
		if (i == path.len)
			break;
		name = (struct span){path.p + i, 0};
		for (; i < path.len && path.p[i] != '/'; i++)
			name.len++;
		child = dirs_get(d, n, name);
		/* No real name is longer, and none that long was ever kept. */
		if (!child && dir_is_outside(n) && name.len <= TREE_NAME_MAX) {
			child = add_outside(d, n, name);
			if (!child)
				return -ENOMEM;
		}
		if (!child) {
			d->steps.len = 0;
			return i == path.len && has_child(n, name) ? -ENOTDIR : -ENOENT;
		}
		n = child;
		step = (struct step){.len = i, .node = n};
		if (buf_put(&d->steps, &step, sizeof(step)) < 0)
			return -ENOMEM;
	}

	if (buf_put(&d->last, path.p, path.len) < 0)
		return -ENOMEM;
	*ret = n;
	return 0;
}
