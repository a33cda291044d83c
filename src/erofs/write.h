/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Tree to image (image-format, erofs-variants): plan, then emit.
 *
 * The plan fixes every offset; emitting only follows it, in order, through buffers that the caller
 * hands out, so that an image is never in memory whole.
 */
#ifndef EROFS_WRITE_H
#define EROFS_WRITE_H

#include <cairn/image.h>

#include "tree/tree.h"

struct erofs_plan;

/* Plans the image of sealed @tree, which must outlive the plan.
 * @format: enum cairn_format; AUTO is decided here. @alg: which digests go into metacopy.
 * Returns 0; -EINVAL, -EFBIG, -ERANGE for what no image can hold (image-format §8), -ENOMEM. */
int erofs_plan_new(const struct tree *tree, int format, enum cairn_alg alg, struct erofs_plan **ret,
		   struct cairn_error *err);
void erofs_plan_free(struct erofs_plan *p);

DEFINE_CLEANUP(struct erofs_plan *, erofs_plan, erofs_plan_free)

int erofs_plan_format(const struct erofs_plan *p);      /* never AUTO */
uint64_t erofs_plan_size(const struct erofs_plan *p);   /* bytes of the image, whole blocks */
uint64_t erofs_plan_inodes(const struct erofs_plan *p); /* with the writer's own */

#define EROFS_BUFFER_SIZE (1u << 20) /* bytes of each buffer that a sink hands out */

/* Where an image goes. @swap takes the first @used bytes, a multiple of the block size, of *@buffer
 * (NULL the first time) and stores in *@buffer the next one to fill, of EROFS_BUFFER_SIZE bytes.
 * Returns 0 or a negative errno, which ends the emission. */
struct erofs_sink {
	int (*swap)(void *arg, uint8_t **buffer, size_t used);
	void *arg;
};

/* Writes the image. Returns 0, -ENOMEM, or what the sink returned. */
int erofs_emit(const struct erofs_plan *p, const struct erofs_sink *sink);

#endif
