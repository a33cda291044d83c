/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A growable buffer. It cannot be made without its ceiling. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <string.h>

#include "base/macro.h"

struct buf {
	char *data;
	size_t len;     /* bytes in use */
	size_t size;    /* bytes allocated */
	size_t ceiling; /* never more than this */
};

#define BUF_INIT(max) ((struct buf){.ceiling = (max)})

void buf_fini(struct buf *b);

/* Room for @more bytes after len. Returns 0, -ENOMEM, or -EFBIG above the ceiling. */
int buf_reserve(struct buf *b, size_t more);

/* Appends. Returns as buf_reserve(). */
int buf_put(struct buf *b, const void *data, size_t size);

#define cleanup_buf __attribute__((__cleanup__(buf_fini)))

#endif
