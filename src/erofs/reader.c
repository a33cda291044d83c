/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Reading an image: header, inodes, xattrs, directories. */
#include "erofs/reader.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "erofs/format.h"
#include "erofs/xattr-name.h"

#define bad(err, ...) error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, __VA_ARGS__)

int image_open(struct image *img, const void *data, uint64_t size, struct cairn_error *err)
{
	const uint8_t *header = (const uint8_t *)data;
	const uint8_t *super = header + SUPER_OFFSET;
	uint64_t xattr_offset;
	uint32_t format;

	if (size < BLOCK_SIZE)
		return bad(err, "not an image: %llu bytes, expected at least %u",
			   (unsigned long long)size, BLOCK_SIZE);
	if (get_le32(header + HEADER_AT_MAGIC) != HEADER_MAGIC)
		return bad(err,
			   "not a composefs image: magic at offset 0 is 0x%08x, expected 0x%08x",
			   get_le32(header + HEADER_AT_MAGIC), HEADER_MAGIC);
	if (get_le32(header + HEADER_AT_VERSION) != HEADER_VERSION)
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "header version at offset 4 is %u, known is %u",
				 get_le32(header + HEADER_AT_VERSION), HEADER_VERSION);
	format = get_le32(header + HEADER_AT_FORMAT);
	if (format > CAIRN_FORMAT_V2)
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "format at offset 12 is %u, known are 0 to 2", format);
	if (get_le32(super + SUPER_AT_MAGIC) != SUPER_MAGIC)
		return bad(err, "superblock magic at offset 1024 is 0x%08x, expected 0x%08x",
			   get_le32(super + SUPER_AT_MAGIC), SUPER_MAGIC);
	if (super[SUPER_AT_BLOCK_BITS] != 12)
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "blkszbits at offset 1036 is %u, known is 12",
				 super[SUPER_AT_BLOCK_BITS]);
	if (get_le32(super + SUPER_AT_INCOMPAT))
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "feature_incompat at offset 1104 is 0x%x, known is 0",
				 get_le32(super + SUPER_AT_INCOMPAT));
	if (get_le32(super + SUPER_AT_META_BLOCK))
		return bad(err, "meta_blkaddr at offset 1064 is %u, expected 0",
			   get_le32(super + SUPER_AT_META_BLOCK));
	xattr_offset = (uint64_t)get_le32(super + SUPER_AT_XATTR_BLOCK) * BLOCK_SIZE;
	if (xattr_offset > size)
		return bad(err, "xattr_blkaddr at offset 1068 is %u, past the end of the image",
			   get_le32(super + SUPER_AT_XATTR_BLOCK));

	*img = (struct image){.data = header,
			      .size = size,
			      .flags = get_le32(header + HEADER_AT_FLAGS),
			      .format = (int)format,
			      .root_nid = get_le16(super + SUPER_AT_ROOT_NID),
			      .xattr_base = xattr_offset,
			      .build_time = (int64_t)get_le64(super + SUPER_AT_BUILD_TIME),
			      .build_nsec = get_le32(super + SUPER_AT_BUILD_NSEC)};
	return 0;
}

/* --- inodes -------------------------------------------------------------------------------------- */

static int bad_inode(struct cairn_error *err, const struct inode *in, const char *words)
{
	return bad(err, "inode %u at offset %llu: %s", in->nid, (unsigned long long)in->offset,
		   words);
}

static void read_compact(const struct image *img, const uint8_t *p, struct inode *in)
{
	in->nlink = get_le16(p + COMPACT_AT_NLINK);
	in->size = get_le32(p + COMPACT_AT_SIZE);
	in->u = get_le32(p + COMPACT_AT_U);
	in->ino = get_le32(p + COMPACT_AT_INO);
	in->uid = get_le16(p + COMPACT_AT_UID);
	in->gid = get_le16(p + COMPACT_AT_GID);
	in->mtime = img->build_time;
	in->mtime_nsec = img->build_nsec;
}

static void read_extended(const uint8_t *p, struct inode *in)
{
	in->size = get_le64(p + EXTENDED_AT_SIZE);
	in->u = get_le32(p + EXTENDED_AT_U);
	in->ino = get_le32(p + EXTENDED_AT_INO);
	in->uid = get_le32(p + EXTENDED_AT_UID);
	in->gid = get_le32(p + EXTENDED_AT_GID);
	in->mtime = (int64_t)get_le64(p + EXTENDED_AT_MTIME);
	in->mtime_nsec = get_le32(p + EXTENDED_AT_NSEC);
	in->nlink = get_le32(p + EXTENDED_AT_NLINK);
}

/* Where the data of a flat inode is: whole blocks at i_u, then the rest in one more block or after
 * the head. */
static int find_data(const struct image *img, struct inode *in, uint64_t head_end,
		     struct cairn_error *err)
{
	uint64_t blocks = in->size / BLOCK_SIZE;
	uint64_t start = (uint64_t)in->u * BLOCK_SIZE;
	uint64_t whole = blocks * BLOCK_SIZE;

