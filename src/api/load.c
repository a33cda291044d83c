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
#include "base/parallel.h"
#include "digest/verity.h"
#include "erofs/format.h"
#include "erofs/reader.h"
#include "sys/contents.h"
#include "sys/io.h"

/* The image open at @fd, in memory, with threads to read it. */
static int open_contents(int fd, unsigned int jobs, struct contents *c, struct image *ret,
			 struct cairn_error *err)
{
	int r = contents_read_jobs(fd, "the image", jobs, c, err);

	if (!r)
		r = image_open(ret, c->data, c->size, err);
	if (!r)
		ret->team = (struct team){jobs, parallel_for};
	return r;
}

int cairn_tree_from_image(int fd, unsigned int flags, unsigned int jobs, const char *const *filter,
			  struct cairn_tree **ret, struct cairn_error *err)
{
	struct contents c cleanup_contents = {0};
	struct image img;
	struct tree *t;
	int r;

	r = open_contents(fd, jobs, &c, &img, err);
	if (!r)
		r = image_load(&img, flags, filter, &t, err);
	if (r < 0)
		return r;
	*ret = tree_to_public(t);
	return 0;
}

/* Of a content in memory, parts of which several threads hash. */
struct hashing {
	const uint8_t *data;
	size_t size;
	enum cairn_alg alg;
	uint8_t *leaves;
};

#define PART ((size_t)1 << 20)

static uint8_t *leaves_of(const struct hashing *h, size_t part)
{
	return h->leaves + part * (PART / VERITY_BLOCK_SIZE) * cairn_digest_size(h->alg);
}

static int hash_part(void *arg, unsigned int worker, size_t i)
{
	const struct hashing *h = (const struct hashing *)arg;

	(void)worker;
	verity_leaves(h->alg, h->data + i * PART, MIN(h->size - i * PART, PART), leaves_of(h, i));
	return 0;
}

static int digest_contents(const struct contents *c, enum cairn_alg alg, unsigned int jobs,
			   struct cairn_digest *ret)
{
	const size_t nr = (c->size + PART - 1) / PART;
	struct hashing h = {(const uint8_t *)c->data, c->size, alg, NULL};
	cleanup_free uint8_t *leaves = NULL;
	struct verity v cleanup_verity = {0};
	int r;

	h.leaves = leaves =
		(uint8_t *)malloc(nr * (PART / VERITY_BLOCK_SIZE) * cairn_digest_size(alg));
	r = leaves ? verity_init(&v, CAIRN_ALG_BIT(alg)) : -ENOMEM;
	if (!r)
		r = parallel_for(jobs, nr, hash_part, &h);
	if (r < 0)
		return r;
	for (size_t i = 0; i < nr; i++)
		verity_add_leaves(&v, leaves_of(&h, i), MIN(c->size - i * PART, PART));
	(void)verity_final(&v, ret);
	return 0;
}

int cairn_image_check(int fd, unsigned int jobs, struct cairn_image_result *ret,
		      struct cairn_error *err)
{
	struct contents c cleanup_contents = {0};
	struct cairn_image_result result;
	struct image img;
	enum cairn_alg alg;
	int r;

	r = open_contents(fd, jobs, &c, &img, err);
	if (!r)
		r = image_check(&img, &alg, err);
	if (r < 0 || !ret)
		return r;

	result = (struct cairn_image_result){
		.format = img.format,
		.size = c.size,
		.inodes = get_le64((uint8_t *)c.data + SUPER_OFFSET + SUPER_AT_INODES)};
	r = digest_contents(&c, alg, jobs, &result.digest);
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
