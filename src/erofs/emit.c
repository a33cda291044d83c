/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Writing an image as it was planned.
 *
 * Invariants:
 *  1. pos is the offset in the image of buffer[used]; buffers begin at block boundaries.
 *  2. Before an inode, at least INODE_ROOM bytes of the buffer are free.
 */
#include <assert.h>
#include <errno.h>

#include "base/bytes.h"
#include "erofs/plan-internal.h"

/* The largest record, xattrs (16 bits of 4-byte units) and tail, and padding to the next block. */
#define INODE_ROOM (EXTENDED_SIZE + XATTR_HEADER_SIZE + 4u * UINT16_MAX + 2 * BLOCK_SIZE)
_Static_assert(INODE_ROOM + BLOCK_SIZE <= EROFS_BUFFER_SIZE, "an inode fits into a buffer");

struct emitter {
	const struct erofs_plan *p;
	const struct erofs_sink *sink;
	uint8_t *buffer;
	size_t used;
	uint64_t pos;
	struct stored_xattr *xattrs; /* scratch */
	uint32_t next_dir;           /* place in plan->dir[] */
	uint32_t next_spill;         /* place in plan->spill[] */
	uint64_t next_block;         /* data block of that spill */
};

/* Hands the whole blocks in the buffer over and goes on in the next one. */
static int flush(struct emitter *e)
{
	size_t whole = e->used / BLOCK_SIZE * BLOCK_SIZE;
	uint8_t rest[BLOCK_SIZE];
	int r;

	memcpy(rest, e->buffer + whole, e->used - whole);
	r = e->sink->swap(e->sink->arg, &e->buffer, whole);
	if (r < 0)
		return r;
	memcpy(e->buffer, rest, e->used - whole);
	e->used -= whole;
	return 0;
}

static int reserve(struct emitter *e, size_t size)
{
	return EROFS_BUFFER_SIZE - e->used < size ? flush(e) : 0;
}

/* @size bytes of the buffer, cleared. */
static uint8_t *put(struct emitter *e, size_t size)
{
	uint8_t *out = e->buffer + e->used;

	memset(out, 0, size);
	e->used += size;
	e->pos += size;
	return out;
}

static int pad_to(struct emitter *e, uint64_t pos)
{
	assert(pos >= e->pos);
	while (e->pos < pos) {
		int r = reserve(e, BLOCK_SIZE);

		if (r < 0)
			return r;
		put(e, (size_t)MIN(pos - e->pos, (uint64_t)BLOCK_SIZE));
	}
	return 0;
}

/* --- headers ------------------------------------------------------------------------------------ */

static void put_headers(struct emitter *e)
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

