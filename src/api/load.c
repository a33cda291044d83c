/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Trees from images, and their proof.
 *
 * The whole image is read into memory first: what was checked is then what is used, whoever writes
 * to the file meanwhile.
 */
#include <errno.h>

#include "api/api-internal.h"
#include "base/bytes.h"
#include "digest/verity.h"
#include "erofs/format.h"
#include "erofs/reader.h"
#include "sys/contents.h"
#include "sys/io.h"

int cairn_tree_from_image(int fd, unsigned int flags, const char *const *filter,
			  struct cairn_tree **ret, struct cairn_error *err)
{
	struct contents c cleanup_contents = {0};
	struct image img;
	struct tree *t;
	int r;

	r = contents_read(fd, "the image", &c, err);
	if (!r)
		r = image_open(&img, c.data, c.size, err);
	if (!r)
		r = image_load(&img, flags, filter, &t, err);
	if (r < 0)
		return r;
	*ret = tree_to_public(t);
	return 0;
}

int cairn_image_check(int fd, struct cairn_image_result *ret, struct cairn_error *err)
{
	struct contents c cleanup_contents = {0};
	struct cairn_image_result result;
	struct image img;
	enum cairn_alg alg;
	int r;

	r = contents_read(fd, "the image", &c, err);
	if (!r)
		r = image_open(&img, c.data, c.size, err);
	if (!r)
		r = image_check(&img, &alg, err);
	if (r < 0 || !ret)
		return r;

	result = (struct cairn_image_result){
		.format = img.format,
		.size = c.size,
		.inodes = get_le64((uint8_t *)c.data + SUPER_OFFSET + SUPER_AT_INODES)};
	r = verity_digest_data(c.data, c.size, CAIRN_ALG_BIT(alg), &result.digest);
	if (r < 0)
		return error_errno(err, r, "digest the image");
	*ret = result;
	return 0;
}

int cairn_image_probe(int fd)
{
	uint8_t header[HEADER_SIZE];
	uint32_t format;

	if (pread_full(fd, header, sizeof(header), 0) != sizeof(header) ||
	    get_le32(header + HEADER_AT_MAGIC) != HEADER_MAGIC)
		return -EINVAL;
	format = get_le32(header + HEADER_AT_FORMAT);
	return format > CAIRN_FORMAT_V2 ? -EINVAL : (int)format;
}
