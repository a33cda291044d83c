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
	w.room = (size_t)nr + 1;
	*ret = w;
	w = WANTS_INIT;
	return 0;
}

int wants_add(struct wants *w, const struct cairn_digest *digest, uint64_t size)
{
	if (w->nr == w->room) {
		size_t room = w->room ? 2 * w->room : 64;
		struct want *more = (struct want *)reallocarray(w->want, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		w->want = more;
		w->room = room;
	}
	w->want[w->nr++] = (struct want){.digest = *digest, .size = size};
	w->bytes += size == WANT_SIZE_UNKNOWN ? 0 : size;
	return 0;
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(((const struct want *)a)->digest.bytes,
		      ((const struct want *)b)->digest.bytes, CAIRN_DIGEST_MAX);
}

int wants_sort(struct wants *w, struct cairn_error *err)
{
	size_t nr = 0;

	if (w->nr)
		qsort(w->want, w->nr, sizeof(*w->want), by_digest);
	w->bytes = 0;
	for (size_t i = 0; i < w->nr; i++) {
		char path[OBJECT_PATH_MAX];

		if (!nr || by_digest(&w->want[nr - 1], &w->want[i]) != 0) {
			w->bytes += w->want[i].size;
			w->want[nr++] = w->want[i];
			continue;
		}
		if (w->want[nr - 1].size == w->want[i].size)
			continue;
		(void)object_path(path, w->want[i].digest.bytes,
				  cairn_digest_size((enum cairn_alg)w->want[i].digest.alg));
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "object %s is said to have %llu bytes, and %llu elsewhere", path,
				 (unsigned long long)w->want[nr - 1].size,
				 (unsigned long long)w->want[i].size);
	}
	w->nr = nr;
	return 0;
}

int64_t wants_find(const struct wants *w, const struct cairn_digest *digest)
{
	const struct want key = {.digest = *digest};
	const struct want *found =
		w->nr ? (const struct want *)bsearch(&key, w->want, w->nr, sizeof(key), by_digest)
		      : NULL;

	return found ? found - w->want : -ENOENT;
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
