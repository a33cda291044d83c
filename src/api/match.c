/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The public function that looks for the rules by which an image was made. */
#include <errno.h>

#include "api/api-internal.h"
#include "base/error.h"
#include "oci/match.h"
#include "tar/layer.h"

static const struct tree *const *inner(const struct cairn_tree *const *trees)
{
	return (const struct tree *const *)(const void *)trees;
}

int cairn_layers_match(const struct cairn_tree *const *composefs,
		       const struct cairn_tree *const *runtime, size_t nr,
		       const struct cairn_digest *digest, struct cairn_layer_rules *ret,
		       struct cairn_error *err)
{
	if (!nr || nr > LAYERS_MAX || !cairn_digest_size((enum cairn_alg)digest->alg))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "match layers: an image has 1 to %u of them", LAYERS_MAX);
	return layers_match(inner(composefs), inner(runtime), nr, digest, -1, ret, err);
}
