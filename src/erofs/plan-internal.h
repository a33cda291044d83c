/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The plan of an image.
 *
 * Invariants, once it is made:
 *  1. inode[] has every inode once, in the order of the file; nid[] gives the place of each by node
 *     index, in slots. Stubs have the indices from tree->nr_entries on.
 *  2. dir[] has the shape of every directory, in that same order.
 *  3. spills has every inode with data blocks, in that same order.
 *  4. checkpoints has one for each piece of the image that begins before the end of the inodes: where
 *     emitting it begins.
 */
#ifndef EROFS_PLAN_INTERNAL_H
#define EROFS_PLAN_INTERNAL_H

#include "base/buf.h"
#include "erofs/stored-internal.h"
#include "erofs/write.h"

/* How a directory's entries are split (image-format §3). */
struct dir_shape {
	uint32_t blocks; /* whole blocks */
	uint32_t tail;   /* bytes after them */
	uint32_t nlink;
	uint32_t mark; /* place in dir_marks of its block DIR_MARK, which 2 * DIR_MARK follows … */
};

/* Every so many blocks of a directory its next entry is noted, so that no piece of the image has to
 * go through all those before. */
#define DIR_MARK 32u

struct dir_mark {
	uint32_t next; /* see struct dirent_iter */
	uint32_t nr_dots;
};

/* An inode with data blocks. */
struct spill {
	uint32_t inode; /* place in inode[] */
	uint32_t dir;   /* place in dir[], of a directory */
	uint32_t blocks;
	uint32_t first; /* the first of them, counted from the first data block */
};

/* Where a piece of the image begins: at the first inode that does not end before it. */
struct checkpoint {
	uint64_t pos;               /* end of the inode before, or of the superblock */
	uint32_t inode, dir, spill; /* places of the next ones */
};

/* What one inode takes, before it is placed. */
struct shape {
	uint64_t size;   /* i_size */
	uint32_t head;   /* bytes of record and xattrs */
	uint32_t tail;   /* bytes that follow them */
	uint32_t blocks; /* data blocks */
	uint32_t nlink;
	uint32_t nr_xattrs;
	bool extended;
	bool is_inline; /* data of its own follows the head, not chunks */
	bool is_symlink;
};

struct erofs_plan {
	const struct tree *tree;
	int format;
	enum cairn_alg alg;
	struct team team; /* lent while planning */
	bool has_acl;
	int64_t build_time; /* smallest mtime; 0 in V2 */
	uint32_t build_nsec;
	struct stored stored;

	const struct node **inode;
	uint32_t nr_inodes;
	uint32_t *nid;
	uint32_t *nlink; /* by node index, V2: names of each file; NULL otherwise */
	struct node *stub;
	uint32_t nr_stubs;
	const struct node **root_child; /* children of the root and stubs, in order */
	uint32_t nr_root_children;
	struct dir_shape *dir;
	struct buf dir_marks;   /* struct dir_mark */
	struct buf spills;      /* struct spill */
	struct buf checkpoints; /* struct checkpoint */

	uint64_t inodes_end; /* offset */
	uint64_t data_start; /* offset of the first data block */
	uint64_t size;       /* of the image */
};

static inline const struct spill *plan_spills(const struct erofs_plan *p)
{
	return (const struct spill *)(const void *)p->spills.data;
}

static inline uint32_t plan_nr_spills(const struct erofs_plan *p)
{
	return (uint32_t)(p->spills.len / sizeof(struct spill));
}

/* inode[@i], for walks over all of them in order. */
static inline const struct node *plan_inode(const struct erofs_plan *p, uint32_t i)
{
	if (likely(i + TREE_AHEAD < p->nr_inodes))
		node_prefetch(p->inode[i + TREE_AHEAD]);
	return p->inode[i];
}

static inline bool plan_is_stub(const struct erofs_plan *p, const struct node *n)
{
	return n->index >= p->tree->nr_entries;
}

/* Whether the whiteout is written as a regular file (image-format §4.4 step 3). */
static inline bool plan_is_hidden_whiteout(const struct erofs_plan *p, const struct node *n)
{
	return p->format != CAIRN_FORMAT_V2 && node_is_whiteout(n) && !plan_is_stub(p, n);
}

static inline uint32_t plan_mode(const struct erofs_plan *p, const struct node *n)
{
	return plan_is_hidden_whiteout(p, n) ? S_IFREG | (n->mode & 07777u) : n->mode;
}

/* Number of block pointers of a file whose content is elsewhere. */
uint32_t plan_chunks(const struct erofs_plan *p, const struct node *n);

/* Bits of a chunk less 12: what i_u says (image-format §7.3). */
uint32_t plan_chunk_format(const struct erofs_plan *p, const struct node *n);

/* The shape of inode @n before placing; @dir: the next of p->dir[], for directories.
 * @scratch: room for max_nr xattrs. */
void plan_shape(const struct erofs_plan *p, const struct node *n, const struct dir_shape *dir,
		struct stored_xattr *scratch, struct shape *ret);

/* Places an inode of @shape at or after @pos: returns its offset and turns a tail that does not fit
 * into a block (image-format §6.3). */
uint64_t plan_place(const struct erofs_plan *p, uint64_t pos, struct shape *shape);

/* Places everything: nid[], dir[], the arrays and offsets from there on. Returns 0, -ENOMEM; -EINVAL,
 * -EFBIG for what no image can hold. */
int plan_place_all(struct erofs_plan *p, struct cairn_error *err);

/* What is wrong with an inode. Returns @code. */
int plan_refuse(struct cairn_error *err, int code, const struct node *n, const char *words);

/* The entries of a directory in order: its children with `.` and `..` between them. */
struct dirent_iter {
	const struct node *dir;
	const struct node *const *child;
	uint32_t nr, next;
	uint32_t nr_dots; /* of `.` and `..` already given */
};

struct dirent {
	const char *name;
	uint32_t name_len;
	const struct node *inode; /* link-resolved */
};

void dirent_iter_init(struct dirent_iter *it, const struct erofs_plan *p, const struct node *dir);
bool dirent_iter_next(struct dirent_iter *it, struct dirent *ret);

/* How many entries from @it on fit into a block; @it stays. @ret_used: bytes of them. */
uint32_t dirent_iter_block(const struct dirent_iter *it, uint32_t *ret_used);

#endif
