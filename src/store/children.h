/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Children: stores that look into this one (parents.c), so that a collection here can ask what they need.
 *
 * STORE/cairn/children has a line for each: MACHINE INODE PATH, all of the child's directory. It is written by the child
 * where it may write: when it names this store as a parent, and again each time that somebody begins to write to the
 * child and it is not there.
 *
 *  1. A child that cannot be asked ends a collection: it is on another machine, or its path leads nowhere or to something
 *     else. Only a person knows whether it still is.
 *  2. A line is nothing to go by: the store at the path must name this one as a parent. If it is the directory that the
 *     line is about, and does not, the line is old and counts no more.
 *  3. Children of children count as well: each of them that has this one among its parents, however far.
 */
#ifndef STORE_CHILDREN_H
#define STORE_CHILDREN_H

#include "store/store.h"

#define CHILDREN_MAX 4096 /* lines; each is a store that was made by hand */

struct child_line {
	const char *machine; /* /etc/machine-id, or the name of the machine */
	uint64_t inode;
	const char *path;
	bool here; /* it is of this machine */
};

/* Calls @fn for every line. Returns 0, what @fn returned below 0, or a negative errno. */
int store_child_lines(const struct cairn_store *s,
		      int (*fn)(void *arg, const struct child_line *line), void *arg,
		      struct cairn_error *err);

/* Notes @child in its parent @parent, if that is not done yet. Returns 0; or a negative errno: it cannot be written. */
int store_note_child(const struct cairn_store *parent, const struct cairn_store *child);

/* Drops the lines with the path @path. Returns 0, -ENOENT or another negative errno. */
int store_forget_child(const struct cairn_store *s, const char *path, struct cairn_error *err);

/* Children, and theirs, open with their parents. */
struct store_children {
	struct cairn_store **store;
	unsigned int nr;
};

/* Returns 0; -EHOSTUNREACH: one cannot be asked (invariant 1), @err says which and why; or another negative errno. */
int store_children_open(struct cairn_store *s, struct store_children *ret, struct cairn_error *err);
void store_children_fini(struct store_children *c);

#endif
