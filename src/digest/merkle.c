/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Merkle trees that are kept. Everything that is hashed is hashed in full groups. */
#include "digest/merkle.h"

#include <errno.h>
#include <string.h>

#include "digest/verity-internal.h"

int merkle_init(struct merkle *m, enum cairn_alg alg, uint64_t size)
{
	const struct sha2 *sha[VERITY_ALGS_MAX];
	uint64_t offset = 0, nr;

	if (!cairn_digest_size(alg) || verity_algs(CAIRN_ALG_BIT(alg), sha) < 0)
		return -EINVAL;
	if (size > INT64_MAX)
		return -EFBIG;

	*m = (struct merkle){.sha = sha[0], .size = size, .nr_blocks = merkle_blocks(size)};
	m->fanout = VERITY_BLOCK_SIZE / m->sha->digest_size;
	for (nr = m->nr_blocks; nr > 1; nr = m->blocks[m->levels++]) {
		m->nr[m->levels] = nr;
		m->blocks[m->levels] = merkle_blocks(nr * m->sha->digest_size);
	}
	for (unsigned int k = m->levels; k-- > 0;) {
		m->offset[k] = offset;
		offset += m->blocks[k] * VERITY_BLOCK_SIZE;
	}
	m->tree_size = offset;
	return 0;
}

/* The messages of up to SHA2_LANES_MAX blocks at @data[0..@size). Returns how many. */
static unsigned int make_group(struct sha2_msg *msgs, const uint8_t *data, size_t size,
			       uint8_t *out, unsigned int digest_size)
{
	unsigned int nr = 0;

	for (size_t at = 0; at < size && nr < SHA2_LANES_MAX; at += VERITY_BLOCK_SIZE, nr++) {
		msgs[nr] = (struct sha2_msg){.data = data + at,
					     .len = MIN(size - at, VERITY_BLOCK_SIZE),
					     .out = out + (size_t)nr * digest_size};
	}
	return nr;
}

void merkle_hash_blocks(const struct merkle *m, const void *data, size_t size, uint8_t *out)
{
	const uint8_t *p = (const uint8_t *)data;

	while (size) {
		struct sha2_msg msgs[SHA2_LANES_MAX];
		unsigned int nr = make_group(msgs, p, size, out, m->sha->digest_size);
		size_t done = MIN(size, (size_t)nr * VERITY_BLOCK_SIZE);

		sha2_hash(m->sha, &m->sha->block, msgs, nr);
		p += done;
		size -= done;
		out += (size_t)nr * m->sha->digest_size;
	}
}

int64_t merkle_bad_block(const struct merkle *m, const void *data, size_t size,
			 const uint8_t *hashes)
{
	const uint8_t *p = (const uint8_t *)data;
	const unsigned int digest_size = m->sha->digest_size;
	int64_t block = 0;

	while (size) {
		uint8_t found[SHA2_LANES_MAX * CAIRN_DIGEST_MAX];
		struct sha2_msg msgs[SHA2_LANES_MAX];
		unsigned int nr = make_group(msgs, p, size, found, digest_size);
		size_t done = MIN(size, (size_t)nr * VERITY_BLOCK_SIZE);

		sha2_hash(m->sha, &m->sha->block, msgs, nr);
		for (unsigned int i = 0; i < nr; i++, block++, hashes += digest_size)
			if (memcmp(found + (size_t)i * digest_size, hashes, digest_size))
				return block;
		p += done;
		size -= done;
	}
	return -1;
}

static size_t level_bytes(const struct merkle *m, unsigned int k)
{
	return (size_t)m->nr[k] * m->sha->digest_size;
}

void merkle_build(const struct merkle *m, uint8_t *tree, unsigned int lowest, uint8_t *root)
{
	assert(lowest < m->levels);

	for (unsigned int k = lowest; k < m->levels; k++) {
		uint8_t *level = tree + m->offset[k];
		size_t used = level_bytes(m, k);
		size_t size = (size_t)m->blocks[k] * VERITY_BLOCK_SIZE;

		memset(level + used, 0, size - used);
		merkle_hash_blocks(m, level, size,
				   k + 1 < m->levels ? tree + m->offset[k + 1] : root);
	}
}

void merkle_digest(const struct merkle *m, const uint8_t *root, struct cairn_digest *ret)
{
	struct verity_descriptor d;

	verity_descriptor_init(&d, m->sha->alg, m->size);
	if (m->size)
		memcpy(d.root, root, m->sha->digest_size);
	sha2_hash(m->sha, &m->sha->descriptor,
		  &(struct sha2_msg){.data = &d,
				     .len = sizeof(d),
				     .out = verity_digest_init(ret, m->sha->alg)},
		  1);
}

bool merkle_check(const struct merkle *m, const uint8_t *tree, unsigned int lowest,
		  const struct cairn_digest *digest, uint8_t *root)
{
	struct cairn_digest found;
	unsigned int k = m->levels - 1;

	assert(lowest < m->levels);

	merkle_hash_blocks(m, tree + m->offset[k], VERITY_BLOCK_SIZE, root);
	merkle_digest(m, root, &found);
	if (memcmp(&found, digest, sizeof(found)))
		return false;
	while (k-- > lowest) {
		if (merkle_bad_block(m, tree + m->offset[k],
				     (size_t)m->blocks[k] * VERITY_BLOCK_SIZE,
				     tree + m->offset[k + 1]) >= 0)
			return false;
	}
	return true;
}
