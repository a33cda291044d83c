/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The order of everything: a tree that has all its nodes gets its entries.
 *
 * One level of directories after the other, and those of a level in parallel. Since a node is looked
 * at here anyhow, what later steps want to know of the whole tree is gathered too (struct tree_facts).
 */
#include <errno.h>

#include "base/bytes.h"
#include "tree/sort-internal.h"
#include "tree/xattr-internal.h"

/* Children that a thread takes at once. */
#define CHUNK 8192

/* Nobody has more to sort than so many threads can; each has counters for every xattr list. */
#define JOBS_MAX 8

/* What one thread has seen. */
struct tally {
	struct tree_facts facts;
	uint32_t *list_use;
};

/* Directories of a level that are next to each other. */
struct chunk {
	size_t first, end; /* places in dirs[] */
	struct node **sub; /* the directories in them, in order */
	size_t nr_sub, sub_size;
	struct node *duplicate;
};

struct indexing {
	struct tree *t;
	bool remap; /* xattr lists are those of several shards */
	struct tally tally[JOBS_MAX];
	struct node **dirs; /* of the level */
	size_t nr_dirs;
	struct chunk *chunks;
	size_t nr_chunks, chunks_size;
};

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

/* --- facts ----------------------------------------------------------------------------------- */

static void note_regular(struct tree_facts *f, const struct node *n)
{
	const uint8_t both = NODE_SHA256 | NODE_SHA512;
	uint8_t digests = n->flags & both;

	if (n->flags & NODE_INLINE) {
		f->max_inline = MAX(f->max_inline, n->size);
		f->unsure |= n->size > TREE_CONTENT_MAX;
		return;
	}
	if (!n->size)
		return;
	f->nr_external++;
	f->nr_own_paths += !(n->flags & NODE_OBJECT_PATH);
	f->max_external = MAX(f->max_external, n->size);
	f->any_digest |= digests;
	f->lacks_digest |= digests ? digests ^ both : 0;
}

static void note(struct tally *tally, const struct node *n)
{
	struct tree_facts *f = &tally->facts;

	if (node_is_link(n)) {
		f->nr_links++;
		f->unsure |= !n->name_len;
		return;
	}
	if (n->mtime < f->oldest || (n->mtime == f->oldest && n->mtime_nsec < f->oldest_nsec)) {
		f->oldest = n->mtime;
		f->oldest_nsec = n->mtime_nsec;
	}
	if (n->xattrs)
		tally->list_use[n->xattrs->id]++;
	f->unsure |= !n->name_len && n->parent;
	switch (n->mode & S_IFMT) {
	case S_IFREG:
		note_regular(f, n);
		break;
	case S_IFLNK:
		f->max_symlink = MAX(f->max_symlink, n->size);
		f->unsure |= !n->size || n->size > TREE_PATH_MAX;
		break;
	case S_IFDIR:
		f->nr_dirs++;
		break;
	case S_IFCHR:
		f->nr_whiteouts += node_is_whiteout(n);
		break;
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		f->unsure = true;
	}
}

static int tally_init(struct tally *tally, const struct tree *t)
{
	tally->facts.oldest = INT64_MAX;
	tally->facts.oldest_nsec = UINT32_MAX;
	tally->list_use = (uint32_t *)calloc(MAX(t->nr_lists, 1u), sizeof(uint32_t));
	return tally->list_use ? 0 : -ENOMEM;
}

static void tally_add(struct tally *to, const struct tally *from, uint32_t nr_lists)
{
	const struct tree_facts *g = &from->facts;
	struct tree_facts *f = &to->facts;

	f->nr_links += g->nr_links;
	f->nr_dirs += g->nr_dirs;
	f->nr_whiteouts += g->nr_whiteouts;
	f->nr_external += g->nr_external;
	f->nr_own_paths += g->nr_own_paths;
	if (g->oldest < f->oldest || (g->oldest == f->oldest && g->oldest_nsec < f->oldest_nsec)) {
		f->oldest = g->oldest;
		f->oldest_nsec = g->oldest_nsec;
	}
	f->max_external = MAX(f->max_external, g->max_external);
	f->max_inline = MAX(f->max_inline, g->max_inline);
	f->max_symlink = MAX(f->max_symlink, g->max_symlink);
	f->any_digest |= g->any_digest;
	f->lacks_digest |= g->lacks_digest;
	f->unsure |= g->unsure;
	for (uint32_t i = 0; i < nr_lists; i++)
		to->list_use[i] += from->list_use[i];
}

