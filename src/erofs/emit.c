/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Writing an image as it was planned.
 *
 * Invariants:
 *  1. buffer[ROOM], at a multiple of the block size in memory too, is the byte of the image where the
 *     piece begins, and the piece is all zero before anything is put there. What lies outside of the
 *     piece may be put too, and is dropped.
 *  2. pos is the offset in the image of what is put next.
 */
#include <assert.h>
#include <errno.h>

#include "base/bytes.h"
#include "erofs/plan-internal.h"

/* The largest record, xattrs (16 bits of 4-byte units) and tail, and padding to the next block: so
 * far an inode that is partly in a piece can reach out of it. */
#define ROOM_USED (EXTENDED_SIZE + XATTR_HEADER_SIZE + 4u * UINT16_MAX + 2 * BLOCK_SIZE)
#define ROOM      ((size_t)ROUND_UP(ROOM_USED, BLOCK_SIZE))

struct erofs_emitter {
	const struct erofs_plan *p;
	uint64_t start, end; /* of the piece, in the image */
	uint64_t pos;
	uint32_t next_dir;           /* place in plan->dir[] */
	uint32_t next_spill;         /* place in plan->spills */
	struct stored_xattr *xattrs; /* scratch */
	uint8_t *buffer;             /* ROOM + EROFS_PIECE_SIZE + ROOM */
};

/* The next @size bytes. */
static uint8_t *put(struct erofs_emitter *e, size_t size)
{
	uint8_t *out = e->buffer + (ROOM + e->pos - e->start);

	assert(e->pos + ROOM >= e->start && e->pos + size <= e->end + ROOM);
	e->pos += size;
	return out;
}

/* --- headers ------------------------------------------------------------------------------------ */

static void put_headers(struct erofs_emitter *e)
{
	const struct erofs_plan *p = e->p;
	uint8_t *out = put(e, INODES_OFFSET);
	uint8_t *super = out + SUPER_OFFSET;

	put_le32(out + HEADER_AT_MAGIC, HEADER_MAGIC);
	put_le32(out + HEADER_AT_VERSION, HEADER_VERSION);
	put_le32(out + HEADER_AT_FLAGS, p->has_acl ? HEADER_FLAG_HAS_ACL : 0);
	put_le32(out + HEADER_AT_FORMAT, (uint32_t)p->format);

	put_le32(super + SUPER_AT_MAGIC, SUPER_MAGIC);
	put_le32(super + SUPER_AT_COMPAT, SUPER_COMPAT_MTIME | SUPER_COMPAT_XFILTER);
	super[SUPER_AT_BLOCK_BITS] = 12;
	put_le16(super + SUPER_AT_ROOT_NID, (uint16_t)p->nid[0]);
	put_le64(super + SUPER_AT_INODES, p->nr_inodes);
	put_le64(super + SUPER_AT_BUILD_TIME, (uint64_t)p->build_time);
	put_le32(super + SUPER_AT_BUILD_NSEC, p->build_nsec);
	put_le32(super + SUPER_AT_BLOCKS, (uint32_t)(p->size / BLOCK_SIZE));
	if (p->format != CAIRN_FORMAT_V2)
		put_le32(super + SUPER_AT_XATTR_BLOCK, (uint32_t)(p->inodes_end / BLOCK_SIZE));
}

/* --- xattrs ------------------------------------------------------------------------------------- */

/* What a reference to @at in the shared area says: from the block of the area, or in V2 from the
 * start of the image. */
static uint32_t shared_id(const struct erofs_plan *p, uint32_t at)
{
	uint64_t base = p->format == CAIRN_FORMAT_V2 ? p->inodes_end : p->inodes_end % BLOCK_SIZE;

	return (uint32_t)((base + at) / 4);
}

static uint8_t *put_entry_head(uint8_t *out, uint32_t suffix_len, uint32_t index,
			       uint32_t value_len, const char *suffix)
{
	out[XENTRY_AT_NAME_LEN] = (uint8_t)suffix_len;
	out[XENTRY_AT_INDEX] = (uint8_t)index;
	put_le16(out + XENTRY_AT_VALUE_LEN, (uint16_t)value_len);
	memcpy(out + XATTR_ENTRY_SIZE, suffix, suffix_len);
	return out + XATTR_ENTRY_SIZE + suffix_len;
}

