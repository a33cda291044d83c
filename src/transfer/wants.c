/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What an image needs, and a store lacks. */
#include <errno.h>

#include "transfer/transfer.h"
#include "tree/objects.h"

void wants_fini(struct wants *w)
{
	free(w->want);
	*w = WANTS_INIT;
}

int wants_of_tree(const struct tree *t, struct wants *ret, struct cairn_error *err)
{
	enum cairn_alg alg = tree_alg(t);
	cleanup_free struct object_use *use = NULL;
	cleanup_wants struct wants w = WANTS_INIT;
	int64_t nr = tree_objects(t, &use);

	if (nr >= 0)
		w.want = (struct want *)calloc((size_t)nr + 1, sizeof(*w.want));
	if (!w.want)
		return error_errno(err, -ENOMEM, "list the objects of the image");
	for (int64_t i = 0; i < nr; i++) {
		const struct node *n = use[i].node;
		const uint8_t *digest = node_digest(n, alg);
		char quoted[NODE_PATH_QUOTED_MAX];

		if (!digest || !(n->flags & NODE_OBJECT_PATH))
			return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
					 "%s: its object is not named by its digest",
					 node_path_quoted(n, quoted));
		w.want[w.nr] = (struct want){.digest.alg = (uint8_t)alg, .size = n->size};
		memcpy(w.want[w.nr++].digest.bytes, digest, cairn_digest_size(alg));
		w.bytes += n->size;
	}
	*ret = w;
	w = WANTS_INIT;
	return 0;
}

int wants_lacking(struct wants *w, const struct cairn_store *s, struct cairn_error *err)
{
	size_t nr = 0;

	w->bytes = 0;
	for (size_t i = 0; i < w->nr; i++) {
		int r = store_has(s, &w->want[i].digest, w->want[i].size, err);

		if (r < 0)
			return r;
		if (r)
			continue;
		w->bytes += w->want[i].size;
		w->want[nr++] = w->want[i];
	}
	w->nr = nr;
	return 0;
}
