/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Proving that an image is canonical: what is in it is written again and compared. */
#include <errno.h>
#include <stdio.h>

#include "erofs/plan-internal.h"
#include "erofs/reader.h"
#include "tree/objects.h"

/* Nobody has more to compare than so many threads can. */
#define JOBS_MAX 16

struct comparison {
	const struct image *img;
	const struct erofs_plan *plan;
	struct erofs_emitter *emitters[JOBS_MAX];
};

/* The first byte that is not as it ought to be. */
struct difference {
	uint64_t offset; /* in the image */
	uint8_t expected;
};

/* Returns 0, or -EINVAL with @ret for a piece that differs. */
static int compare_piece(const struct comparison *c, struct erofs_emitter *e, uint64_t piece,
			 struct difference *ret)
{
	const uint64_t pos = piece * EROFS_PIECE_SIZE;
	size_t size, i = 0;
	const uint8_t *data = erofs_emit_piece(e, piece, &size);

	/* That the file is shorter, or longer, is found out at the end. */
	size = (size_t)MIN((uint64_t)size, c->img->size - MIN(pos, c->img->size));
	if (!size || !memcmp(data, c->img->data + pos, size))
		return 0;
	while (data[i] == c->img->data[pos + i])
		i++;
	*ret = (struct difference){pos + i, data[i]};
	return -EINVAL;
}

static int compare_any(void *arg, unsigned int worker, size_t piece)
{
	const struct comparison *c = (const struct comparison *)arg;
	struct difference d;

	return compare_piece(c, c->emitters[worker], piece, &d);
}

/* Several threads do not tell which difference is the first: then the pieces are gone through again, in
 * order. */
static int compare_pieces(struct comparison *c, struct difference *ret)
{
	const struct team *t = &c->img->team;
	const struct team team = {MIN(t->jobs, (unsigned int)JOBS_MAX), t->each};
	const uint64_t nr = erofs_plan_pieces(c->plan);
	int r = 0;

	for (unsigned int i = 0; !r && i < team_jobs(&team); i++)
		r = erofs_emitter_new(c->plan, &c->emitters[i]);
	if (!r)
		r = team_each(&team, (size_t)nr, compare_any, c);
	if (r == -EINVAL)
		for (uint64_t i = 0; !compare_piece(c, c->emitters[0], i, ret);)
			i++;
	for (unsigned int i = 0; i < JOBS_MAX; i++)
		erofs_emitter_free(c->emitters[i]);
	return r;
}

struct field {
	uint32_t at;
	const char *name;
};

static const char *field_at(const struct field *fields, size_t nr, uint64_t offset)
{
	const char *name = fields[0].name;

	for (size_t i = 0; i < nr && fields[i].at <= offset; i++)
		name = fields[i].name;
	return name;
}

static const struct field header_fields[] = {
	{0, "magic"}, {4, "version"}, {8, "flags"}, {12, "format"}, {16, "unused"},
};

static const struct field super_fields[] = {
	{0, "magic"},      {4, "checksum"},      {8, "feature_compat"},
	{12, "blkszbits"}, {13, "sb_extslots"},  {14, "root_nid"},
	{16, "inos"},      {24, "build_time"},   {32, "build_time_nsec"},
	{36, "blocks"},    {40, "meta_blkaddr"}, {44, "xattr_blkaddr"},
	{48, "uuid"},      {64, "volume_name"},  {80, "feature_incompat"},
	{84, "reserved"},
};

static const struct field compact_fields[] = {
	{0, "i_format"}, {2, "i_xattr_icount"}, {4, "i_mode"},    {6, "i_nlink"},
	{8, "i_size"},   {12, "reserved"},      {16, "i_u"},      {20, "i_ino"},
	{24, "i_uid"},   {26, "i_gid"},         {28, "reserved"}, {32, "xattrs"},
};

static const struct field extended_fields[] = {
	{0, "i_format"},  {2, "i_xattr_icount"}, {4, "i_mode"},        {6, "reserved"},
	{8, "i_size"},    {16, "i_u"},           {20, "i_ino"},        {24, "i_uid"},
	{28, "i_gid"},    {32, "i_mtime"},       {40, "i_mtime_nsec"}, {44, "i_nlink"},
	{48, "reserved"}, {64, "xattrs"},
};

