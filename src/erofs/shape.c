/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What an inode takes and where it goes (image-format §2, §3, §6, §7). */
#include "erofs/plan-internal.h"

void dirent_iter_init(struct dirent_iter *it, const struct erofs_plan *p, const struct node *dir)
{
	*it = (struct dirent_iter){.dir = dir};
	if (!dir->parent && p->root_child) {
		it->child = p->root_child;
		it->nr = p->nr_root_children;
	} else if (dir->dir.nr) {
		it->child = (const struct node *const *)p->tree->entries + dir->dir.first;
		it->nr = dir->dir.nr;
	}
}

/* `.` and `..` are names like others in the order of bytes: `!`, `-` and `+` come before them, and
 * `...` after. */
static bool dots_first(const struct dirent_iter *it)
{
	const struct node *n;

	if (it->nr_dots == 2)
		return false;
	if (it->next == it->nr)
		return true;
	n = it->child[it->next];
	if (n->name[0] != '.')
		return (unsigned char)n->name[0] > '.';
	/* "." is the shortest of its kind; ".." comes after ".-". */
	return it->nr_dots == 0 || (unsigned char)n->name[1] >= '.';
}

bool dirent_iter_next(struct dirent_iter *it, struct dirent *ret)
{
	const struct node *n;

	if (unlikely(dots_first(it))) {
		it->nr_dots++;
		*ret = (struct dirent){"..", it->nr_dots, it->dir};
		if (it->nr_dots == 2 && it->dir->parent)
			ret->inode = it->dir->parent;
		return true;
	}
	if (it->next == it->nr)
		return false;
	if (it->next + TREE_AHEAD < it->nr)
		node_prefetch(it->child[it->next + TREE_AHEAD]);
	n = it->child[it->next++];
	*ret = (struct dirent){n->name, n->name_len, node_inode(n)};
	return true;
}

uint32_t dirent_iter_block(const struct dirent_iter *it, uint32_t *ret_used)
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

/* The smallest power of two that holds the size, within the format's limits. */
uint32_t plan_chunk_format(const struct erofs_plan *p, const struct node *n)
{
	uint32_t bits;

	if (p->format == CAIRN_FORMAT_V2)
		return CHUNK_FORMAT_V2;
	bits = n->size > 1 ? 64 - (uint32_t)__builtin_clzll(n->size - 1) : 0;
	return MIN(MAX(bits, CHUNK_BITS_MIN), CHUNK_BITS_MAX) - CHUNK_BITS_MIN;
}

uint32_t plan_chunks(const struct erofs_plan *p, const struct node *n)
{
	uint32_t bits = plan_chunk_format(p, n) + CHUNK_BITS_MIN;

	if (p->format == CAIRN_FORMAT_V2)
		return node_digest(n, p->alg) ? 1 : 0;
	return (uint32_t)(((n->size - 1) >> bits) + 1);
}

static uint32_t entries_size(const struct stored *s, const struct node *n,
			     const struct stored_xattr *x, uint32_t nr)
{
	uint32_t max = stored_refs_max(s), nr_shared = 0, size = 0;

	for (uint32_t i = 0; i < nr; i++) {
		if (nr_shared < max && stored_shared_at(s, n, &x[i]) != NOT_SHARED) {
			nr_shared++;
			size += 4;
		} else {
			size += stored_entry_size(x[i].suffix_len, x[i].value_len);
		}
	}
	return size;
}

/* The number of xattrs of @n, and their bytes with the header; 0 for none. */
static uint32_t xattrs_size(const struct erofs_plan *p, const struct node *n,
			    struct stored_xattr *scratch, uint32_t *ret_nr)
{
	uint32_t size;

	if (plan_is_stub(p, n))
		*ret_nr = stored_stub_xattrs(&p->stored, scratch);
	else if (stored_size(&p->stored, n, ret_nr, &size))
		return *ret_nr ? XATTR_HEADER_SIZE + size : 0;
	else
		*ret_nr = stored_xattrs(&p->stored, n, scratch);
	return *ret_nr ? XATTR_HEADER_SIZE + entries_size(&p->stored, n, scratch, *ret_nr) : 0;
}

/* The size that takes part in choosing the record (image-format §2): a special file's recorded size
 * counts though it is written as 0. */
