/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What a collection keeps besides what is named in the store: options of those who collect and of those who count. */
#ifndef CLI_ROOTS_H
#define CLI_ROOTS_H

#include "cli.h"
#include "opt.h"

#define OPT_ROOTS(type, member)                                                                    \
	OPT_TEXTS(type, member, 'r', "root", "FILE",                                               \
		  "keep what this image needs, or the images whose digests are in this file")
#define OPT_NO_CHILDREN(type, member)                                                              \
	OPT_BOOL(type, member, 0, "no-children", 1,                                                \
		 "do not ask the stores that look into this one; what only they need goes")

struct roots {
	struct cairn_digest *digest;
	size_t nr;
	int *image; /* open files */
	size_t nr_images;
};

/* Reads all that is named. Returns an exit status, and has said why it is not 0. */
int roots_read(struct roots *r, const struct opt_list *names);
void roots_fini(struct roots *r);
#define cleanup_roots __attribute__((__cleanup__(roots_fini)))

#endif
