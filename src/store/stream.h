/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The bytes of one file into another, hashed in passing. */
#ifndef STORE_STREAM_H
#define STORE_STREAM_H

#include "digest/verity.h"

struct stream {
	int from;
	int to;                 /* an empty file; -1: only hash */
	uint64_t size;          /* bytes that @from must have */
	bool sparse;            /* blocks of zeros become holes */
	struct verity *v;       /* gets every byte; NULL: do not hash */
	int (*tick)(void *arg); /* after each piece, ends it with a negative errno; may be NULL */
	void *arg;
};

/* Returns 0; -ENODATA: @from is shorter; what tick() returned; or a negative errno. */
int stream_run(const struct stream *s);

#endif
