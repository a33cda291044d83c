/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Little-endian integers at any address; the order of byte strings and of integers. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Order of unsigned bytes; of two that begin alike the shorter comes first. Less than, equal to or
 * greater than 0. */
static inline int compare_bytes(const void *a, size_t a_len, const void *b, size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return c ? c : (a_len > b_len) - (a_len < b_len);
}

/* For qsort(): the order of uint64_t. */
static inline int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

#define DEFINE_LE(bits)                                                                            \
	static inline uint##bits##_t get_le##bits(const void *p)                                   \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
                                                                                                   \
		memcpy(&v, p, sizeof(v));                                                          \
		return le##bits##toh(v);                                                           \
	}                                                                                          \
                                                                                                   \
	static inline void put_le##bits(void *p, uint##bits##_t v)                                 \
	{                                                                                          \
		v = htole##bits(v);                                                                \
		memcpy(p, &v, sizeof(v));                                                          \
	}

DEFINE_LE(16)
DEFINE_LE(32)
DEFINE_LE(64)

#undef DEFINE_LE

#endif