/* The inode whose bytes begin at or before @offset. */
static const struct node *inode_before(const struct erofs_plan *p, uint64_t offset)
{
	uint32_t low = 0, high = p->nr_inodes;

	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if ((uint64_t)p->nid[p->inode[mid]->index] * SLOT_SIZE <= offset)
			low = mid;
		else
			high = mid;
	}
	return p->inode[low];
}

static void name_inode_field(const struct erofs_plan *p, const struct image *img, uint64_t offset,
			     char *out, size_t size)
{
	const struct node *n = inode_before(p, offset);
	uint64_t start = (uint64_t)p->nid[n->index] * SLOT_SIZE;
	char path[NODE_PATH_QUOTED_MAX];
	const char *field;
	struct inode in;

	if (image_inode(img, p->nid[n->index], &in, NULL) < 0)
		field = "record";
	else if (offset - start >= (in.extended ? EXTENDED_SIZE : COMPACT_SIZE) + in.xattr_size)
		field = "data, or padding after it";
	else if (in.extended)
		field = field_at(extended_fields, ARRAY_SIZE(extended_fields), offset - start);
	else
		field = field_at(compact_fields, ARRAY_SIZE(compact_fields), offset - start);
	snprintf(out, size, "inode %u (%s): %s", p->nid[n->index], node_path_quoted(n, path),
		 field);
}

/* Words for the place of a byte in the image. */
static void name_offset(const struct erofs_plan *p, const struct image *img, uint64_t offset,
			char *out, size_t size)
{
	if (offset < HEADER_SIZE)
		snprintf(out, size, "header: %s",
			 field_at(header_fields, ARRAY_SIZE(header_fields), offset));
	else if (offset < SUPER_OFFSET)
		snprintf(out, size, "padding after the header");
	else if (offset < INODES_OFFSET)
		snprintf(out, size, "superblock: %s",
			 field_at(super_fields, ARRAY_SIZE(super_fields), offset - SUPER_OFFSET));
	else if (offset < p->inodes_end)
		name_inode_field(p, img, offset, out, size);
	else if (offset < p->inodes_end + p->stored.shared_size)
		snprintf(out, size, "shared xattrs");
	else if (offset < p->data_start)
		snprintf(out, size, "padding before the data blocks");
	else
		snprintf(out, size, "data block %llu", (unsigned long long)(offset / BLOCK_SIZE));
}

static int compare_all(const struct image *img, const struct erofs_plan *p, struct cairn_error *err)
{
	struct comparison c = {.img = img, .plan = p};
	char where[NODE_PATH_QUOTED_MAX + 100];
	struct difference d;
	int r = compare_pieces(&c, &d);

	if (r == -EINVAL) {
		name_offset(p, img, d.offset, where, sizeof(where));
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "offset %llu, %s: expected 0x%02x, found 0x%02x",
				 (unsigned long long)d.offset, where, d.expected,
				 img->data[d.offset]);
	}
	if (r < 0)
		return error_errno(err, r, "check the image");
	if (img->size != p->size)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "the file has %llu bytes, expected %llu",
				 (unsigned long long)img->size, (unsigned long long)p->size);
	return 0;
}

int image_check(const struct image *img, enum cairn_alg *ret_alg, struct cairn_error *err)
{
	struct erofs_plan *p cleanup(erofs_plan) = NULL;
	enum cairn_alg alg;
	struct tree *t;
	int r;

	r = image_load(img, 0, NULL, &t, err);
	if (r < 0)
		return r;
	alg = tree_alg(t);
	r = erofs_plan_new(t, img->format, alg, &img->team, &p, err);
	if (r < 0) {
		if (err && r != -ENOMEM)
			err->kind = CAIRN_ERROR_FORMAT;
	} else {
		r = compare_all(img, p, err);
	}
	tree_free(t);
	if (!r)
		*ret_alg = alg;
	return r;
}
