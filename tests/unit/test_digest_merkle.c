/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Kept Merkle trees: their digest is that of the stream; every changed bit is found where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "digest/merkle.h"

#define DATA_MAX ((size_t)66 << 20) /* three levels of SHA-256 above 64 MiB */

static uint8_t *data;

static int setup(void **state)
{
	uint64_t x = 88172645463325252ull;

	(void)state;
	data = malloc(DATA_MAX);
	if (!data)
		return -1;
	for (size_t i = 0; i < DATA_MAX / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(data + 8 * i, &x, 8);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(data);
	return 0;
}

static const size_t sizes[] = {
	0,                        /* no block at all */
	1,                        /* a block that is not whole */
	4096,                     /* one block: no level */
	4097,                     /* two blocks: one level */
	64 * 4096,                /* SHA-512: one full block of hashes */
	65 * 4096,                /* … and one more */
	128 * 4096,               /* the same of SHA-256 */
	128 * 4096 + 1,           /* two levels */
	500 * 4096 + 77,          /* no multiple of anything */
	(size_t)128 * 128 * 4096, /* two full levels */
	(size_t)129 * 128 * 4096, /* three, the second level's last block almost empty */
};

struct kept {
	struct merkle m;
	uint8_t *tree;
	uint8_t root[CAIRN_DIGEST_MAX];
	struct cairn_digest digest;
};

static struct kept make(enum cairn_alg alg, size_t size)
{
	struct kept k = {0};

	assert_int_equal(merkle_init(&k.m, alg, size), 0);
	k.tree = malloc((size_t)k.m.tree_size + 1);
	memset(k.tree, 0xaa, (size_t)k.m.tree_size);
	if (k.m.levels) {
		merkle_hash_blocks(&k.m, data, size, k.tree + k.m.offset[0]);
		merkle_build(&k.m, k.tree, 0, k.root);
	} else if (size) {
		merkle_hash_blocks(&k.m, data, size, k.root);
	}
	merkle_digest(&k.m, k.root, &k.digest);
	return k;
}

static void test_digest(void **state)
{
	(void)state;
	for (enum cairn_alg alg = CAIRN_SHA256; alg <= CAIRN_SHA512; alg++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct kept k = make(alg, sizes[i]);
			struct cairn_digest want;

			assert_int_equal(
				verity_digest_data(data, sizes[i], CAIRN_ALG_BIT(alg), &want), 1);
			assert_memory_equal(&k.digest, &want, sizeof(want));
			free(k.tree);
		}
	}
}

/* The numbers of the rule, by hand: 500 blocks and a bit. */
static void test_shape(void **state)
{
	struct merkle m;

	(void)state;
	assert_int_equal(merkle_init(&m, CAIRN_SHA256, 500 * 4096 + 77), 0);
	assert_int_equal(m.nr_blocks, 501);
	assert_int_equal(m.levels, 2);
	assert_int_equal(m.blocks[0], 4);
	assert_int_equal(m.blocks[1], 1);
	assert_int_equal(m.offset[1], 0);
	assert_int_equal(m.offset[0], 4096);
	assert_int_equal(m.tree_size, 5 * 4096);
	assert_int_equal(merkle_init(&m, CAIRN_SHA512, INT64_MAX), 0);
	assert_true(m.levels <= VERITY_LEVELS_MAX);
	assert_int_equal(merkle_init(&m, CAIRN_SHA256, (uint64_t)INT64_MAX + 1), -EFBIG);
	assert_int_equal(merkle_init(&m, 7, 1), -EINVAL);
}

static void test_levels_that_are_wrong(void **state)
{
	uint8_t root[CAIRN_DIGEST_MAX];

	(void)state;
	for (enum cairn_alg alg = CAIRN_SHA256; alg <= CAIRN_SHA512; alg++) {
		struct kept k = make(alg, (size_t)129 * 128 * 4096);

		assert_true(merkle_check(&k.m, k.tree, 0, &k.digest, root));
		assert_memory_equal(root, k.root, k.m.sha->digest_size);
		for (uint64_t at = 0; at < k.m.tree_size; at += 3001) {
			k.tree[at] ^= 0x10;
			assert_false(merkle_check(&k.m, k.tree, 0, &k.digest, root));
			/* What is above it does not depend on it. */
			if (at >= k.m.offset[0])
				assert_true(merkle_check(&k.m, k.tree, 1, &k.digest, root));
			k.tree[at] ^= 0x10;
		}
		/* The upper levels alone give the same root. */
		memset(k.tree + k.m.offset[1], 0xff, 32);
		merkle_hash_blocks(&k.m, k.tree + k.m.offset[0], (size_t)k.m.blocks[0] * 4096,
				   k.tree + k.m.offset[1]);
		merkle_build(&k.m, k.tree, 1, root);
		assert_memory_equal(root, k.root, k.m.sha->digest_size);
		k.digest.bytes[5] ^= 1;
		assert_false(merkle_check(&k.m, k.tree, 0, &k.digest, root));
		free(k.tree);
	}
}

static void test_blocks_that_are_wrong(void **state)
{
	const size_t size = 500 * 4096 + 77;

	(void)state;
	for (enum cairn_alg alg = CAIRN_SHA256; alg <= CAIRN_SHA512; alg++) {
		struct kept k = make(alg, size);
		const uint8_t *hashes = k.tree + k.m.offset[0];

		assert_int_equal(merkle_bad_block(&k.m, data, size, hashes), -1);
		for (size_t at = 0; at < size; at += 4111) {
			data[at] ^= 1;
			assert_int_equal(merkle_bad_block(&k.m, data, size, hashes), at / 4096);
			data[at] ^= 1;
		}
		/* Any run of blocks by itself. */
		for (size_t first = 0; first < 501; first += 37)
			assert_int_equal(merkle_bad_block(&k.m, data + first * 4096,
							  size - first * 4096,
							  hashes + first * k.m.sha->digest_size),
					 -1);
		free(k.tree);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_levels_that_are_wrong),
		cmocka_unit_test(test_blocks_that_are_wrong),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