static void put_xattrs(struct emitter *e, const struct node *n, uint32_t nr, uint8_t *out)
{
	const struct erofs_plan *p = e->p;
	uint32_t max = p->format == CAIRN_FORMAT_V2 ? UINT8_MAX : XATTR_SHARED_MAX;
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

static int put_shared_area(struct emitter *e)
{
	for (uint32_t i = 0; i < e->p->stored.nr_shared; i++) {
		const struct shared_xattr *x = &e->p->stored.shared[i];
		uint32_t size = stored_entry_size(x->suffix_len, x->value_len);
		int r = reserve(e, INODE_ROOM);

		if (r < 0)
			return r;
		memcpy(put_entry_head(put(e, size), x->suffix_len, x->index, x->value_len,
				      x->name + x->name_len - x->suffix_len),
		       x->value, x->value_len);
	}
	return 0;
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

/* Takes the entries of one block from @it, without moving it: their number and bytes. */
static uint32_t measure_block(const struct dirent_iter *it, uint32_t *ret_used)
{
	struct dirent_iter ahead = *it;
	struct dirent d;
	uint32_t nr = 0, used = 0;

	while (dirent_iter_next(&ahead, &d)) {
		uint32_t cost = DIRENT_SIZE + d.name_len;

		if (used + cost > BLOCK_SIZE)
			break;
		used += cost;
		nr++;
	}
	*ret_used = used;
	return nr;
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

/* The entries after those in whole blocks. */
static void put_dir_tail(struct emitter *e, const struct node *dir, uint32_t blocks, uint32_t tail)
{
	struct dirent_iter it;
	struct dirent d;
	uint32_t used;

	dirent_iter_init(&it, e->p, dir);
	while (blocks--)
		for (uint32_t nr = measure_block(&it, &used); nr; nr--)
			dirent_iter_next(&it, &d);
	put_block(e->p, &it, measure_block(&it, &used), put(e, tail));
	assert(used == tail);
}

/* --- inodes --------------------------------------------------------------------------------------- */

/* What i_u says. */
static uint32_t inode_u(const struct emitter *e, const struct node *n, const struct shape *shape)
{
	uint32_t block = shape->blocks ? (uint32_t)e->next_block : 0;

	switch (n->mode & S_IFMT) {
	case S_IFCHR:
	case S_IFBLK:
		return plan_is_hidden_whiteout(e->p, n) ? 0 : n->device.rdev;
	case S_IFREG:
		if (node_is_external(n))
			/* The format takes the low half even where a block number stands
			 * (image-format §7.3). */
			return (block & 0xffff0000) | plan_chunk_format(e->p, n);
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

static void put_record(struct emitter *e, const struct node *n, uint32_t ino,
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

static void put_tail(struct emitter *e, const struct node *n, const struct shape *shape)
{
	if (S_ISDIR(n->mode))
		put_dir_tail(e, n, shape->blocks, shape->tail);
	else if (S_ISLNK(n->mode))
		memcpy(put(e, shape->tail), n->symlink.target, shape->tail);
	else if (n->flags & NODE_INLINE)
		memcpy(put(e, shape->tail), n->inl.content + n->size - shape->tail, shape->tail);
	else
		memset(put(e, shape->tail), 0xff, shape->tail);
}

static int put_inode(struct emitter *e, uint32_t ino)
{
	const struct erofs_plan *p = e->p;
	const struct node *n = plan_inode(p, ino);
	struct shape shape;
	uint64_t pos;
	int r;

	r = reserve(e, INODE_ROOM);
	if (r < 0)
		return r;
	plan_shape(p, n, &p->dir[e->next_dir], e->xattrs, &shape);
	e->next_dir += S_ISDIR(n->mode);
	pos = plan_place(p, n, e->pos, &shape);
	assert(pos == (uint64_t)p->nid[n->index] * SLOT_SIZE);
	put(e, (size_t)(pos - e->pos));

	if (shape.nr_xattrs) {
		uint8_t *out = put(e, shape.head);
		uint32_t record = shape.extended ? EXTENDED_SIZE : COMPACT_SIZE;

		put_record(e, n, ino, &shape, out);
		put_xattrs(e, n, shape.nr_xattrs, out + record);
	} else {
		put_record(e, n, ino, &shape, put(e, shape.head));
	}
	if (shape.tail)
		put_tail(e, n, &shape);
	if (shape.blocks) {
		assert(p->spill[e->next_spill].inode == ino);
		e->next_block += p->spill[e->next_spill++].blocks;
	}
	return 0;
}

/* --- data blocks -------------------------------------------------------------------------------- */

static int put_spill(struct emitter *e, const struct spill *spill)
{
	const struct node *n = e->p->inode[spill->inode];
	struct dirent_iter it;

	if (S_ISDIR(n->mode))
		dirent_iter_init(&it, e->p, n);
	for (uint32_t i = 0; i < spill->blocks; i++) {
		size_t done = (size_t)i * BLOCK_SIZE;
		uint8_t *out;
		uint32_t used;
		int r;

		r = reserve(e, BLOCK_SIZE);
		if (r < 0)
			return r;
		out = put(e, BLOCK_SIZE);
		if (S_ISDIR(n->mode))
			put_block(e->p, &it, measure_block(&it, &used), out);
		else if (S_ISLNK(n->mode))
			memcpy(out, n->symlink.target, (size_t)n->size);
		else if (n->flags & NODE_INLINE)
			memcpy(out, n->inl.content + done,
			       MIN((size_t)n->size - done, (size_t)BLOCK_SIZE));
		else
			/* As many null pointers as fit, whatever the file has (image-format §6.4). */
			memset(out, 0xff, BLOCK_SIZE);
	}
	return 0;
}

static int emit(struct emitter *e)
{
	const struct erofs_plan *p = e->p;
	int r;

	r = e->sink->swap(e->sink->arg, &e->buffer, 0);
	if (r < 0)
		return r;
	put_headers(e);
	for (uint32_t i = 0; i < p->nr_inodes; i++) {
		r = put_inode(e, i);
		if (r < 0)
			return r;
	}
	r = pad_to(e, p->inodes_end);
	if (!r)
		r = put_shared_area(e);
	if (!r)
		r = pad_to(e, p->data_start);
	for (uint32_t i = 0; !r && i < p->nr_spills; i++)
		r = put_spill(e, &p->spill[i]);
	if (r < 0)
		return r;
	assert(e->pos == p->size);
	return flush(e);
}

int erofs_emit(const struct erofs_plan *p, const struct erofs_sink *sink)
{
	struct emitter e = {.p = p, .sink = sink, .next_block = p->data_start / BLOCK_SIZE};
	int r;

	e.xattrs = (struct stored_xattr *)malloc(p->stored.max_nr * sizeof(*e.xattrs));
	if (!e.xattrs)
		return -ENOMEM;
	r = emit(&e);
	free(e.xattrs);
	return r;
}
