/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The fs-verity digest of one content that arrives in order.
 *
 *	data ─ 32 blocks at a time ─> level 0: hashes ─ 32 blocks of them ─> level 1 ─> … ─> root
 *
 * Memory does not depend on the size of the content: each level holds only what is not hashed yet.
 */
#include "digest/verity.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "digest/verity-internal.h"

#define GROUP_SIZE ((size_t)SHA2_LANES_MAX * VERITY_BLOCK_SIZE)

/* A full group of level 0 comes once in 16 MiB of data, of level 1 once in gigabytes: that one and
 * those above need not be wide. */
static size_t level_capacity(int k)
{
	return k == 0 ? GROUP_SIZE : VERITY_BLOCK_SIZE;
}

int verity_algs(unsigned int algs, const struct sha2 *ret[VERITY_ALGS_MAX])
{
	const unsigned int known = CAIRN_ALG_BIT(CAIRN_SHA256) | CAIRN_ALG_BIT(CAIRN_SHA512);
	int nr = 0;

	if (!algs || algs & ~known)
		return -EINVAL;

	if (algs & CAIRN_ALG_BIT(CAIRN_SHA256))
		ret[nr++] = sha2_get(CAIRN_SHA256);
	if (algs & CAIRN_ALG_BIT(CAIRN_SHA512))
		ret[nr++] = sha2_get(CAIRN_SHA512);
	return nr;
}

/* --- one tree -------------------------------------------------------------------------------- */

static void tree_reset(struct verity_tree *t)
{
	memset(t->used, 0, sizeof(t->used));
	memset(t->nr, 0, sizeof(t->nr));
}

/* Hashes @nr messages into level @k. They fit: a level is emptied as soon as it is full, and what
 * comes at once divides its capacity, except at the end of the content. */
static void tree_push(struct verity_tree *t, int k, struct sha2_msg *msgs, unsigned int nr);

/* Hashes all that waits in level @k into the next. */
static void tree_flush(struct verity_tree *t, int k)
{
	struct sha2_msg msgs[SHA2_LANES_MAX];
	size_t used = t->used[k];
	unsigned int nr = 0;

	for (size_t at = 0; at < used; at += VERITY_BLOCK_SIZE) {
		msgs[nr++] = (struct sha2_msg){
			.data = t->level[k] + at,
			.len = MIN(used - at, VERITY_BLOCK_SIZE),
		};
	}
	t->used[k] = 0;
	tree_push(t, k + 1, msgs, nr);
}

static void tree_push(struct verity_tree *t, int k, struct sha2_msg *msgs, unsigned int nr)
{
	uint8_t *out = t->level[k] + t->used[k];

	for (unsigned int i = 0; i < nr; i++)
		msgs[i].out = out + i * t->sha->digest_size;
	sha2_hash(t->sha, &t->sha->block, msgs, nr);

	t->nr[k] += nr;
	t->used[k] += nr * t->sha->digest_size;
	if (t->used[k] == level_capacity(k))
		tree_flush(t, k);
}

static void tree_final(struct verity_tree *t, uint64_t size, struct cairn_digest *ret)
{
	struct verity_descriptor d;
	int k = 0;

	verity_descriptor_init(&d, t->sha->alg, size);
	if (size) {
		for (; t->nr[k] > 1; k++) {
			if (t->used[k])
				tree_flush(t, k);
		}
		memcpy(d.root, t->level[k], t->sha->digest_size);
	}
	sha2_hash(t->sha, &t->sha->descriptor,
		  &(struct sha2_msg){
			  .data = &d,
			  .len = sizeof(d),
			  .out = verity_digest_init(ret, t->sha->alg),
		  },
		  1);
}

/* --- the content ----------------------------------------------------------------------------- */

int verity_init(struct verity *v, unsigned int algs)
{
	const struct sha2 *sha[VERITY_ALGS_MAX];
	size_t tree_size = 0;
	uint8_t *memory;
	int nr;

	nr = verity_algs(algs, sha);
	if (nr < 0)
		return nr;

	for (int k = 0; k < VERITY_LEVELS_MAX; k++)
		tree_size += level_capacity(k);
	memory = malloc(GROUP_SIZE + (size_t)nr * tree_size);
	if (!memory)
		return -ENOMEM;

	*v = (struct verity){
		.nr_trees = (unsigned int)nr,
		.memory = memory,
		.pending = memory,
	};
	memory += GROUP_SIZE;
	for (int i = 0; i < nr; i++) {
		v->trees[i].sha = sha[i];
		for (int k = 0; k < VERITY_LEVELS_MAX; k++) {
			v->trees[i].level[k] = memory;
			memory += level_capacity(k);
		}
	}
	return 0;
}

