/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* fs-verity digests: known vectors; stream, batch and one-shot against a naive reading of the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

#include "digest/verity.h"

#define BOTH     (CAIRN_ALG_BIT(CAIRN_SHA256) | CAIRN_ALG_BIT(CAIRN_SHA512))
#define DATA_MAX ((size_t)20 << 20)

static uint8_t *data;

static uint32_t next_random(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 32);
}

static int setup(void **state)
{
	(void)state;
	data = malloc(DATA_MAX);
	if (!data)
		return -1;
	for (size_t i = 0; i < DATA_MAX; i++)
		data[i] = (uint8_t)next_random();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(data);
	return 0;
}

/* --- the rules, read naively ----------------------------------------------------------------- */

static void hash(enum cairn_alg alg, const void *p, size_t size, uint8_t *out)
{
	const EVP_MD *md = alg == CAIRN_SHA256 ? EVP_sha256() : EVP_sha512();

	assert_int_equal(EVP_Digest(p, size, out, NULL, md, NULL), 1);
}

/* Level after level, each whole in memory. */
static struct cairn_digest naive(enum cairn_alg alg, const uint8_t *p, size_t size)
{
	struct cairn_digest digest = {.alg = alg};
	size_t digest_size = cairn_digest_size(alg);
	uint8_t descriptor[256] = {1, (uint8_t)alg, 12};
	uint8_t *level = malloc(size + 4096);

	for (int i = 0; i < 8; i++)
		descriptor[8 + i] = (uint8_t)((uint64_t)size >> 8 * i);
	memcpy(level, p, size);
	while (size) {
		size_t nr = (size + 4095) / 4096;
		uint8_t *hashes = calloc(nr, digest_size + 4096);

		memset(level + size, 0, nr * 4096 - size);
		for (size_t i = 0; i < nr; i++)
			hash(alg, level + i * 4096, 4096, hashes + i * digest_size);
		free(level);
		level = hashes;
		size = nr * digest_size;
		if (nr == 1) {
			memcpy(descriptor + 16, level, digest_size);
			break;
		}
	}
	free(level);
	hash(alg, descriptor, sizeof(descriptor), digest.bytes);
	return digest;
}

static void assert_digest(const struct cairn_digest *a, const struct cairn_digest *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static void assert_naive(const struct cairn_digest ret[2], const uint8_t *p, size_t size)
{
	struct cairn_digest sha256 = naive(CAIRN_SHA256, p, size);
	struct cairn_digest sha512 = naive(CAIRN_SHA512, p, size);

	assert_digest(&ret[0], &sha256);
	assert_digest(&ret[1], &sha512);
}

/* --- known vectors --------------------------------------------------------------------------- */

static void test_vectors(void **state)
{
	static const uint8_t zeros[4097];
	static const struct {
		const void *data;
		size_t size;
		const char *hex;
	} vectors[] = {
		/* the kernel's answers */
		{"", 0, "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95"},
		{zeros, 4095, "5372beb83c78537c8970c8361e3254119fafdf1763854ecd57d3f0fe2da7c719"},
		{zeros, 4096, "babc284ee4ffe7f449377fbf6692715b43aec7bc39c094a95878904d34bac97e"},
		{zeros, 4097, "093756e4ea9683329106d4a16982682ed182c14bf076463a9e7f97305cbac743"},
		{"hello world", 11,
		 "1e2eaa4202d750a41174ee454970b92c1bc2f925b1e35076d8c7d5f56362ba64"},
		{"hello world", 11,
		 "18430270729d162d4e469daca123ae61893db4b0583d8f7081e3bf4f92b88ba514e7982f10733fb6"
		 "aa895195c5ae8fd2eb2c47a8be05513ce5a0c51a6f570409"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct cairn_digest expected;
		struct cairn_digest ret[2];

		assert_int_equal(cairn_digest_from_hex(vectors[i].hex, &expected), 0);
		assert_int_equal(verity_digest_data(vectors[i].data, vectors[i].size,
						    CAIRN_ALG_BIT(expected.alg), ret),
				 1);
		assert_digest(&ret[0], &expected);
	}
}

/* --- one content ----------------------------------------------------------------------------- */

/* Around the ends of blocks, of groups of 32 blocks, and of blocks of 64 and 128 hashes. */
static const size_t sizes[] = {
	0,
	1,
	100,
	4095,
	4096,
	4097,
	8192,
	8193,
	31 * 4096,
	32 * 4096 - 1,
	32 * 4096,
	32 * 4096 + 1,
	33 * 4096,
	63 * 4096 + 1,
	64 * 4096,
	64 * 4096 + 1,
	127 * 4096,
	128 * 4096 - 1,
	128 * 4096,
	128 * 4096 + 1,
	129 * 4096,
	500000,
	(1 << 20) - 1,
	1 << 20,
	(1 << 20) + 1,
	3000000,
	3 << 20,
	64 * 64 * 4096 - 1,
	64 * 64 * 4096,
	64 * 64 * 4096 + 1,
	20 << 20,
};

static void test_one_shot(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct cairn_digest ret[2];

		assert_int_equal(verity_digest_data(data, sizes[i], BOTH, ret), 2);
		assert_naive(ret, data, sizes[i]);
	}
}

static void test_each_alone(void **state)
{
	struct cairn_digest both[2];
	struct cairn_digest one;

	(void)state;
	assert_int_equal(verity_digest_data(data, 600000, BOTH, both), 2);
	assert_int_equal(verity_digest_data(data, 600000, CAIRN_ALG_BIT(CAIRN_SHA256), &one), 1);
	assert_digest(&one, &both[0]);
	assert_int_equal(verity_digest_data(data, 600000, CAIRN_ALG_BIT(CAIRN_SHA512), &one), 1);
	assert_digest(&one, &both[1]);
}

static void test_bad_algs(void **state)
{
	static const unsigned int bad[] = {0, 1, 1 | BOTH, CAIRN_ALG_BIT(3), BOTH | 1u << 31};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cairn_digest ret[2] = {{.alg = 7}, {.alg = 7}};
		struct verity v;
		struct verity_batch *b = NULL;

		assert_int_equal(verity_init(&v, bad[i]), -EINVAL);
		assert_int_equal(verity_batch_new(bad[i], &b), -EINVAL);
		assert_null(b);
		assert_int_equal(verity_digest_data("", 0, bad[i], ret), -EINVAL);
		assert_int_equal(ret[0].alg, 7);
	}
}