	if (in->size > img->size)
		return bad_inode(err, in, "more data than the image has bytes");
	in->tail_size = (uint32_t)(in->size - whole);
	if (whole || (in->tail_size && in->layout == LAYOUT_PLAIN)) {
		uint64_t need = whole + (in->layout == LAYOUT_PLAIN ? in->tail_size : 0);

		if (start > img->size || need > img->size - start)
			return bad_inode(err, in, "data blocks end past the end of the image");
	}
	in->blocks = whole ? img->data + start : NULL;
	in->nr_blocks = blocks;
	if (!in->tail_size)
		return 0;
	if (in->layout == LAYOUT_PLAIN) {
		in->tail = img->data + start + whole;
	} else {
		if (in->tail_size > img->size - head_end)
			return bad_inode(err, in, "inline data ends past the end of the image");
		in->tail = img->data + head_end;
	}
	return 0;
}

int image_inode(const struct image *img, uint64_t nid, struct inode *ret, struct cairn_error *err)
{
	struct inode in = {.nid = (uint32_t)nid, .offset = nid * SLOT_SIZE};
	uint64_t record, head_end;
	const uint8_t *p;
	uint16_t format, icount;

	if (nid > UINT32_MAX || in.offset < INODES_OFFSET || in.offset > img->size - COMPACT_SIZE)
		return bad(err, "inode %llu: not inside the image", (unsigned long long)nid);
	p = img->data + in.offset;
	format = get_le16(p + INODE_AT_FORMAT);
	icount = get_le16(p + INODE_AT_ICOUNT);
	in.mode = get_le16(p + INODE_AT_MODE);
	in.extended = format & 1;
	in.layout = (uint8_t)(format >> 1);
	if (format >> 1 > LAYOUT_CHUNK || in.layout % 2)
		return bad_inode(err, &in, "unknown data layout");

	record = in.extended ? EXTENDED_SIZE : COMPACT_SIZE;
	head_end = in.offset + record;
	if (icount)
		head_end += XATTR_HEADER_SIZE + 4u * (icount - 1u);
	if (head_end > img->size)
		return bad_inode(err, &in, "ends past the end of the image");
	if (icount) {
		in.xattrs = p + record;
		in.xattr_size = (uint32_t)(head_end - in.offset - record);
	}
	if (in.extended)
		read_extended(p, &in);
	else
		read_compact(img, p, &in);

	if (in.layout != LAYOUT_CHUNK &&
	    (S_ISREG(in.mode) || S_ISDIR(in.mode) || S_ISLNK(in.mode))) {
		int r = find_data(img, &in, head_end, err);

		if (r < 0)
			return r;
	}
	*ret = in;
	return 0;
}

/* --- xattrs -------------------------------------------------------------------------------------- */

int image_xattr_begin(const struct inode *inode, struct image_xattr_iter *it,
		      struct cairn_error *err)
{
	*it = (struct image_xattr_iter){0};
	if (!inode->xattrs)
		return 0;
	it->nr_refs = inode->xattrs[XATTR_AT_NR_SHARED];
	it->ref = inode->xattrs + XATTR_HEADER_SIZE;
	it->next = it->ref + 4 * it->nr_refs;
	it->end = inode->xattrs + inode->xattr_size;
	if (it->nr_refs > (inode->xattr_size - XATTR_HEADER_SIZE) / 4)
		return bad_inode(err, inode, "more shared xattrs than its xattr area has room for");
	return 0;
}

/* The entry at @p, which may take @room bytes. Returns its size or -EINVAL. */
static int64_t read_entry(const uint8_t *p, uint64_t room, struct image_xattr *ret)
{
	uint64_t size;

	if (room < XATTR_ENTRY_SIZE)
		return -EINVAL;
	ret->suffix_len = p[XENTRY_AT_NAME_LEN];
	ret->value_len = get_le16(p + XENTRY_AT_VALUE_LEN);
	ret->prefix = xattr_prefix(p[XENTRY_AT_INDEX]);
	ret->suffix = (const char *)p + XATTR_ENTRY_SIZE;
	ret->value = ret->suffix + ret->suffix_len;
	size = XATTR_ENTRY_SIZE + ret->suffix_len + ret->value_len;
	if (size > room || !ret->prefix || memchr(ret->suffix, '\0', ret->suffix_len))
		return -EINVAL;
	ret->prefix_len = (uint32_t)strlen(ret->prefix);
	return (int64_t)size;
}

int image_xattr_next(const struct image *img, const struct inode *inode,
		     struct image_xattr_iter *it, struct image_xattr *ret, struct cairn_error *err)
{
	uint64_t offset;
	int64_t size;