static void put_xattrs(struct erofs_emitter *e, const struct node *n, uint8_t *out)
{
	const struct erofs_plan *p = e->p;
	const uint32_t nr = plan_is_stub(p, n) ? stored_stub_xattrs(&p->stored, e->xattrs)
					       : stored_xattrs(&p->stored, n, e->xattrs);
	const uint32_t max = stored_refs_max(&p->stored);
	uint32_t filter = UINT32_MAX, nr_shared = 0;
	uint8_t *refs = out + XATTR_HEADER_SIZE;

	for (uint32_t i = 0; i < nr; i++) {
		struct stored_xattr *x = &e->xattrs[i];
		uint32_t at = stored_shared_at(&p->stored, n, x);

		filter &= ~(1u << x->filter);
		if (at == NOT_SHARED || nr_shared == max)
			continue;
		put_le32(refs + 4 * nr_shared++, shared_id(p, at));
		x->name = NULL;
	}
	put_le32(out + XATTR_AT_FILTER, filter);
	out[XATTR_AT_NR_SHARED] = (uint8_t)nr_shared;

	out = refs + 4 * nr_shared;
	for (uint32_t i = 0; i < nr; i++) {
		const struct stored_xattr *x = &e->xattrs[i];

		if (!x->name)
			continue;
		stored_value(&p->stored, n, x,
			     (char *)put_entry_head(out, x->suffix_len, x->index, x->value_len,
						    x->name + x->name_len - x->suffix_len));
		out += stored_entry_size(x->suffix_len, x->value_len);
	}
}

/* From the first entry that does not end before the piece. */
static void put_shared_area(struct erofs_emitter *e)
{
	const struct erofs_plan *p = e->p;
	const struct shared_xattr *shared = p->stored.shared;
	uint32_t low = 0, high = p->stored.nr_shared;

	if (!high || p->inodes_end >= e->end || p->inodes_end + p->stored.shared_size <= e->start)
		return;
	/* The last one that begins at or before it. */
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (p->inodes_end + *shared[mid].place <= e->start)
			low = mid;
		else
			high = mid;
	}
	e->pos = p->inodes_end + *shared[low].place;
	for (uint32_t i = low; i < p->stored.nr_shared && e->pos < e->end; i++) {
		const struct shared_xattr *x = &shared[i];
		uint32_t size = stored_entry_size(x->suffix_len, x->value_len);

		memcpy(put_entry_head(put(e, size), x->suffix_len, x->index, x->value_len,
				      x->name + x->name_len - x->suffix_len),
		       x->value, x->value_len);
	}
}

/* --- directories ---------------------------------------------------------------------------------- */

static uint8_t dirent_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return DIRENT_DIR;
	case S_IFCHR:
		return DIRENT_CHR;
	case S_IFBLK:
		return DIRENT_BLK;
	case S_IFIFO:
		return DIRENT_FIFO;
	case S_IFSOCK:
		return DIRENT_SOCK;
	case S_IFLNK:
		return DIRENT_LNK;
	default:
		return DIRENT_REG;
	}
}

static void put_block(const struct erofs_plan *p, struct dirent_iter *it, uint32_t nr, uint8_t *out)
{
	uint32_t name_at = nr * DIRENT_SIZE;
	struct dirent d;

	for (uint32_t i = 0; i < nr && dirent_iter_next(it, &d); i++) {
		uint8_t *head = out + i * DIRENT_SIZE;

		put_le64(head + DIRENT_AT_NID, p->nid[d.inode->index]);
		put_le16(head + DIRENT_AT_NAME, (uint16_t)name_at);
		head[DIRENT_AT_TYPE] = dirent_type(plan_mode(p, d.inode));
		memcpy(out + name_at, d.name, d.name_len);
		name_at += d.name_len;
	}
}

/* The entries from block @block of directory @n on; @dir: its place in plan->dir[]. */
static void seek_block(const struct erofs_plan *p, const struct node *n, uint32_t dir,
		       uint32_t block, struct dirent_iter *ret)
{
	const struct dir_mark *marks = (const struct dir_mark *)(const void *)p->dir_marks.data;
	struct dirent d;
	uint32_t used;

	dirent_iter_init(ret, p, n);
	if (block >= DIR_MARK) {
		const struct dir_mark *mark = &marks[p->dir[dir].mark + block / DIR_MARK - 1];

		ret->next = mark->next;
		ret->nr_dots = mark->nr_dots;
	}
	for (uint32_t i = 0; i < block % DIR_MARK; i++)
		for (uint32_t nr = dirent_iter_block(ret, &used); nr; nr--)
			dirent_iter_next(ret, &d);
}

/* The entries after those in whole blocks. */
static void put_dir_tail(struct erofs_emitter *e, const struct node *n, uint32_t dir,
			 const struct shape *shape)
{
	struct dirent_iter it;
	uint32_t nr;

	seek_block(e->p, n, dir, shape->blocks, &it);
	nr = it.nr - it.next + 2 - it.nr_dots;
	put_block(e->p, &it, nr, put(e, shape->tail));
}

/* --- inodes --------------------------------------------------------------------------------------- */

