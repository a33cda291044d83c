/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Which rules give an image (cairn_layers_match()), and what an image is that a tree makes. */
#ifndef OCI_MATCH_H
#define OCI_MATCH_H

#include <cairn/image.h>
#include <cairn/layer.h>

#include "tree/tree.h"

/* As cairn_layers_match(), in the format @only; -1: in all. */
int layers_match(const struct tree *const *composefs, const struct tree *const *runtime, size_t nr,
		 const struct cairn_digest *digest, int only, struct cairn_layer_rules *ret,
		 struct cairn_error *err);

/* The image of @t in order to @write (NULL: only its digest is wanted), by this thread alone. Returns 0, or as
 * cairn_image_write(). */
int image_make(const struct tree *t, int format, enum cairn_alg alg, cairn_write_fn write,
	       void *arg, struct cairn_image_result *ret, struct cairn_error *err);

#endif