void verity_fini(struct verity *v)
{
	free(v->memory);
	*v = (struct verity){0};
}

/* Hashes a group: the @nr_pending bytes that wait, whole blocks if more follow, then @data[0..@size). */
static void hash_group(struct verity *v, const uint8_t *data, size_t size)
{
	struct sha2_msg msgs[SHA2_LANES_MAX];
	unsigned int nr = 0;

	for (size_t at = 0; at < v->nr_pending; at += VERITY_BLOCK_SIZE) {
		msgs[nr++] = (struct sha2_msg){
			.data = v->pending + at,
			.len = MIN(v->nr_pending - at, VERITY_BLOCK_SIZE),
		};
	}
	for (size_t at = 0; at < size; at += VERITY_BLOCK_SIZE) {
		msgs[nr++] = (struct sha2_msg){
			.data = data + at,
			.len = MIN(size - at, VERITY_BLOCK_SIZE),
		};
	}
	v->nr_pending = 0;
	for (unsigned int i = 0; i < v->nr_trees; i++)
		tree_push(&v->trees[i], 0, msgs, nr);
}

static void put_pending(struct verity *v, const uint8_t *data, size_t size)
{
	if (size)
		memcpy(v->pending + v->nr_pending, data, size);
	v->nr_pending += size;
}

/* Hashes what makes whole groups of @data[0..*@size). Returns what is left of it, less than a group with
 * the bytes that wait. */
static const uint8_t *hash_groups(struct verity *v, const uint8_t *p, size_t *size)
{
	size_t part = MIN(*size, -v->nr_pending % VERITY_BLOCK_SIZE);

	v->size += *size;

	/* Only the block that the last piece left unfinished is completed by a copy. */
	put_pending(v, p, part);
	p += part;
	*size -= part;

	while (v->nr_pending + *size >= GROUP_SIZE) {
		size_t direct = GROUP_SIZE - v->nr_pending;

		hash_group(v, p, direct);
		p += direct;
		*size -= direct;
	}
	return p;
}

void verity_update(struct verity *v, const void *data, size_t size)
{
	const uint8_t *p = hash_groups(v, data, &size);

	put_pending(v, p, size);
}

void verity_leaves(enum cairn_alg alg, const void *data, size_t size, uint8_t *ret)
{
	const struct sha2 *sha = sha2_get(alg);
	const uint8_t *p = data;

	for (size_t at = 0; at < size;) {
		struct sha2_msg msgs[SHA2_LANES_MAX];
		unsigned int nr = 0;

		for (; nr < SHA2_LANES_MAX && at < size; at += VERITY_BLOCK_SIZE) {
			msgs[nr++] = (struct sha2_msg){
				.data = p + at,
				.len = MIN(size - at, VERITY_BLOCK_SIZE),
				.out = ret,
			};
			ret += sha->digest_size;
		}
		sha2_hash(sha, &sha->block, msgs, nr);
	}
}

void verity_add_leaves(struct verity *v, const uint8_t *leaves, size_t size)
{
	struct verity_tree *t = &v->trees[0];
	size_t nr = (size + VERITY_BLOCK_SIZE - 1) / VERITY_BLOCK_SIZE;

	assert(v->nr_trees == 1 && !v->nr_pending && v->size % VERITY_BLOCK_SIZE == 0);
	v->size += size;
	for (size_t part; nr; nr -= part) {
		part = MIN(nr, (level_capacity(0) - t->used[0]) / t->sha->digest_size);
		memcpy(t->level[0] + t->used[0], leaves, part * t->sha->digest_size);
		leaves += part * t->sha->digest_size;
		t->nr[0] += part;
		t->used[0] += part * t->sha->digest_size;
		if (t->used[0] == level_capacity(0))
			tree_flush(t, 0);
	}
}

int verity_finish(struct verity *v, const void *data, size_t size, struct cairn_digest *ret)
{
	const uint8_t *p = hash_groups(v, data, &size);

	if (v->nr_pending || size)
		hash_group(v, p, size);
	for (unsigned int i = 0; i < v->nr_trees; i++) {
		tree_final(&v->trees[i], v->size, &ret[i]);
		tree_reset(&v->trees[i]);
	}
	v->size = 0;
	return (int)v->nr_trees;
}

int verity_final(struct verity *v, struct cairn_digest *ret)
{
	return verity_finish(v, NULL, 0, ret);
}

int verity_digest_data(const void *data, size_t size, unsigned int algs, struct cairn_digest *ret)
{
	cleanup_verity struct verity v = {0};
	int r;

	r = verity_init(&v, algs);
	if (r < 0)
		return r;

	return verity_finish(&v, data, size, ret);
}