/* What i_u says. */
static uint32_t inode_u(const struct erofs_emitter *e, const struct node *n,
			const struct shape *shape)
{
	const struct erofs_plan *p = e->p;
	uint32_t block = 0;

	if (shape->blocks)
		block = (uint32_t)(p->data_start / BLOCK_SIZE) +
			plan_spills(p)[e->next_spill].first;

	switch (n->mode & S_IFMT) {
	case S_IFCHR:
	case S_IFBLK:
		return plan_is_hidden_whiteout(p, n) ? 0 : n->device.rdev;
	case S_IFREG:
		if (node_is_external(n))
			/* The format takes the low half even where a block number stands
			 * (image-format §7.3). */
			return (block & 0xffff0000) | plan_chunk_format(p, n);
		return block;
	default:
		return block;
	}
}

static enum inode_layout inode_layout(const struct node *n, const struct shape *shape)
{
	if (node_is_external(n))
		return LAYOUT_CHUNK;
	return shape->tail ? LAYOUT_INLINE : LAYOUT_PLAIN;
}

static void put_record(struct erofs_emitter *e, const struct node *n, uint32_t ino,
		       const struct shape *shape, uint8_t *out)
{
	const struct erofs_plan *p = e->p;
	uint32_t record = shape->extended ? EXTENDED_SIZE : COMPACT_SIZE;
	uint32_t icount = shape->nr_xattrs ? (shape->head - record - XATTR_HEADER_SIZE) / 4 + 1 : 0;
	uint32_t u = inode_u(e, n, shape);

	put_le16(out + INODE_AT_FORMAT,
		 (uint16_t)(inode_layout(n, shape) << 1 | (shape->extended ? 1 : 0)));
	put_le16(out + INODE_AT_ICOUNT, (uint16_t)icount);
	put_le16(out + INODE_AT_MODE, (uint16_t)plan_mode(p, n));
	if (!shape->extended) {
		put_le16(out + COMPACT_AT_NLINK, (uint16_t)shape->nlink);
		put_le32(out + COMPACT_AT_SIZE, (uint32_t)shape->size);
		put_le32(out + COMPACT_AT_U, u);
		put_le32(out + COMPACT_AT_INO, ino);
		put_le16(out + COMPACT_AT_UID, (uint16_t)n->uid);
		put_le16(out + COMPACT_AT_GID, (uint16_t)n->gid);
		return;
	}
	put_le64(out + EXTENDED_AT_SIZE, shape->size);
	put_le32(out + EXTENDED_AT_U, u);
	put_le32(out + EXTENDED_AT_INO, p->format == CAIRN_FORMAT_V2 ? p->nid[n->index] : ino);
	put_le32(out + EXTENDED_AT_UID, n->uid);
	put_le32(out + EXTENDED_AT_GID, n->gid);
	put_le64(out + EXTENDED_AT_MTIME, (uint64_t)n->mtime);
	put_le32(out + EXTENDED_AT_NSEC, p->format == CAIRN_FORMAT_V2 ? 0 : n->mtime_nsec);
	put_le32(out + EXTENDED_AT_NLINK, shape->nlink);
}

static void put_tail(struct erofs_emitter *e, const struct node *n, uint32_t dir,
		     const struct shape *shape)
{
	if (S_ISDIR(n->mode))
		put_dir_tail(e, n, dir, shape);
	else if (S_ISLNK(n->mode))
		memcpy(put(e, shape->tail), n->symlink.target, shape->tail);
	else if (n->flags & NODE_INLINE)
		memcpy(put(e, shape->tail), n->inl.content + n->size - shape->tail, shape->tail);
	else
		memset(put(e, shape->tail), 0xff, shape->tail);
}

static void put_inode(struct erofs_emitter *e, uint32_t ino)
{
	const struct erofs_plan *p = e->p;
	const struct node *n = plan_inode(p, ino);
	uint32_t dir = e->next_dir, record;
	struct shape shape;
	uint8_t *out;

	plan_shape(p, n, &p->dir[dir], e->xattrs, &shape);
	e->next_dir += S_ISDIR(n->mode);
	e->pos = plan_place(p, e->pos, &shape);
	assert(e->pos == (uint64_t)p->nid[n->index] * SLOT_SIZE);

	record = shape.extended ? EXTENDED_SIZE : COMPACT_SIZE;
	out = put(e, shape.head);
	put_record(e, n, ino, &shape, out);
	if (shape.nr_xattrs)
		put_xattrs(e, n, out + record);
	if (shape.tail)
		put_tail(e, n, dir, &shape);
	if (shape.blocks) {
		assert(plan_spills(p)[e->next_spill].inode == ino);
		e->next_spill++;
	}
}

