/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A small set of files by name: a directory, or a tar archive that is read where it lies. What layouts and
 * archives of images are made of.
 *
 *  1. Names are paths below the set; nothing leads out of it, and symbolic links are not followed, but for
 *     one step inside of an archive (docker-archive writes layers so).
 *  2. Any number of threads may read one set.
 */
#ifndef OCI_FILES_H
#define OCI_FILES_H

#include "base/buf.h"
#include "oci/source.h"

#define FILES_MEMBERS_MAX 65536 /* in an archive: images have some hundred */

struct files;

int files_open_directory(const char *path, struct files **ret, struct cairn_error *err);

/* The archive may be compressed: then each file is found by decompressing what is before it, once for each
 * reading; nothing is unpacked anywhere. A name that comes twice is refused. */
int files_open_archive(const char *path, struct files **ret, struct cairn_error *err);

/* One file, whatever name it is asked for by. */
int files_open_file(const char *path, struct files **ret, struct cairn_error *err);

void files_close(struct files *f);
DEFINE_CLEANUP(struct files *, files, files_close)

/* Bytes of a file. Returns 0; -ENOENT; -EINVAL (FORMAT): not a regular file; or another negative errno. */
int files_size(struct files *f, const char *name, uint64_t *ret, struct cairn_error *err);

/* All of a file of at most @max bytes, in place of what is in @ret. */
int files_read(struct files *f, const char *name, size_t max, struct buf *ret,
	       struct cairn_error *err);

/* @size bytes from @from on (UINT64_MAX: all that follow) to @fn. -EILSEQ (DIGEST): it ends before. */
int files_stream(struct files *f, const char *name, uint64_t from, uint64_t size, source_fn fn,
		 void *arg, struct cairn_error *err);

#endif
