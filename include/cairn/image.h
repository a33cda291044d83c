/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Writing and checking images (image-format, erofs-variants).
 */
#ifndef CAIRN_IMAGE_H
#define CAIRN_IMAGE_H

#include <cairn/tree.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Format variants. The number is what the image's header says. */
enum cairn_format {
	CAIRN_FORMAT_AUTO = -1, /* V0; V1 when the tree has a whiteout (image-format §4.2) or
				   the digests are SHA-512, which V0 cannot have */
	CAIRN_FORMAT_V0 = 0,
	CAIRN_FORMAT_V1 = 1,
	CAIRN_FORMAT_V2 = 2,
};

struct cairn_image_options {
	int format;           /* enum cairn_format */
	uint32_t alg;         /* enum cairn_alg of the digests in the image and of its own;
				      0: the tree's */
	cairn_write_fn write; /* gets the image in order, from any of the threads, one at a time;
				 NULL: only the digest is wanted */
	void *write_arg;
	unsigned int jobs;          /* threads that emit and hash */
	int compat;                 /* accept hard links to directories */
	int sync;                   /* cairn_image_write_file(): return when the file is durable */
	int verity;                 /* cairn_image_write_file(): enable fs-verity where possible */
	cairn_progress_fn progress; /* may be NULL */
	void *progress_arg;
};

struct cairn_image_result {
	int format;                 /* the effective one, never AUTO */
	uint64_t size;              /* bytes of the image */
	uint64_t inodes;            /* inodes in it, with the writer's own */
	struct cairn_digest digest; /* fs-verity digest of the image file */
};

/* Writes the image of @tree. The bytes depend on the tree, format and alg alone.
 * Returns 0; -EINVAL, -EFBIG, -ELOOP, -ERANGE for trees that no image can hold (image-format §8);
 * or what the write function returned. */
CAIRN_API int cairn_image_write(const struct cairn_tree *tree,
				const struct cairn_image_options *options,
				struct cairn_image_result *ret, struct cairn_error *err);

/* The same into file @path below @dirfd, which gets its name only when it is complete; what had the
 * name before is replaced in one step. A device or a pipe is not replaced, but written to. */
CAIRN_API int cairn_image_write_file(const struct cairn_tree *tree, int dirfd, const char *path,
				     const struct cairn_image_options *options,
				     struct cairn_image_result *ret, struct cairn_error *err);

/* Proves that the image open at @fd is well formed and canonical: a strict read of every structure,
 * then the tree is encoded again and compared byte for byte. @jobs: threads.
 * @ret: may be NULL. Returns 0; -EINVAL (kind FORMAT) with offset and field of the first offence in
 * @err; -ENOTSUP for an unknown version. */
CAIRN_API int cairn_image_check(int fd, unsigned int jobs, struct cairn_image_result *ret,
				struct cairn_error *err);

/* Tells whether @fd is a composefs image by its first bytes, and its format.
 * Returns the format (0 or more), or -EINVAL. */
CAIRN_API int cairn_image_probe(int fd);

#ifdef __cplusplus
}
#endif

#endif