static void put_inodes(struct erofs_emitter *e, uint64_t piece)
{
	const struct erofs_plan *p = e->p;
	const struct checkpoint *c = (const struct checkpoint *)(const void *)p->checkpoints.data;

	if (piece >= p->checkpoints.len / sizeof(*c))
		return;
	c += piece;
	e->pos = c->pos;
	e->next_dir = c->dir;
	e->next_spill = c->spill;
	for (uint32_t i = c->inode; i < p->nr_inodes && e->pos < e->end; i++)
		put_inode(e, i);
}

/* --- data blocks -------------------------------------------------------------------------------- */

/* The blocks of @spill that are in the piece. */
static void put_spill(struct erofs_emitter *e, const struct spill *spill)
{
	const struct node *n = e->p->inode[spill->inode];
	uint64_t start = e->p->data_start + (uint64_t)spill->first * BLOCK_SIZE;
	uint32_t i = e->start > start ? (uint32_t)((e->start - start) / BLOCK_SIZE) : 0;
	struct dirent_iter it;
	uint32_t used;

	e->pos = start + (uint64_t)i * BLOCK_SIZE;
	if (S_ISDIR(n->mode))
		seek_block(e->p, n, spill->dir, i, &it);
	for (; i < spill->blocks && e->pos < e->end; i++) {
		size_t done = (size_t)i * BLOCK_SIZE;
		uint8_t *out = put(e, BLOCK_SIZE);

		if (S_ISDIR(n->mode))
			put_block(e->p, &it, dirent_iter_block(&it, &used), out);
		else if (S_ISLNK(n->mode))
			memcpy(out, n->symlink.target, (size_t)n->size);
		else if (n->flags & NODE_INLINE)
			memcpy(out, n->inl.content + done,
			       MIN((size_t)n->size - done, (size_t)BLOCK_SIZE));
		else
			/* As many null pointers as fit, whatever the file has (image-format §6.4). */
			memset(out, 0xff, BLOCK_SIZE);
	}
}

static void put_spills(struct erofs_emitter *e)
{
	const struct erofs_plan *p = e->p;
	const struct spill *spills = plan_spills(p);
	uint32_t low = 0, high = plan_nr_spills(p);

	if (!high || p->data_start >= e->end)
		return;
	/* The last one that begins at or before the piece. */
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (p->data_start + (uint64_t)spills[mid].first * BLOCK_SIZE <= e->start)
			low = mid;
		else
			high = mid;
	}
	for (uint32_t i = low; i < plan_nr_spills(p); i++) {
		if (p->data_start + (uint64_t)spills[i].first * BLOCK_SIZE >= e->end)
			break;
		put_spill(e, &spills[i]);
	}
}

/* --- pieces ------------------------------------------------------------------------------------- */

int erofs_emitter_new(const struct erofs_plan *plan, struct erofs_emitter **ret)
{
	struct erofs_emitter *e cleanup(erofs_emitter) = NULL;

	e = (struct erofs_emitter *)calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->p = plan;
	e->xattrs = (struct stored_xattr *)malloc(plan->stored.max_nr * sizeof(*e->xattrs));
	/* Aligned as in the file, since the kernel copies that several times as fast. Not cleared: its
	 * ends are hardly ever used. */
	e->buffer = (uint8_t *)aligned_alloc(BLOCK_SIZE, ROOM + EROFS_PIECE_SIZE + ROOM);
	if (!e->xattrs || !e->buffer)
		return -ENOMEM;
	*ret = take_ptr(e);
	return 0;
}

void erofs_emitter_free(struct erofs_emitter *e)
{
	if (!e)
		return;
	free(e->xattrs);
	free(e->buffer);
	free(e);
}

const uint8_t *erofs_emit_piece(struct erofs_emitter *e, uint64_t nr, size_t *ret_size)
{
	e->start = nr * EROFS_PIECE_SIZE;
	e->end = MIN(e->start + EROFS_PIECE_SIZE, e->p->size);
	memset(e->buffer + ROOM, 0, (size_t)(e->end - e->start));
	e->pos = e->start;
	if (!nr)
		put_headers(e);
	put_inodes(e, nr);
	put_shared_area(e);
	put_spills(e);
	*ret_size = (size_t)(e->end - e->start);
	return e->buffer + ROOM;
}

int erofs_emit(const struct erofs_plan *p,
	       int (*write)(void *arg, const uint8_t *data, size_t size), void *arg)
{
	struct erofs_emitter *e cleanup(erofs_emitter) = NULL;
	int r;

	r = erofs_emitter_new(p, &e);
	for (uint64_t i = 0; !r && i < erofs_plan_pieces(p); i++) {
		size_t size;
		const uint8_t *data = erofs_emit_piece(e, i, &size);

		r = write(arg, data, size);
	}
	return r;
}
