/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Little-endian integers at any address. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

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
