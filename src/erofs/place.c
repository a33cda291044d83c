/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The place of every inode.
 *
 * What an inode takes follows from it alone, so ranges of inodes are measured in parallel; where it
 * goes depends on all those before it, so they are placed one after the other, but without looking
 * at them again.
 */
#include <errno.h>

#include "erofs/plan-internal.h"

#define RANGE 8192 /* inodes that a thread measures at once */

/* Ceiling of an image: block numbers have 32 bits (image-format §8), and so have our slots. */
#define IMAGE_MAX ((uint64_t)UINT32_MAX * SLOT_SIZE)

static const char too_large[] = "the image would be larger than its format allows";

/* An inode between measuring and placing. */
struct measured {
	uint32_t index; /* of its node */
	unsigned int head : 20;
	unsigned int blocks : 2; /* of a directory: in its dir_shape */
	unsigned int is_dir : 1;
	unsigned int is_inline : 1;
	unsigned int is_symlink : 1;
	uint16_t tail;
};

struct range {
	struct buf dirs;      /* struct dir_shape, marks counted from the range's first */
	struct buf dir_marks; /* struct dir_mark */
	uint32_t refused;     /* 1 + place in inode[] of one that takes too much; 0: none */
};

struct placing {
	struct erofs_plan *p;
	struct measured *measured; /* by place in inode[] */
	struct range *ranges;
	size_t nr_ranges;
};

#define APPEND(array, item) buf_put(&(array), &(item), sizeof(item))

/* --- measuring ------------------------------------------------------------------------------- */

/* Cuts the entries of @dir into blocks: their number, and the bytes that remain. */
static int split_directory(const struct erofs_plan *p, const struct node *dir, struct range *r,
			   struct dir_shape *shape, uint32_t *ret_used)
{
	struct dirent_iter it;
	struct dirent d;
	uint32_t used = 0;

	shape->mark = (uint32_t)(r->dir_marks.len / sizeof(struct dir_mark));
	dirent_iter_init(&it, p, dir);
	for (struct dirent_iter before = it; dirent_iter_next(&it, &d); before = it) {
		uint32_t cost = DIRENT_SIZE + d.name_len;

		if (used + cost > BLOCK_SIZE) {
			const struct dir_mark mark = {before.next, before.nr_dots};

			shape->blocks++;
			used = 0;
			if (shape->blocks % DIR_MARK == 0 && APPEND(r->dir_marks, mark) < 0)
				return -ENOMEM;
		}
		used += cost;
	}
	*ret_used = used;
	return 0;
}

static int shape_directory(const struct erofs_plan *p, const struct node *dir, struct range *r,
			   struct dir_shape *ret)
{
	/* With `.` and `..`; of the root's entries some are not in the tree. */
	uint64_t all = ((uint64_t)dir->dir.nr + 2) * DIRENT_SIZE + 3 + dir->dir.names_size;
	uint32_t used = (uint32_t)all;

	*ret = (struct dir_shape){.nlink = 2 + dir->dir.nr_dirs};
	if ((!dir->parent || all > BLOCK_SIZE) && split_directory(p, dir, r, ret, &used) < 0)
		return -ENOMEM;
	if (used > TAIL_MAX) {
		ret->blocks++;
		used = 0;
	}
	ret->tail = used;
	return APPEND(r->dirs, *ret);
}

static int measure(const struct erofs_plan *p, const struct node *n, struct range *r,
		   struct stored_xattr *scratch, struct measured *ret)
{
	struct dir_shape dir = {0};
	struct shape shape;

	if (S_ISDIR(n->mode) && shape_directory(p, n, r, &dir) < 0)
		return -ENOMEM;
	plan_shape(p, n, &dir, scratch, &shape);
	/* More than i_xattr_icount can count. */
	if (shape.nr_xattrs &&
	    (shape.head - (shape.extended ? EXTENDED_SIZE : COMPACT_SIZE) - XATTR_HEADER_SIZE) / 4 +
			    1 >
		    UINT16_MAX)
		return -EINVAL;
	*ret = (struct measured){.index = n->index,
				 .head = shape.head & 0xfffff,
				 .blocks = S_ISDIR(n->mode) ? 0 : shape.blocks & 3,
				 .is_dir = S_ISDIR(n->mode),
				 .is_inline = shape.is_inline,
				 .is_symlink = shape.is_symlink,
				 .tail = (uint16_t)shape.tail};
	return 0;
}

