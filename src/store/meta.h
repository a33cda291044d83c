/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* meta.json: what a repository says about itself (docs/format/store.md, repository §2). Pure. */
#ifndef STORE_META_H
#define STORE_META_H

#include <cairn/image.h>

#include "base/buf.h"
#include "base/error.h"

#define META_MAX     65536 /* bytes of meta.json; real ones have 300 */
#define META_VERSION 1     /* what is written, and the newest that is read */

#define META_FEATURE_MAX 64 /* bytes kept of the name of an unknown feature */

struct store_meta {
	enum cairn_alg alg;
	int format; /* enum cairn_format of new images */
	unsigned int
		formats; /* bit N: a commit writes an image of format N too; @format's bit set */
	/* A feature that may be ignored by who only reads; "": none is unknown here. */
	char read_only[META_FEATURE_MAX];
};

/* Reads @text[0..@size). Returns 0; -EINVAL (FORMAT) for what is no meta.json; -ENOTSUP
 * (UNSUPPORTED) for a version, algorithm or incompatible feature that is unknown here, named in @err. */
int meta_parse(const char *text, size_t size, struct store_meta *ret, struct cairn_error *err);

/* Appends the text. Returns 0, -ENOMEM or -EFBIG. */
int meta_print(const struct store_meta *m, struct buf *to);

#endif