/* --- pieces ---------------------------------------------------------------------------------- */

/* The same object, content after content, each cut by another knife. */
static void test_pieces(void **state)
{
	static const size_t knives[] = {1,     63,    4095,   4096,   4097,    10000,
					65536, 65537, 131072, 131073, 1 << 20, 0 /* any */};
	cleanup_verity struct verity v = {0};

	(void)state;
	assert_int_equal(verity_init(&v, BOTH), 0);
	for (size_t k = 0; k < ARRAY_SIZE(knives); k++) {
		size_t total = knives[k] == 1 ? 300000 : 3000000 + next_random() % 1000000;
		struct cairn_digest ret[2];

		for (size_t at = 0; at < total;) {
			size_t n =
				knives[k] ? knives[k] : next_random() % (1u << next_random() % 20);

			n = MIN(n, total - at);
			/* The last piece by itself, or with the end, in turn. */
			if (at + n == total && k % 2)
				assert_int_equal(verity_finish(&v, data + at, n, ret), 2);
			else
				verity_update(&v, data + at, n);
			at += n;
		}
		if (!(k % 2))
			assert_int_equal(verity_final(&v, ret), 2);
		assert_naive(ret, data, total);
	}
}

/* 4 GiB and a byte, all zero: sizes of more than 32 bits, and every level that a test can reach. */
static void test_over_4_gib(void **state)
{
	static const char *const hex[] = {
		"ad45d7623311c033cfe2d8bccf26b329e730d013a2ecc7d682e20979dec61ba1",
		("b5bc72848f321dfc4754ff2ba09da56ea4ecd9e31d787182e1902d88338f2433"
		 "a93f6526c50a1bf586bccca06afe216e2f1984282de4be5f10608e6899e82d57")};
	static const uint8_t zeros[1 << 20];
	cleanup_verity struct verity v = {0};
	struct cairn_digest ret[2];

	(void)state;
#ifndef __OPTIMIZE__
	skip(); /* it would take a minute */
#endif
	assert_int_equal(verity_init(&v, BOTH), 0);
	for (size_t i = 0; i < 4096; i++)
		verity_update(&v, zeros, sizeof(zeros));
	verity_update(&v, zeros, 1);
	assert_int_equal(verity_final(&v, ret), 2);
	for (size_t i = 0; i < 2; i++) {
		struct cairn_digest expected;

		assert_int_equal(cairn_digest_from_hex(hex[i], &expected), 0);
		assert_digest(&ret[i], &expected);
	}
}

/* As on processors that have only one of the kernels. */
static void test_each_kernel(void **state)
{
	(void)state;
	for (size_t i = 0; sha2_impls[i]; i++) {
		const struct sha2_impl *impl = sha2_impls[i];
		cleanup_verity struct verity v = {0};
		struct cairn_digest expected, ret;
		struct sha2 h;

		if (!impl->supported())
			continue;
		sha2_init(&h, impl->alg, impl);
		assert_int_equal(verity_init(&v, CAIRN_ALG_BIT(impl->alg)), 0);
		v.trees[0].sha = &h;
		verity_update(&v, data, 3000000);
		assert_int_equal(verity_final(&v, &ret), 1);
		expected = naive(impl->alg, data, 3000000);
		assert_digest(&ret, &expected);
	}
}