static int measure_range(void *arg, unsigned int worker, size_t nr)
{
	struct placing *pl = (struct placing *)arg;
	const struct erofs_plan *p = pl->p;
	struct range *r = &pl->ranges[nr];
	const uint32_t start = (uint32_t)nr * RANGE;
	const uint32_t end = MIN(p->nr_inodes - start, (uint32_t)RANGE) + start;
	cleanup_free struct stored_xattr *scratch = NULL;

	(void)worker;
	/* All of them together are a small part of the image. */
	r->dirs = r->dir_marks = BUF_INIT(SIZE_MAX);
	scratch = (struct stored_xattr *)malloc(p->stored.max_nr * sizeof(*scratch));
	if (!scratch)
		return -ENOMEM;
	for (uint32_t i = start; i < end; i++) {
		int code = measure(p, plan_inode(p, i), r, scratch, &pl->measured[i]);

		if (code == -EINVAL)
			r->refused = i + 1;
		if (code < 0)
			return code;
	}
	return 0;
}

/* The directories of all ranges, in order. */
static int join_ranges(struct placing *pl)
{
	struct erofs_plan *p = pl->p;
	struct dir_shape *out;

	out = p->dir = (struct dir_shape *)malloc((p->tree->facts.nr_dirs + 1u) * sizeof(*p->dir));
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < pl->nr_ranges; i++) {
		const struct range *r = &pl->ranges[i];
		size_t nr = r->dirs.len / sizeof(*out);
		uint32_t base = (uint32_t)(p->dir_marks.len / sizeof(struct dir_mark));

		if (nr)
			memcpy(out, r->dirs.data, r->dirs.len);
		for (size_t d = 0; d < nr; d++)
			out[d].mark += base;
		out += nr;
		if (r->dir_marks.len &&
		    buf_put(&p->dir_marks, r->dir_marks.data, r->dir_marks.len) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int measure_all(struct placing *pl, struct cairn_error *err)
{
	struct erofs_plan *p = pl->p;
	int r = team_each(&p->team, pl->nr_ranges, measure_range, pl);

	for (size_t i = 0; r == -EINVAL && i < pl->nr_ranges; i++)
		if (pl->ranges[i].refused)
			return plan_refuse(err, -EINVAL, p->inode[pl->ranges[i].refused - 1],
					   "too many bytes of xattrs for one inode");
	return r < 0 ? r : join_ranges(pl);
}

/* --- placing --------------------------------------------------------------------------------- */

static int place(struct placing *pl, struct cairn_error *err)
{
	struct erofs_plan *p = pl->p;
	struct checkpoint at = {.pos = INODES_OFFSET};
	uint64_t blocks = 0, nr_checkpoints = 0;

	while (at.inode < p->nr_inodes) {
		const struct measured *m = &pl->measured[at.inode];
		const struct checkpoint before = at;
		struct shape shape = {.head = m->head,
				      .tail = m->tail,
				      .blocks = m->is_dir ? p->dir[at.dir].blocks : m->blocks,
				      .is_inline = m->is_inline,
				      .is_symlink = m->is_symlink};
		uint64_t pos = plan_place(p, before.pos, &shape);

		if (pos > IMAGE_MAX)
			return plan_refuse(err, -EFBIG, p->inode[at.inode], too_large);
		p->nid[m->index] = (uint32_t)(pos / SLOT_SIZE);
		at.pos = pos + shape.head + shape.tail;
		at.inode++;
		at.dir += m->is_dir;
		for (; nr_checkpoints * EROFS_PIECE_SIZE < at.pos; nr_checkpoints++)
			if (APPEND(p->checkpoints, before) < 0)
				return -ENOMEM;
		if (shape.blocks) {
			const struct spill spill = {before.inode, before.dir, shape.blocks,
						    (uint32_t)blocks};

			if (APPEND(p->spills, spill) < 0)
				return -ENOMEM;
			at.spill++;
			blocks += shape.blocks;
		}
	}

	p->inodes_end = ROUND_UP(at.pos, (uint64_t)SLOT_SIZE);
	p->data_start = ROUND_UP(p->inodes_end + p->stored.shared_size, (uint64_t)BLOCK_SIZE);
	p->size = p->data_start + blocks * BLOCK_SIZE;
	return p->size > IMAGE_MAX ? plan_refuse(err, -EFBIG, p->tree->root, too_large) : 0;
}

int plan_place_all(struct erofs_plan *p, struct cairn_error *err)
{
	struct placing pl = {.p = p, .nr_ranges = (p->nr_inodes + (size_t)RANGE - 1) / RANGE};
	struct arena scratch;
	int r = -ENOMEM;

	/* For its large pages. */
	arena_init(&scratch);
	pl.measured = (struct measured *)arena_alloc(&scratch, p->nr_inodes * sizeof(*pl.measured));
	pl.ranges = (struct range *)calloc(pl.nr_ranges, sizeof(*pl.ranges));
	if (pl.measured && pl.ranges)
		r = measure_all(&pl, err);
	if (!r)
		r = place(&pl, err);
	for (size_t i = 0; pl.ranges && i < pl.nr_ranges; i++) {
		buf_fini(&pl.ranges[i].dirs);
		buf_fini(&pl.ranges[i].dir_marks);
	}
	free(pl.ranges);
	arena_fini(&scratch);
	return r;
}
