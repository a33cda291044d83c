/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Tree to image (image-format, erofs-variants): plan, then emit.
 *
 * The plan fixes every offset; emitting only follows it, piece by piece, so that an image is never in
 * memory whole.
 */
#ifndef EROFS_WRITE_H
#define EROFS_WRITE_H

#include <cairn/image.h>

#include "tree/tree.h"

struct erofs_plan;

/* Plans the image of sealed @tree, which must outlive the plan.
 * @format: enum cairn_format; AUTO is decided here. @alg: which digests go into metacopy. @team: threads
 * lent for the time of the call.
 * Returns 0; -EINVAL, -EFBIG, -ERANGE for what no image can hold (image-format §8), -ENOMEM. */
int erofs_plan_new(const struct tree *tree, int format, enum cairn_alg alg, const struct team *team,
		   struct erofs_plan **ret, struct cairn_error *err);
void erofs_plan_free(struct erofs_plan *p);

DEFINE_CLEANUP(struct erofs_plan *, erofs_plan, erofs_plan_free)

int erofs_plan_format(const struct erofs_plan *p);      /* never AUTO */
uint64_t erofs_plan_size(const struct erofs_plan *p);   /* bytes of the image, whole blocks */
uint64_t erofs_plan_inodes(const struct erofs_plan *p); /* with the writer's own */

/*
 * An image is emitted in pieces of EROFS_PIECE_SIZE bytes; the last may be shorter. Each follows from
 * the plan alone, so several threads may emit pieces of one plan in any order, each thread with an
 * emitter of its own.
 */
#define EROFS_PIECE_SIZE (256u << 10) /* bytes; stays in a second-level cache */

static inline uint64_t erofs_plan_pieces(const struct erofs_plan *p)
{
	return (erofs_plan_size(p) + EROFS_PIECE_SIZE - 1) / EROFS_PIECE_SIZE;
}

struct erofs_emitter;

/* @plan must outlive the emitter. Returns 0 or -ENOMEM. */
int erofs_emitter_new(const struct erofs_plan *plan, struct erofs_emitter **ret);
void erofs_emitter_free(struct erofs_emitter *e);

DEFINE_CLEANUP(struct erofs_emitter *, erofs_emitter, erofs_emitter_free)

/* Emits piece @nr. Returns its bytes, a multiple of the block size, *@ret_size of them; they are the
 * emitter's, until its next piece. */
const uint8_t *erofs_emit_piece(struct erofs_emitter *e, uint64_t nr, size_t *ret_size);

/* Emits all pieces in order to @write. Returns 0, -ENOMEM, or what @write returned, which ends it. */
int erofs_emit(const struct erofs_plan *p,
	       int (*write)(void *arg, const uint8_t *data, size_t size), void *arg);

#endif