	if (it->next < it->end) {
		size = read_entry(it->next, (uint64_t)(it->end - it->next), ret);
		if (size < 0)
			return bad_inode(err, inode, "an xattr is malformed");
		ret->ref = UINT32_MAX;
		it->next += MIN(ROUND_UP(size, (int64_t)4), it->end - it->next);
		return 1;
	}
	if (!it->nr_refs)
		return 0;
	ret->ref = get_le32(it->ref);
	it->ref += 4;
	it->nr_refs--;
	offset = img->xattr_base + (uint64_t)ret->ref * 4;
	if (offset > img->size || read_entry(img->data + offset, img->size - offset, ret) < 0)
		return bad_inode(err, inode, "a shared xattr is malformed");
	return 1;
}

/* --- directories ----------------------------------------------------------------------------------- */

static int open_block(const struct inode *dir, struct image_dir_iter *it, struct cairn_error *err)
{
	uint32_t names;

	if (it->block < dir->nr_blocks) {
		it->data = dir->blocks + it->block * BLOCK_SIZE;
		it->data_size = BLOCK_SIZE;
	} else {
		it->data = dir->tail;
		it->data_size = dir->tail_size;
	}
	names = it->data_size < DIRENT_SIZE ? 0 : get_le16(it->data + DIRENT_AT_NAME);
	if (!names || names % DIRENT_SIZE || names > it->data_size)
		return bad_inode(err, dir, "a directory block has no entries");
	it->nr = names / DIRENT_SIZE;
	it->next = 0;
	return 0;
}

/* Entry number @i of the block that @it is in. */
static int read_dirent(const struct inode *dir, const struct image_dir_iter *it, uint32_t i,
		       struct image_dirent *ret, struct cairn_error *err)
{
	const uint8_t *head = it->data + i * DIRENT_SIZE;
	const uint32_t start = get_le16(head + DIRENT_AT_NAME);
	uint32_t end = it->data_size;

	if (i + 1 < it->nr)
		end = get_le16(head + DIRENT_SIZE + DIRENT_AT_NAME);
	if (start < it->nr * DIRENT_SIZE || end > it->data_size || start >= end)
		return bad_inode(err, dir, "names of a directory block overlap or end outside it");
	ret->name = (const char *)it->data + start;
	ret->name_len = end - start;
	if (i + 1 == it->nr)
		ret->name_len = (uint32_t)strnlen(ret->name, ret->name_len);
	if (!ret->name_len || ret->name_len > 255 || memchr(ret->name, '/', ret->name_len) ||
	    memchr(ret->name, '\0', ret->name_len))
		return bad_inode(err, dir,
				 "a name in a directory is empty, too long or has a slash or NUL");
	ret->nid = get_le64(head + DIRENT_AT_NID);
	ret->type = head[DIRENT_AT_TYPE];
	return 1;
}

static uint64_t dir_blocks(const struct inode *dir)
{
	return dir->nr_blocks + (dir->tail_size ? 1 : 0);
}

int image_dir_next(const struct inode *dir, struct image_dir_iter *it, struct image_dirent *ret,
		   struct cairn_error *err)
{
	int r;

	if (it->next == it->nr) {
		if (it->data)
			it->block++;
		if (it->block == dir_blocks(dir))
			return 0;
		r = open_block(dir, it, err);
		if (r < 0)
			return r;
	}
	return read_dirent(dir, it, it->next++, ret, err);
}

int image_dir_seek(const struct inode *dir, struct image_dir_iter *it, uint64_t block,
		   uint32_t index, struct cairn_error *err)
{
	int r;

	*it = (struct image_dir_iter){.block = MIN(block, dir_blocks(dir))};
	if (!index || it->block == dir_blocks(dir))
		return 0;
	r = open_block(dir, it, err);
	if (r < 0)
		return r;
	it->next = MIN(index, it->nr);
	return 0;
}

/* Looks for the name in the block that @it is in. */
static int find_in_block(const struct inode *dir, const struct image_dir_iter *it, const char *name,
			 size_t len, struct image_dirent *ret, struct cairn_error *err)
{
	uint32_t low = 0, high = it->nr;

	while (low < high) {
		const uint32_t middle = (low + high) / 2;
		int r = read_dirent(dir, it, middle, ret, err);

		if (r < 0)
			return r;
		r = compare_bytes(name, len, ret->name, ret->name_len);
		if (!r)
			return 1;
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return 0;
}

int image_dir_find(const struct inode *dir, const char *name, size_t len, struct image_dirent *ret,
		   struct cairn_error *err)
{
	uint64_t low = 0, high = dir_blocks(dir);
	struct image_dir_iter it;

	if (!high)
		return 0;
	/* The last block whose first name is not greater. */
	while (high - low > 1) {
		const uint64_t middle = low + (high - low) / 2;
		int r;

		it = (struct image_dir_iter){.block = middle};
		r = open_block(dir, &it, err);
		if (!r)
			r = read_dirent(dir, &it, 0, ret, err);
		if (r < 0)
			return r;
		r = compare_bytes(name, len, ret->name, ret->name_len);
		if (!r)
			return 1;
		if (r < 0)
			high = middle;
		else
			low = middle;
	}
	it = (struct image_dir_iter){.block = low};
	if (open_block(dir, &it, err) < 0)
		return -EINVAL;
	return find_in_block(dir, &it, name, len, ret, err);
}