/* --- one directory --------------------------------------------------------------------------- */

/* Of all names that are there twice, the one that was added first. */
static struct node *earlier(struct node *a, struct node *b)
{
	return !a || (b && b->index < a->index) ? b : a;
}

static int add_subdirectory(struct chunk *c, struct node *dir)
{
	if (c->nr_sub == c->sub_size) {
		size_t more = MAX(c->sub_size * 2, (size_t)64);
		struct node **sub = (struct node **)realloc(c->sub, more * sizeof(*sub));

		if (!sub)
			return -ENOMEM;
		c->sub = sub;
		c->sub_size = more;
	}
	c->sub[c->nr_sub++] = dir;
	return 0;
}

/* Lays the children of @dir out at their place in entries, in order. */
static int index_directory(struct indexing *in, struct tally *tally, struct chunk *c,
			   struct node *dir)
{
	struct node **slice = in->t->entries + dir->dir.first;
	uint32_t nr = dir->dir.nr, nr_sub = 0;
	uint64_t names_size = 0;
	uint32_t i = nr;
	int r;

	for (struct node *n = dir->dir.newest; n; n = n->next) {
		slice[--i] = n;
		n->parent = dir;
		if (in->remap && n->xattrs && n->xattrs->sealed)
			n->xattrs = n->xattrs->sealed;
		note(tally, n);
		names_size += n->name_len;
		nr_sub += node_is_dir(n);
	}
	dir->dir.names_size = (uint32_t)MIN(names_size, (uint64_t)UINT32_MAX);
	dir->dir.nr_dirs = nr_sub;

