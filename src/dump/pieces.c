/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Dump text parsed in pieces.
 *
 * A piece is parsed as if it were the whole text, but for directories that it does not have: they are
 * taken to be there (struct outside), and their children hang below them until the pieces are joined.
 * Then each is looked up among the directories of the pieces before, and its children move over in
 * one step. Every complaint ends in -EAGAIN, so none has to be worded here.
 */
#include <errno.h>

#include "base/bytes.h"
#include "dump/parse-internal.h"

struct dump_piece {
	struct node *root; /* of the first piece: the real one */
	struct outside *outside;
	struct node *first_link, *last_link;
	size_t nr_dirs;
	struct node *dirs[]; /* that the piece has, in any order */
};

struct dump_join {
	struct node *root;
	struct dirs dirs; /* of the pieces so far */
	struct node *first_link, *last_link;
};

DEFINE_CLEANUP(struct dump_join *, dump_join, dump_join_free)
DEFINE_CLEANUP(struct tree *, tree, tree_free)

/* --- a piece --------------------------------------------------------------------------------- */

static int parse_lines(struct dump_parser *p, const char *text, size_t size)
{
	const char *end = text + size;

	if (memchr(text, '\0', size) || (size && end[-1] != '\n' && p->flags & CAIRN_DUMP_STRICT))
		return -EAGAIN;
	while (text < end) {
		const char *lf = (const char *)memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((lf ? lf : end) - text);
		int r;

		if (len > DUMP_LINE_MAX)
			return -EAGAIN;
		r = dump_parse_line(p, text, len, NULL);
		if (r < 0)
			return r == -ENOMEM ? r : -EAGAIN;
		text += len + 1;
	}
	return 0;
}

int dump_parser_piece(struct dump_parser *p, bool first, const char *text, size_t size,
		      struct dump_piece **ret)
{
	struct dump_piece *piece;
	int r;

	p->has_nul = false;
	p->first_link = p->last_link = NULL;
	r = dirs_reset(&p->dirs, first ? NULL : &p->shard.arena, &p->root);
	if (!r)
		r = parse_lines(p, text, size);
	if (r < 0)
		return r;

	piece = (struct dump_piece *)malloc(sizeof(*piece) + p->dirs.nr * sizeof(struct node *));
	if (!piece)
		return -ENOMEM;
	*piece = (struct dump_piece){.root = p->root,
				     .outside = p->dirs.first_outside,
				     .first_link = p->first_link,
				     .last_link = p->last_link};
	for (size_t i = 0; i <= p->dirs.mask; i++)
		if (p->dirs.slots[i] && !dir_is_outside(p->dirs.slots[i]))
			piece->dirs[piece->nr_dirs++] = p->dirs.slots[i];
	*ret = piece;
	return 0;
}

void dump_piece_free(struct dump_piece *piece)
{
	free(piece);
}

/* --- joining --------------------------------------------------------------------------------- */

int dump_join_new(struct dump_join **ret)
{
	struct dump_join *j cleanup(dump_join) = NULL;

	j = (struct dump_join *)calloc(1, sizeof(*j));
	if (!j || dirs_init(&j->dirs, DUMP_LINE_MAX) < 0)
		return -ENOMEM;
	*ret = take_ptr(j);
	return 0;
}

void dump_join_free(struct dump_join *j)
{
	if (!j)
		return;
	dirs_fini(&j->dirs);
	free(j);
}

static struct node *real_directory(struct node *dir)
{
	return dir_is_outside(dir) ? ((struct outside *)dir)->real : dir;
}

/* The children that hang below @o become younger children of what it stands for. */
static void move_children(const struct outside *o)
{
	struct node *to = o->real;
	const struct node *before = to->dir.newest;

	if (!o->oldest)
		return;
	to->flags |= o->node.flags & NODE_UNSORTED;
	if (before && compare_bytes(before->name, before->name_len, o->oldest->name,
				    o->oldest->name_len) >= 0)
		to->flags |= NODE_UNSORTED;
	o->oldest->next = to->dir.newest;
	to->dir.newest = o->node.dir.newest;
	to->dir.nr += o->node.dir.nr;
}

static int join_outside(struct dump_join *j, struct outside *first)
{
	for (struct outside *o = first; o; o = o->next) {
		const struct node *n = &o->node;

		o->real = n->parent ? dirs_get(&j->dirs, real_directory(n->parent),
					       (struct span){n->name, n->name_len})
				    : j->root;
		if (!o->real)
			return -EAGAIN;
		move_children(o);
	}
	return 0;
}

static void join_links(struct dump_join *j, const struct dump_piece *piece)
{
	if (!piece->first_link)
		return;
	if (j->last_link)
		j->last_link->link.target = piece->first_link;
	else
		j->first_link = piece->first_link;
	j->last_link = piece->last_link;
}

static int join_piece(struct dump_join *j, struct dump_piece *piece)
{
	int r;

	if (!j->root)
		j->root = piece->root;
	r = join_outside(j, piece->outside);
	if (r < 0)
		return r;
	for (size_t i = 0; i < piece->nr_dirs; i++) {
		struct node *dir = piece->dirs[i];

		dir->parent = real_directory(dir->parent);
		if (dirs_add(&j->dirs, dir) < 0)
			return -ENOMEM;
	}
	join_links(j, piece);
	return 0;
}

int dump_join_add(struct dump_join *j, struct dump_piece *piece)
{
	int r = join_piece(j, piece);

	dump_piece_free(piece);
	return r;
}

/* Any complaint about a whole tree. */
static int again(int r)
{
	return r < 0 && r != -ENOMEM ? -EAGAIN : r;
}

int dump_join_finish(struct dump_join *j, struct dump_parser *const *parsers, unsigned int nr,
		     const struct team *team, struct tree **ret)
{
	const unsigned int flags = parsers[0]->flags;
	cleanup_free struct tree_shard *shards = NULL;
	struct tree *t cleanup(tree) = NULL;
	int r;

	if (!j->root)
		return -EAGAIN;
	shards = (struct tree_shard *)calloc(nr, sizeof(*shards));
	if (!shards || tree_new(&t) < 0)
		return -ENOMEM;
	t->root = j->root;
	t->team = *team;
	for (unsigned int i = 0; i < nr; i++) {
		shards[i] = parsers[i]->shard;
		parsers[i]->shard = (struct tree_shard){0};
	}
	r = tree_index(t, shards, nr, NULL, NULL);
	if (!r)
		r = dump_resolve_links(t, j->first_link, flags, NULL);
	if (!r)
		r = tree_seal(t, flags & CAIRN_DUMP_COMPAT, NULL);
	for (unsigned int i = 0; i < nr; i++)
		tree_shard_fini(&shards[i]);
	if (r < 0)
		return again(r);
	*ret = take_ptr(t);
	return 0;
}
