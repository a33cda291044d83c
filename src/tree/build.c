/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Building a tree: shards and nodes. */
#include <errno.h>

#include "base/bytes.h"
#include "tree/xattr-internal.h"

int tree_new(struct tree **ret)
{
	struct tree *t = (struct tree *)calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	arena_init(&t->arena);
	t->source_format = -1;
	*ret = t;
	return 0;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	arena_fini(&t->arena);
	free(t->entries);
	free(t->xattrs);
	free(t->lists);
	free(t->list_use);
	free(t);
}

int tree_shard_init(struct tree_shard *s)
{
	*s = (struct tree_shard){0};
	arena_init(&s->arena);
	return xattr_intern_new(&s->intern);
}

void tree_shard_fini(struct tree_shard *s)
{
	arena_fini(&s->arena);
	xattr_intern_free(take_ptr(s->intern));
}

struct node *tree_add(struct tree_shard *s, struct node *parent, const char *name, size_t name_len)
{
	struct node *n = (struct node *)arena_alloc(&s->arena, sizeof(*n) + name_len + 1);
	char *copy;

	if (!n)
		return NULL;
	*n = (struct node){0};
	/* Behind its node: whoever looks at one mostly looks at the other. */
	copy = (char *)(n + 1);
	if (name_len)
		memcpy(copy, name, name_len);
	copy[name_len] = '\0';
	n->name = copy;
	n->name_len = (uint8_t)name_len;
	n->index = s->nr_nodes++;
	if (!parent)
		return n;

	n->parent = parent;
	n->next = parent->dir.newest;
	if (n->next && compare_bytes(n->next->name, n->next->name_len, name, name_len) >= 0)
		parent->flags |= NODE_UNSORTED;
	parent->dir.newest = n;
	parent->dir.nr++;
	return n;
}
