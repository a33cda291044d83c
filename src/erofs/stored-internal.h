/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The xattrs that an image stores, which are not quite those of the tree (image-format §4.4, §5):
 * the user's overlay xattrs are escaped, files with their content elsewhere say where, whiteouts and
 * their directories are marked; and what several inodes have is stored once.
 *
 * Invariants:
 *  1. lists[] has the stored form of each of the tree's xattr lists, made once.
 *  2. A pair is known by its number: below nr_xattrs that of the tree's pair, then the marks. A mark
 *     that equals a pair of the tree has that pair's number.
 *  3. After stored_share(), shared_at() is the place in the shared area of everything that two or
 *     more inodes have.
 */
#ifndef EROFS_STORED_INTERNAL_H
#define EROFS_STORED_INTERNAL_H

#include <cairn/image.h>

#include "erofs/format.h"
#include "tree/tree.h"

#define PAIR_NONE     UINT32_MAX
#define PAIR_METACOPY (UINT32_MAX - 1)
#define PAIR_REDIRECT (UINT32_MAX - 2)
#define NOT_SHARED    UINT32_MAX

/* One xattr of one inode. */
struct stored_xattr {
	const char *name;  /* whole, NUL-terminated; the suffix is its end */
	const char *value; /* NULL: made when it is written (metacopy, redirect) */
	uint32_t value_len;
	uint32_t pair;     /* number, PAIR_METACOPY or PAIR_REDIRECT */
	uint16_t name_len; /* 263 at most, when it is escaped */
	uint8_t suffix_len;
	uint8_t index;  /* of the prefix */
	uint8_t filter; /* bit number in the name filter */
};

/* A list of the tree as it is stored. The first before_metacopy of them sort before that name, the
 * first before_redirect before that one. */
struct stored_list {
	uint32_t nr;
	uint32_t before_metacopy;
	uint32_t before_redirect;
	uint32_t nr_shared; /* after stored_share(): of them, those in the shared area … */
	uint32_t own_size;  /* … and bytes of the entries of the others */
	struct stored_xattr xattr[];
};

enum mark {
	MARK_ROOT_OPAQUE,
	MARK_WHITEOUT,
	MARK_USER_WHITEOUT,
	MARK_WHITEOUTS,
	MARK_USER_WHITEOUTS,
	MARK_OPAQUE,
	MARK_USER_OPAQUE,
	NR_MARKS,
};

/* An entry of the shared area. */
struct shared_xattr {
	const char *name;
	const char *value;
	uint32_t value_len;
	uint16_t name_len;
	uint8_t suffix_len, index;
	uint32_t *place; /* where its offset in the area goes */
};

/* Files that have the same value: number them, and say where it is in the shared area. */
struct stored_groups {
	uint32_t *of;    /* by node index: number of its group, 0: the value is its own; NULL: no
			    group at all. Both kinds may have the same array. */
	uint32_t *first; /* by group, from 1: a node that has the value */
	uint32_t *place; /* by group: offset in the shared area */
	uint32_t nr;
};

struct stored {
	const struct tree *tree;
	int format;
	enum cairn_alg alg;
	struct arena arena;
	struct stored_list **lists; /* by list id */
	uint32_t max_nr;            /* xattrs that any one inode can have */
	struct stored_xattr metacopy, redirect, marks[NR_MARKS];
	uint32_t *pair_use; /* by pair: inodes that have it; then its place in the shared area */
	uint8_t *marked;    /* bit by node index: directory with a whiteout in it */
	struct stored_groups metacopy_groups, redirect_groups;
	struct shared_xattr *shared; /* the shared area, in order */
	uint32_t nr_shared;
	uint32_t shared_size; /* bytes */
};

int stored_init(struct stored *s, const struct tree *t, int format, enum cairn_alg alg);
void stored_fini(struct stored *s);

/* Finds what is shared. @stubs: how many stubs the root gets. */
int stored_share(struct stored *s, uint32_t stubs, const struct team *team);

/* Finds the files that have the same metacopy, or the same redirect. Returns 0 or -ENOMEM. */
int stored_group(struct stored *s, const struct team *team);

/* Whether the file's object path follows from its digest: in V2 it always does (erofs-variants §1). */
static inline bool stored_has_object_path(const struct stored *s, const struct node *n)
{
	return n->flags & NODE_OBJECT_PATH ||
	       (s->format == CAIRN_FORMAT_V2 && node_digest(n, s->alg));
}

/* The path of an external file's object as the image has it, in @buf where it follows from the
 * digest; NULL: none. */
const char *stored_payload(const struct stored *s, const struct node *n, char buf[OBJECT_PATH_MAX]);

/* The xattrs of inode @n in the order in which they are stored, into @out (max_nr of them).
 * Returns their number. */
uint32_t stored_xattrs(const struct stored *s, const struct node *n, struct stored_xattr *out);

/* Their number, and the bytes of their entries and references. Returns false when that takes
 * stored_xattrs() to know. */
bool stored_size(const struct stored *s, const struct node *n, uint32_t *ret_nr,
		 uint32_t *ret_size);

/* Writes the value of @x, which stored_xattrs() gave for @n, to @out. Returns its end. */
char *stored_value(const struct stored *s, const struct node *n, const struct stored_xattr *x,
		   char *out);

/* Those of the stubs: the root's security.selinux if it has one. Returns 0 or 1. */
uint32_t stored_stub_xattrs(const struct stored *s, struct stored_xattr *out);

/* Offset of the xattr in the shared area, or NOT_SHARED. */
static inline uint32_t stored_shared_at(const struct stored *s, const struct node *n,
					const struct stored_xattr *x)
{
	const struct stored_groups *g;

	if (x->pair < PAIR_REDIRECT)
		return s->pair_use[x->pair];
	g = x->pair == PAIR_METACOPY ? &s->metacopy_groups : &s->redirect_groups;
	return g->nr && g->of[n->index] ? g->place[g->of[n->index]] : NOT_SHARED;
}

/* References to the shared area that one inode may have. */
static inline uint32_t stored_refs_max(const struct stored *s)
{
	return s->format == CAIRN_FORMAT_V2 ? UINT8_MAX : XATTR_SHARED_MAX;
}

static inline bool stored_is_marked(const struct stored *s, const struct node *dir)
{
	return s->marked[dir->index / 8] >> (dir->index % 8) & 1;
}

/* Bytes of an entry with its padding. */
static inline uint32_t stored_entry_size(uint32_t suffix_len, uint32_t value_len)
{
	return ROUND_UP(XATTR_ENTRY_SIZE + suffix_len + value_len, 4u);
}

#endif
