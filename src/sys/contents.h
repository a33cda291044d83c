/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* All bytes of a file in memory of our own: what was checked is then what is used, whoever writes to
 * the file meanwhile or cuts it short. */
#ifndef SYS_CONTENTS_H
#define SYS_CONTENTS_H

#include "base/error.h"

struct contents {
	void *data; /* NULL: none */
	size_t size;
};

/* Reads the regular file open at @fd, which the messages call @noun ("the image"). Returns 0; -EINVAL
 * (kind USAGE): not a regular file; or another negative errno. */
int contents_read(int fd, const char *noun, struct contents *ret, struct cairn_error *err);

/* The same with @jobs threads. */
int contents_read_jobs(int fd, const char *noun, unsigned int jobs, struct contents *ret,
		       struct cairn_error *err);

/* From now on the bytes cannot be changed by this process either. */
void contents_freeze(const struct contents *c);

void contents_fini(struct contents *c);

#define cleanup_contents __attribute__((__cleanup__(contents_fini)))

#endif
