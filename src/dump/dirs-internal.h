/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Which directory a dump line belongs to.
 *
 * Lines mostly come depth first, so the search begins where the last path and this one part; only
 * the components after that are looked up in a table of all directories so far.
 *
 * When only a piece of the text is there, directories that it does not have are taken to be in the
 * text before it: each becomes a struct outside until the pieces are joined.
 */
#ifndef DUMP_DIRS_INTERNAL_H
#define DUMP_DIRS_INTERNAL_H

#include "base/buf.h"
#include "dump/field-internal.h"
#include "tree/tree.h"

/* A directory that children in this piece of the text have, and whose line comes before it. */
struct outside {
	struct node node; /* its mode is 0, which no other node has; its parent is such a one too */
	struct outside *next; /* of the piece, parents first */
	struct node *oldest;  /* its child added first, NULL: it has none */
	struct node *real;    /* when pieces are joined: what it stands for */
};

struct dirs {
	struct node **slots; /* by (parent, name), open addressing; NULL: free */
	size_t mask;
	size_t nr;
	struct buf last;     /* path of the directory that was found last; may be empty */
	struct buf steps;    /* struct step: the directories on the way to it, outermost first */
	struct arena *arena; /* of struct outside; NULL: the whole text is there */
	struct outside *first_outside, *last_outside;
};

/* @path_max: bytes of the longest path. Returns 0 or -ENOMEM. */
int dirs_init(struct dirs *d, size_t path_max);
void dirs_fini(struct dirs *d);

/* Forgets everything. @arena: a piece of the text follows that begins elsewhere than at its beginning.
 * Returns 0, with what stands for the root in @ret_root (NULL without @arena), or -ENOMEM. */
int dirs_reset(struct dirs *d, struct arena *arena, struct node **ret_root);

static inline bool dir_is_outside(const struct node *dir)
{
	return !dir->mode;
}

/* Makes @dir, which is not the root, known. Returns 0 or -ENOMEM. */
int dirs_add(struct dirs *d, struct node *dir);

/* The directory @name in @parent, NULL: there is none. */
struct node *dirs_get(const struct dirs *d, const struct node *parent, struct span name);

/* The directory at @path below @root: components between any number of slashes, taken literally.
 * Returns 0; -ENOTDIR when the last component is there but is no directory; -ENOENT; -ENOMEM. */
int dirs_find(struct dirs *d, struct node *root, struct span path, struct node **ret);

#endif
