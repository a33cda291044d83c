/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The two kinds of sets of files. */
#ifndef OCI_FILES_INTERNAL_H
#define OCI_FILES_INTERNAL_H

#include "oci/files.h"

#define FILES_PIECE (256u << 10) /* bytes handed on at once: they stay in the processor's cache */

struct files_ops {
	int (*size)(struct files *f, const char *name, uint64_t *ret, struct cairn_error *err);
	int (*stream)(struct files *f, const char *name, uint64_t from, uint64_t size, source_fn fn,
		      void *arg, struct cairn_error *err);
	void (*close)(struct files *f);
};

struct files {
	const struct files_ops *ops;
};

/* @size bytes of the file open at @fd from @from on, to @fn; UINT64_MAX: to its end. @name: for words. */
int files_stream_fd(int fd, const char *name, uint64_t from, uint64_t size, source_fn fn, void *arg,
		    struct cairn_error *err);

#endif