/* Pieces hashed by themselves, added in order. */
static void test_leaves(void **state)
{
	static const size_t pieces[] = {4096, 65536, 262144, 1 << 20};
	static const size_t totals[] = {0, 1, 4096, 4097, 300000, 3000000};
	static uint8_t leaves[(1 << 20) / VERITY_BLOCK_SIZE * CAIRN_DIGEST_MAX];

	(void)state;
	for (enum cairn_alg alg = CAIRN_SHA256; alg <= CAIRN_SHA512; alg++) {
		cleanup_verity struct verity v = {0};

		assert_int_equal(verity_init(&v, CAIRN_ALG_BIT(alg)), 0);
		for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
			for (size_t s = 0; s < ARRAY_SIZE(totals); s++) {
				struct cairn_digest ret, expected = naive(alg, data, totals[s]);

				for (size_t at = 0; at < totals[s]; at += pieces[p]) {
					size_t n = MIN(totals[s] - at, pieces[p]);

					verity_leaves(alg, data + at, n, leaves);
					verity_add_leaves(&v, leaves, n);
				}
				assert_int_equal(verity_final(&v, &ret), 1);
				assert_digest(&ret, &expected);
			}
		}
	}
}

static void test_empty_pieces(void **state)
{
	cleanup_verity struct verity v = {0};
	struct cairn_digest ret[2];

	(void)state;
	assert_int_equal(verity_init(&v, BOTH), 0);
	verity_update(&v, NULL, 0);
	assert_int_equal(verity_final(&v, ret), 2);
	assert_naive(ret, data, 0);
	verity_update(&v, data, 5);
	verity_update(&v, NULL, 0);
	assert_int_equal(verity_final(&v, ret), 2);
	assert_naive(ret, data, 5);
}

/* --- many contents --------------------------------------------------------------------------- */

struct content {
	const uint8_t *data;
	size_t size;
	struct cairn_digest ret[2];
};

static void check_batch(struct verity_batch *b, struct content *contents, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		verity_batch_add(b, contents[i].data, contents[i].size, contents[i].ret);
	verity_batch_flush(b);
	for (size_t i = 0; i < nr; i++)
		assert_naive(contents[i].ret, contents[i].data, contents[i].size);
}

static void test_batch_sizes(void **state)
{
	cleanup(verity_batch) struct verity_batch *b = NULL;
	struct content contents[ARRAY_SIZE(sizes)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		contents[i] = (struct content){.data = data, .size = sizes[i]};
	assert_int_equal(verity_batch_new(BOTH, &b), 0);
	check_batch(b, contents, ARRAY_SIZE(sizes));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		check_batch(b, &contents[i], 1);
	verity_batch_flush(b);
}

/* More contents, and more blocks, than a batch holds. */
static void test_batch_overflow(void **state)
{
	enum { NR = 3 * VERITY_BATCH_FILES + 17 };
	cleanup(verity_batch) struct verity_batch *b = NULL;
	struct content *contents = calloc(NR, sizeof(*contents));

	(void)state;
	assert_int_equal(verity_batch_new(BOTH, &b), 0);
	for (size_t i = 0; i < NR; i++) {
		contents[i].size = next_random() % (1u << next_random() % 16);
		contents[i].data = data + next_random() % (DATA_MAX - (1 << 16));
	}
	check_batch(b, contents, NR);

	for (size_t i = 0; i < 40; i++) {
		contents[i].size = VERITY_BATCH_CONTENT - next_random() % 8192;
		contents[i].data = data + next_random() % (DATA_MAX - VERITY_BATCH_CONTENT);
	}
	check_batch(b, contents, 40);
	free(contents);
}

static void test_batch_free_unflushed(void **state)
{
	struct verity_batch *b;
	struct cairn_digest ret;

	(void)state;
	assert_int_equal(verity_batch_new(CAIRN_ALG_BIT(CAIRN_SHA512), &b), 0);
	verity_batch_add(b, data, 1000, &ret);
	verity_batch_free(b);
	verity_batch_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),        cmocka_unit_test(test_one_shot),
		cmocka_unit_test(test_each_alone),     cmocka_unit_test(test_bad_algs),
		cmocka_unit_test(test_pieces),         cmocka_unit_test(test_over_4_gib),
		cmocka_unit_test(test_each_kernel),    cmocka_unit_test(test_empty_pieces),
		cmocka_unit_test(test_leaves),         cmocka_unit_test(test_batch_sizes),
		cmocka_unit_test(test_batch_overflow), cmocka_unit_test(test_batch_free_unflushed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
