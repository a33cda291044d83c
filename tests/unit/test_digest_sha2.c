/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Every kernel that this processor runs, against libcrypto on whole messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <openssl/evp.h>

#include "digest/sha2.h"

#define SIZE_MAX_TESTED 4096
#define GUARD           0xa5

static uint8_t random_bytes[SHA2_LANES_MAX * 2][SIZE_MAX_TESTED];

static uint32_t next_random(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 32);
}

static int fill(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(random_bytes); i++)
		((uint8_t *)random_bytes)[i] = (uint8_t)next_random();
	return 0;
}

static const EVP_MD *md(enum cairn_alg alg)
{
	return alg == CAIRN_SHA256 ? EVP_sha256() : EVP_sha512();
}

/* The digest of @msg, padded with zeros to @size, as libcrypto sees it. */
static void reference(enum cairn_alg alg, const struct sha2_msg *msg, size_t size, uint8_t *out)
{
	uint8_t whole[SIZE_MAX_TESTED] = {0};

	memcpy(whole, msg->data, msg->len);
	assert_int_equal(EVP_Digest(whole, size, out, NULL, md(alg), NULL), 1);
}

/* Messages end where their memory ends, so that a sanitizer or a guard page sees reads beyond. */
static void check(const struct sha2_impl *impl, size_t size, unsigned int nr, size_t min_len)
{
	struct sha2_length length;
	struct sha2_msg msgs[SHA2_LANES_MAX];
	uint8_t *copies[SHA2_LANES_MAX];
	uint8_t out[SHA2_LANES_MAX + 1][CAIRN_DIGEST_MAX];
	size_t digest_size = cairn_digest_size(impl->alg);

	memset(out, GUARD, sizeof(out));
	for (unsigned int i = 0; i < nr; i++) {
		size_t len = min_len + next_random() % (size - min_len + 1);

		copies[i] = test_malloc(len + 1);
		memcpy(copies[i] + 1, random_bytes[i + next_random() % SHA2_LANES_MAX], len);
		msgs[i] = (struct sha2_msg){copies[i] + 1, len, out[i]};
	}

	sha2_length_init(&length, impl->alg, size);
	impl->hash(&length, msgs, nr);

	for (unsigned int i = 0; i < nr; i++) {
		uint8_t expected[CAIRN_DIGEST_MAX];

		reference(impl->alg, &msgs[i], size, expected);
		if (memcmp(expected, out[i], digest_size))
			fail_msg("%s: message %u of %u, %zu of %zu bytes", impl->name, i, nr,
				 msgs[i].len, size);
		for (size_t k = digest_size; k < CAIRN_DIGEST_MAX; k++)
			assert_int_equal(out[i][k], GUARD);
		test_free(copies[i]);
	}
	for (size_t k = 0; k < CAIRN_DIGEST_MAX; k++)
		assert_int_equal(out[nr][k], GUARD);
}

static void test_kernels(void **state)
{
	static const size_t sizes[] = {128, 256, 384, 1024, 4096};

	(void)state;
	for (size_t i = 0; sha2_impls[i]; i++) {
		const struct sha2_impl *impl = sha2_impls[i];

		assert_in_range(impl->lanes, 1, SHA2_LANES_MAX);
		if (!impl->supported()) {
			print_message("%s: not supported by this processor\n", impl->name);
			continue;
		}
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			for (unsigned int nr = 1; nr <= impl->lanes; nr++) {
				check(impl, sizes[k], nr, sizes[k]); /* all full */
				check(impl, sizes[k], nr, 0);        /* any length */
				check(impl, sizes[k], nr, sizes[k] - 100);
			}
		}
	}
}

/* No bytes at all, and lengths around the edges of the hash's own blocks. */
static void test_short(void **state)
{
	static const size_t lens[] = {0, 1, 63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 256};

	(void)state;
	for (size_t i = 0; sha2_impls[i]; i++) {
		const struct sha2_impl *impl = sha2_impls[i];
		struct sha2_length length;

		if (!impl->supported())
			continue;
		sha2_length_init(&length, impl->alg, 256);
		for (size_t k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
			uint8_t expected[CAIRN_DIGEST_MAX];
			uint8_t out[CAIRN_DIGEST_MAX];
			struct sha2_msg msg = {random_bytes[k], lens[k], out};

			impl->hash(&length, &msg, 1);
			reference(impl->alg, &msg, 256, expected);
			assert_memory_equal(out, expected, cairn_digest_size(impl->alg));
		}
	}
}

/* The plan hashes any number of messages, with one kernel or all. */
static void test_plan(void **state)
{
	const size_t nr_max = sizeof(random_bytes) / sizeof(random_bytes[0]);

	(void)state;
	for (unsigned int alg = CAIRN_SHA256; alg <= CAIRN_SHA512; alg++) {
		for (size_t nr = 0; nr <= nr_max; nr++) {
			const struct sha2 *h = sha2_get((enum cairn_alg)alg);
			struct sha2_msg msgs[SHA2_LANES_MAX * 2];
			static uint8_t out[SHA2_LANES_MAX * 2][CAIRN_DIGEST_MAX];

			assert_int_equal(h->alg, alg);
			for (size_t i = 0; i < nr; i++)
				msgs[i] = (struct sha2_msg){random_bytes[i], 4096, out[i]};
			sha2_hash(h, &h->block, msgs, nr);
			for (size_t i = 0; i < nr; i++) {
				uint8_t expected[CAIRN_DIGEST_MAX];

				reference(h->alg, &msgs[i], 4096, expected);
				assert_memory_equal(out[i], expected, h->digest_size);
			}
		}
	}
}

static void test_plan_of_one(void **state)
{
	(void)state;
	for (size_t i = 0; sha2_impls[i]; i++) {
		struct sha2 h;

		if (!sha2_impls[i]->supported())
			continue;
		sha2_init(&h, sha2_impls[i]->alg, sha2_impls[i]);
		for (unsigned int nr = 1; nr <= SHA2_LANES_MAX; nr++)
			assert_ptr_equal(h.choice[nr], sha2_impls[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernels),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_plan_of_one),
	};

	return cmocka_run_group_tests(tests, fill, NULL);
}
