/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Small words used everywhere: scoped cleanup, moving ownership, arithmetic that is easy to get wrong. */
#ifndef BASE_MACRO_H
#define BASE_MACRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))
#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)

/* @x rounded up to a multiple of @n, a power of two. */
#define ROUND_UP(x, n) (((x) + ((n)-1)) & ~((__typeof__(x))(n)-1))

#define __printf_like(fmt, first) __attribute__((format(printf, fmt, first)))

/* Defines cleanup_@name, which calls @fn on the variable when it goes out of scope. */
#define DEFINE_CLEANUP(type, name, fn)                                                             \
	static inline void cleanup_##name##_p(type *p)                                             \
	{                                                                                          \
		if (*p)                                                                            \
			fn(*p);                                                                    \
	}

#define cleanup(name) __attribute__((__cleanup__(cleanup_##name##_p)))

static inline void cleanup_free_p(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define cleanup_free __attribute__((__cleanup__(cleanup_free_p)))
#define cleanup_fd   __attribute__((__cleanup__(cleanup_fd_p)))

/* Moves a pointer or descriptor out of a variable that would be cleaned up. */
#define take_ptr(p)                                                                                \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