	if (dir->flags & NODE_UNSORTED) {
		r = sort_nodes(slice, nr);
		if (r < 0)
			return r;
		dir->flags &= (uint8_t)~NODE_UNSORTED;
		for (i = 1; i < nr; i++)
			if (!compare_bytes(slice[i - 1]->name, slice[i - 1]->name_len,
					   slice[i]->name, slice[i]->name_len))
				c->duplicate = earlier(c->duplicate, slice[i]);
	}
	for (i = 0; i < nr; i++) {
		/* Until now it says when a node was added, which is still wanted after a mistake. */
		if (!c->duplicate)
			slice[i]->index = dir->dir.first + i;
		if (nr_sub && node_is_dir(slice[i]) && add_subdirectory(c, slice[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int index_chunk(void *arg, unsigned int worker, size_t i)
{
	struct indexing *in = (struct indexing *)arg;
	struct chunk *c = &in->chunks[i];

	for (size_t d = c->first; d < c->end; d++) {
		int r;

		if (d + 2 < c->end && in->dirs[d + 2]->dir.newest)
			node_prefetch(in->dirs[d + 2]->dir.newest);
		r = index_directory(in, &in->tally[worker], c, in->dirs[d]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- levels ---------------------------------------------------------------------------------- */

static struct chunk *new_chunk(struct indexing *in, size_t first)
{
	if (in->nr_chunks == in->chunks_size) {
		size_t more = MAX(in->chunks_size * 2, (size_t)64);
		struct chunk *chunks = (struct chunk *)realloc(in->chunks, more * sizeof(*chunks));

		if (!chunks)
			return NULL;
		in->chunks = chunks;
		in->chunks_size = more;
	}
	in->chunks[in->nr_chunks] = (struct chunk){.first = first, .end = first};
	return &in->chunks[in->nr_chunks++];
}

/* Places in entries for the children of all directories of the level, from @end on. Returns the new
 * end; 0: out of memory. */
static uint32_t place_level(struct indexing *in, uint32_t end)
{
	struct chunk *c = NULL;
	uint32_t start = end;

	for (size_t d = 0; d < in->nr_dirs; d++) {
		struct node *dir = in->dirs[d];

		if (!c || end - start >= CHUNK) {
			c = new_chunk(in, d);
			if (!c)
				return 0;
			start = end;
		}
		dir->dir.first = end;
		end += dir->dir.nr;
		c->end = d + 1;
	}
	return end;
}

/* The directories in those of the level become the next level. Returns a name that is there twice. */
static int next_level(struct indexing *in, struct node **duplicate)
{
	size_t nr = 0;

	for (size_t i = 0; i < in->nr_chunks; i++) {
		nr += in->chunks[i].nr_sub;
		*duplicate = earlier(*duplicate, in->chunks[i].duplicate);
	}
	free(in->dirs);
	in->dirs = (struct node **)malloc(MAX(nr, (size_t)1) * sizeof(struct node *));
	in->nr_dirs = 0;
	for (size_t i = 0; i < in->nr_chunks; i++) {
		struct chunk *c = &in->chunks[i];

		if (in->dirs && c->nr_sub)
			memcpy(in->dirs + in->nr_dirs, c->sub, c->nr_sub * sizeof(struct node *));
		in->nr_dirs += c->nr_sub;
		free(c->sub);
	}
	in->nr_chunks = 0;
	return in->dirs ? 0 : -ENOMEM;
}

static int index_levels(struct indexing *in, struct node **duplicate)
{
	const struct team team = {MIN(in->t->team.jobs, (unsigned int)JOBS_MAX), in->t->team.each};
	uint32_t end = 1;
	int r = 0;

	for (unsigned int i = 0; !r && i < team_jobs(&team); i++)
		r = tally_init(&in->tally[i], in->t);
	in->dirs = (struct node **)malloc(sizeof(struct node *));
	if (r < 0 || !in->dirs)
		return -ENOMEM;
	in->dirs[0] = in->t->root;
	in->nr_dirs = node_is_dir(in->t->root);
	in->t->entries[0] = in->t->root;
	in->t->root->index = 0;
	if (in->remap && in->t->root->xattrs && in->t->root->xattrs->sealed)
		in->t->root->xattrs = in->t->root->xattrs->sealed;
	note(&in->tally[0], in->t->root);

	while (in->nr_dirs) {
		end = place_level(in, end);
		r = end ? team_each(&team, in->nr_chunks, index_chunk, in) : -ENOMEM;
		if (r < 0)
			return r;
		r = next_level(in, duplicate);
		if (r < 0)
			return r;
	}

	for (unsigned int i = 1; i < team_jobs(&team); i++)
		tally_add(&in->tally[0], &in->tally[i], in->t->nr_lists);
	in->t->facts = in->tally[0].facts;
	in->t->list_use = take_ptr(in->tally[0].list_use);
	in->t->nr_entries = end;
	for (uint32_t i = 0; i < TREE_AHEAD; i++)
		in->t->entries[end + i] = in->t->root;
	return 0;
}

static void indexing_fini(struct indexing *in)
{
	for (unsigned int i = 0; i < JOBS_MAX; i++)
		free(in->tally[i].list_use);
	for (size_t i = 0; i < in->nr_chunks; i++)
		free(in->chunks[i].sub);
	free(in->chunks);
	free(in->dirs);
}

#define cleanup_indexing __attribute__((__cleanup__(indexing_fini)))

int tree_index(struct tree *t, struct tree_shard *shards, unsigned int nr_shards,
	       struct node **ret_duplicate, struct cairn_error *err)
{
	cleanup_indexing struct indexing in = {.t = t, .remap = nr_shards > 1};
	struct node *duplicate = NULL;
	char path[NODE_PATH_QUOTED_MAX];
	uint64_t nr = 0;
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
	if (!r)
		r = index_levels(&in, &duplicate);
	if (r < 0)
		return error_errno(err, r, "sort the tree");
	if (duplicate) {
		if (ret_duplicate)
			*ret_duplicate = duplicate;
		return error_set(err, -EEXIST, CAIRN_ERROR_FORMAT, "%s: the name is there twice",
				 node_path_quoted(duplicate, path));
	}
	return 0;
}