static bool needs_extended(const struct erofs_plan *p, const struct node *n, uint64_t size,
			   uint32_t nlink)
{
	if (p->format == CAIRN_FORMAT_V2)
		return true;
	return n->mtime != p->build_time || n->mtime_nsec != p->build_nsec || nlink > UINT16_MAX ||
	       n->uid > UINT16_MAX || n->gid > UINT16_MAX || size > UINT32_MAX;
}

void plan_shape(const struct erofs_plan *p, const struct node *n, const struct dir_shape *dir,
		struct stored_xattr *scratch, struct shape *ret)
{
	uint64_t recorded = n->size;
	uint32_t xattrs;

	*ret = (struct shape){.nlink = p->nlink ? p->nlink[n->index] : n->nlink};
	xattrs = xattrs_size(p, n, scratch, &ret->nr_xattrs);

	switch (n->mode & S_IFMT) {
	case S_IFDIR:
		ret->blocks = dir->blocks;
		ret->tail = dir->tail;
		ret->nlink = dir->nlink;
		ret->is_inline = dir->tail;
		recorded = ret->size = (uint64_t)dir->blocks * BLOCK_SIZE + dir->tail;
		break;
	case S_IFLNK:
		ret->size = n->size;
		ret->tail = (uint32_t)n->size;
		ret->is_inline = ret->is_symlink = true;
		break;
	case S_IFREG:
		ret->size = n->size;
		if (n->flags & NODE_INLINE) {
			ret->is_inline = true;
			ret->blocks = (uint32_t)n->size / BLOCK_SIZE;
			ret->tail = (uint32_t)n->size % BLOCK_SIZE;
			if (ret->tail > TAIL_MAX && p->format != CAIRN_FORMAT_V2) {
				ret->blocks++;
				ret->tail = 0;
			}
		} else if (n->size) {
			ret->tail = 4 * plan_chunks(p, n);
		}
		break;
	default:
		if (plan_is_hidden_whiteout(p, n))
			recorded = 0;
	}
	ret->extended = needs_extended(p, n, recorded, ret->nlink);
	ret->head = (ret->extended ? EXTENDED_SIZE : COMPACT_SIZE) + xattrs;
}

/* Kernels before 6.12 refuse an inline symlink that crosses a block, so none does. */
static uint64_t place_symlink(uint64_t pos, struct shape *shape)
{
	uint64_t total = shape->head + shape->tail;

	if (total >= BLOCK_SIZE) {
		shape->blocks = 1;
		shape->tail = 0;
	}
	if (pos / BLOCK_SIZE != (pos + total - 1) / BLOCK_SIZE)
		pos = ROUND_UP(pos, (uint64_t)BLOCK_SIZE);
	return pos;
}

/* erofs-variants §5: the data after an inode begins just behind a block boundary when it would cross
 * one, also when it would end on one. */
static uint64_t place_v2(uint64_t pos, const struct shape *shape)
{
	uint64_t head_end = pos + shape->head;

	if (shape->is_inline &&
	    (head_end - 1) / BLOCK_SIZE != (head_end + shape->tail) / BLOCK_SIZE) {
		pos += BLOCK_SIZE - (head_end - 1) % BLOCK_SIZE;
		pos = ROUND_UP(pos, (uint64_t)SLOT_SIZE);
	}
	return pos;
}

uint64_t plan_place(const struct erofs_plan *p, uint64_t pos, struct shape *shape)
{
	uint64_t room, moved;

	pos = ROUND_UP(pos, (uint64_t)SLOT_SIZE);
	if (p->format == CAIRN_FORMAT_V2)
		return place_v2(pos, shape);
	if (shape->is_symlink)
		return place_symlink(pos, shape);

	room = BLOCK_SIZE - (pos + shape->head) % BLOCK_SIZE;
	if (shape->tail <= room)
		return pos;
	moved = pos + ROUND_UP(room, (uint64_t)SLOT_SIZE);
	if (shape->tail <= BLOCK_SIZE - (moved + shape->head) % BLOCK_SIZE)
		return moved;
	shape->blocks++;
	shape->tail = 0;
	return ROUND_UP(pos, (uint64_t)BLOCK_SIZE);
}
