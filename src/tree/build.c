/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Building a tree: shards, nodes, then the order of everything. */
#include <errno.h>

#include "base/bytes.h"
#include "tree/sort-internal.h"
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

/* The pairs and lists of all shards become those of the first; ids are dense. */
static int merge_xattrs(struct tree *t, struct tree_shard *shards, unsigned int nr_shards)
{
	struct xattr_intern *all = shards[0].intern;

	for (unsigned int i = 1; i < nr_shards; i++) {
		struct intern_table *lists = &shards[i].intern->lists;

		for (uint32_t j = 0; j <= lists->mask; j++) {
			struct xattr_list *l = (struct xattr_list *)lists->slots[j].item;

			if (!l)
				continue;
			l->sealed = xattr_intern_list(all, &shards[0].arena, l);
			if (!l->sealed)
				return -ENOMEM;
		}
	}

	t->nr_xattrs = all->pairs.nr;
	t->nr_lists = all->lists.nr;
	t->xattrs = (const struct xattr **)calloc(MAX(t->nr_xattrs, 1u), sizeof(*t->xattrs));
	t->lists = (const struct xattr_list **)calloc(MAX(t->nr_lists, 1u), sizeof(*t->lists));
	if (!t->xattrs || !t->lists)
		return -ENOMEM;
	for (uint32_t j = 0; j <= all->pairs.mask; j++) {
		const struct xattr *x = (const struct xattr *)all->pairs.slots[j].item;

		if (x)
			t->xattrs[x->id] = x;
	}
	for (uint32_t j = 0; j <= all->lists.mask; j++) {
		const struct xattr_list *l = (const struct xattr_list *)all->lists.slots[j].item;

		if (l)
			t->lists[l->id] = l;
	}
	return 0;
}

/* Lays the children of @dir out at entries[at…], in order. */
static int index_directory(struct tree *t, struct node *dir, uint32_t at,
			   struct node **ret_duplicate)
{
	struct node **slice = t->entries + at;
	uint32_t nr = dir->dir.nr;
	uint32_t i = nr;
	int r;

	for (struct node *n = dir->dir.newest; n; n = n->next) {
		slice[--i] = n;
		n->parent = dir; /* the parser of pieces leaves this to us */
	}
	dir->dir.first = at;

	if (dir->flags & NODE_UNSORTED) {
		r = sort_nodes(slice, nr);
		if (r < 0)
			return r;
		dir->flags &= (uint8_t)~NODE_UNSORTED;
		for (i = 1; i < nr; i++)
			if (!compare_bytes(slice[i - 1]->name, slice[i - 1]->name_len,
					   slice[i]->name, slice[i]->name_len) &&
			    (!*ret_duplicate || slice[i]->index < (*ret_duplicate)->index))
				*ret_duplicate = slice[i];
	}
	return 0;
}

int tree_index(struct tree *t, struct tree_shard *shards, unsigned int nr_shards,
	       struct node **ret_duplicate, struct cairn_error *err)
{
	struct node *duplicate = NULL;
	char path[NODE_PATH_QUOTED_MAX];
	uint64_t nr = 0;
	uint32_t end = 1;
	int r;

	for (unsigned int i = 0; i < nr_shards; i++)
		nr += shards[i].nr_nodes;
	/* Also room for the writer's own 256 nodes in one 32-bit index. */
	if (nr > UINT32_MAX - 512)
		return error_set(err, -EFBIG, CAIRN_ERROR_UNSUPPORTED,
				 "more than 4294966783 names in one tree");

	t->entries = (struct node **)malloc((size_t)(nr + TREE_AHEAD) * sizeof(*t->entries));
	if (!t->entries)
		return error_errno(err, -ENOMEM, "sort the tree");
	r = merge_xattrs(t, shards, nr_shards);
	for (unsigned int i = 0; i < nr_shards; i++)
		arena_adopt(&t->arena, &shards[i].arena);
	if (r < 0)
		return error_errno(err, r, "sort the tree");

	t->entries[0] = t->root;
	for (uint32_t i = 0; i < end; i++) {
		struct node *n = t->entries[i];

		if (i + TREE_AHEAD < end)
			__builtin_prefetch(t->entries[i + TREE_AHEAD]);

		if (nr_shards > 1 && n->xattrs && n->xattrs->sealed)
			n->xattrs = n->xattrs->sealed;
		if (node_is_dir(n) && n->dir.nr) {
			r = index_directory(t, n, end, &duplicate);
			if (r < 0)
				return error_errno(err, r, "sort the tree");
			end += n->dir.nr;
		}
		if (!duplicate)
			n->index = i;
	}
	t->nr_entries = end;
	for (uint32_t i = 0; i < TREE_AHEAD; i++)
		t->entries[end + i] = t->root;

	if (duplicate) {
		if (ret_duplicate)
			*ret_duplicate = duplicate;
		return error_set(err, -EEXIST, CAIRN_ERROR_FORMAT, "%s: the name is there twice",
				 node_path_quoted(duplicate, path));
	}
	return 0;
}
