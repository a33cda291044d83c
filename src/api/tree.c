/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Looking inside trees. */
#include "api/api-internal.h"

void cairn_tree_free(struct cairn_tree *tree)
{
	tree_free((struct tree *)tree);
}
