/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Whom the damage hurts: images and the paths in them, streams. */
#include <errno.h>
#include <string.h>

#include "store/fsck-internal.h"
#include "tree/tree.h"

static int add_use(struct fsck *f, struct finding *found, const char *image, const char *path)
{
	struct fsck_use *use;

	if (found->nr_uses++ >= FSCK_USES_MAX)
		return 0;
	use = (struct fsck_use *)arena_alloc(&f->arena, sizeof(*use));
	if (!use)
		return -ENOMEM;
	*use = (struct fsck_use){.image = image, .path = path, .next = found->uses};
	found->uses = use;
	return 0;
}

static int uses_in_tree(struct fsck *f, const char *image, const struct tree *t)
{
	for (uint32_t i = 0; i < t->nr_entries; i++) {
		const struct node *n = tree_entry(t, i);
		struct cairn_digest id = {.alg = f->store->alg};
		const uint8_t *bytes = node_is_external(n) ? node_digest(n, f->store->alg) : NULL;
		struct finding *found;
		char *path;
		int r;

		if (!bytes)
			continue;
		memcpy(id.bytes, bytes, f->id_size);
		found = fsck_find(f, &id);
		if (!found)
			continue;
		path = (char *)arena_alloc_aligned(&f->arena, node_path_len(n) + 1, 1);
		if (!path)
			return -ENOMEM;
		node_path(n, path);
		r = add_use(f, found, image, path);
		if (r < 0)
			return r;
	}
	return 0;
}

DEFINE_CLEANUP(struct tree *, tree, tree_free)

static int uses_of_images(struct fsck *f, const struct fsck_entries *l)
{
	for (size_t i = 0; i < l->nr; i++) {
		struct fsck_image o cleanup_fsck_image = {.fd = -1};
		cleanup(tree) struct tree *t = NULL;
		struct finding *found = fsck_find(f, &l->entry[i].id);
		int r = found ? add_use(f, found, l->entry[i].name, NULL) : 0;

		if (r < 0)
			return r;
		if ((found && !found->repaired) ||
		    fsck_open_image(f, &l->entry[i].id, &o, NULL) < 0 ||
		    image_load(&o.image, CAIRN_LOAD_COMPAT, NULL, &t, NULL) < 0)
			continue; /* that is told */
		r = uses_in_tree(f, l->entry[i].name, t);
		if (r < 0)
			return r;
	}
	return 0;
}

struct stream_use {
	struct fsck *f;
	const char *name;
};

static int use_part(void *arg, const struct cairn_digest *id)
{
	const struct stream_use *use = (const struct stream_use *)arg;
	struct finding *found = fsck_find(use->f, id);

	return found ? add_use(use->f, found, use->name, NULL) : 0;
}

static int uses_of_streams(struct fsck *f, const struct fsck_entries *l)
{
	for (size_t i = 0; i < l->nr; i++) {
		struct splitstream *stream cleanup(splitstream) = NULL;
		struct stream_use use = {f, l->entry[i].name};
		cleanup_fd int fd = -1;
		int r = use_part(&use, &l->entry[i].id);

		if (r < 0)
			return r;
		if (fsck_open_stream(f, &l->entry[i].id, &fd, &stream, NULL) < 0)
			continue;
		(void)splitstream_refs(stream, SPLITSTREAM_OBJECTS, use_part, &use, NULL);
		(void)splitstream_refs(stream, SPLITSTREAM_STREAMS, use_part, &use, NULL);
	}
	return 0;
}

static int compare_findings(const void *a, const void *b)
{
	const struct finding *x = *(const struct finding *const *)a;
	const struct finding *y = *(const struct finding *const *)b;

	if (!x->id.alg != !y->id.alg)
		return x->id.alg ? -1 : 1;
	return strcmp(x->name, y->name);
}

int fsck_find_uses(struct fsck *f, const struct fsck_entries *images,
		   const struct fsck_entries *streams)
{
	int r;

	qsort(f->findings.data, fsck_nr_findings(f), sizeof(struct finding *), compare_findings);
	for (size_t i = 0; i < fsck_nr_findings(f); i++) {
		fsck_finding(f, i)->uses = NULL;
		fsck_finding(f, i)->nr_uses = 0;
	}
	r = f->bad.nr ? uses_of_images(f, images) : 0;
	return r || !f->bad.nr ? r : uses_of_streams(f, streams);
}
