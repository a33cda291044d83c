/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Merging layers: beginning, end, and the rules for whole images (oci-to-tree §6). */
#include <errno.h>
#include <string.h>

#include "tar/merge-internal.h"

#define USR "usr"
#define RUN "run"

/* Directories that turn out to be links, each of which costs a walk over all layers. */
#define REDIRECTS_MAX 200

static bool is_final_composefs(const struct merge *m)
{
	return m->options->profile == CAIRN_PROFILE_COMPOSEFS && !m->options->partial;
}

bool merge_is_emptied(const struct merge *m, const struct node *dir)
{
	return is_final_composefs(m) && dir->parent == m->root && !strcmp(dir->name, RUN);
}

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "merge layers");
}

static int init_layer(struct layer *l, const struct tree *t)
{
	l->tree = t;
	l->made = (struct node **)calloc(t->nr_entries, sizeof(struct node *));
	l->lists = (struct list_use *)calloc(t->nr_lists + 1u, sizeof(*l->lists));
	if (!l->made || !l->lists)
		return -ENOMEM;
	for (uint32_t id = 0; id < t->nr_lists; id++) {
		const struct xattr_list *list = t->lists[id];

		for (uint32_t i = 0; i < list->nr; i++) {
			const struct xattr *x = list->xattr[i];

			if (!strcmp(x->name, LAYER_XATTR_LINK))
				l->lists[id].link = x;
			if (!strcmp(x->name, LAYER_XATTR_IMPLICIT))
				l->lists[id].implicit = !strcmp(x->value, LAYER_ONLY_MARKS)
								? IMPLICIT_FOR_MARKS
								: IMPLICIT;
		}
	}
	return 0;
}

static int merge_init(struct merge *m, const struct tree *const *layers, size_t nr,
		      const struct cairn_merge_options *options)
{
	*m = (struct merge){.options = options,
			    .nr = nr,
			    .frames = BUF_INIT(SIZE_MAX / 4),
			    .parts = BUF_INIT(SIZE_MAX / 4),
			    .inputs = BUF_INIT(SIZE_MAX / 4),
			    .found = {BUF_INIT(SIZE_MAX / 4), BUF_INIT(SIZE_MAX / 4)}};
	m->layers = (struct layer *)calloc(nr, sizeof(*m->layers));
	if (!m->layers || tree_shard_init(&m->shard) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		if (init_layer(&m->layers[i], layers[i]) < 0)
			return -ENOMEM;
	return 0;
}

static void merge_fini(struct merge *m)
{
	for (size_t i = 0; m->layers && i < m->nr; i++) {
		free(m->layers[i].made);
		free(m->layers[i].lists);
	}
	free(m->layers);
	tree_shard_fini(&m->shard);
	buf_fini(&m->frames);
	buf_fini(&m->parts);
	buf_fini(&m->inputs);
	buf_fini(&m->found[0]);
	buf_fini(&m->found[1]);
}

static struct node *find_child(const struct node *dir, const char *name)
{
	for (struct node *n = dir->dir.newest; n; n = n->next)
		if (!strcmp(n->name, name))
			return n;
	return NULL;
}

/* The root is like /usr; /run is empty and as old. */
static int apply_rules(struct merge *m, struct cairn_error *err)
{
	const struct node *usr = find_child(m->root, USR);
	const struct node *run = find_child(m->root, RUN);

	if (!usr || !node_is_dir(usr))
		return error_set(err, usr ? -ENOTDIR : -ENOENT, CAIRN_ERROR_FORMAT,
				 "/usr is %s, and profile composefs takes the root's owner, mode "
				 "and time from it",
				 usr ? "no directory" : "not there");
	if (run && run != m->run)
		return error_set(err, -ENOTDIR, CAIRN_ERROR_FORMAT,
				 "/run is no directory, and profile composefs empties it");
	m->root->mode = usr->mode;
	m->root->uid = usr->uid;
	m->root->gid = usr->gid;
	m->root->mtime = usr->mtime;
	m->root->mtime_nsec = usr->mtime_nsec;
	m->root->xattrs = usr->xattrs;
	if (run) {
		m->run->mtime = usr->mtime;
		m->run->mtime_nsec = usr->mtime_nsec;
	}
	return 0;
}

static int finish(struct merge *m, struct tree **ret, struct cairn_error *err)
{
	struct tree *t = NULL;
	int r;

	if (tree_new(&t) < 0)
		return out_of_memory(err);
	t->root = m->root;
	r = tree_index(t, &m->shard, 1, NULL, err);
	if (!r)
		r = tree_seal(t, false, err);
	if (r < 0) {
		tree_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

static int merge_once(const struct tree *const *layers, size_t nr,
		      const struct cairn_merge_options *options, struct merge *m, struct tree **ret,
		      struct cairn_error *err)
{
	int r = merge_init(m, layers, nr, options);

	r = r < 0 ? out_of_memory(err) : merge_walk(m, err);
	if (!r && is_final_composefs(m))
		r = apply_rules(m, err);
	if (!r)
		r = finish(m, ret, err);
	merge_fini(m);
	return r;
}

/* Layers, some of which were made here. */
struct pile {
	const struct tree **layers;
	struct tree **own; /* those, and what they were made of, in any order */
	size_t nr, nr_own;
};

/* Puts two layers in the place of one. */
static int part_layer(struct pile *p, const struct merge *m, struct cairn_error *err)
{
	uint32_t at = m->through_layer;
	struct tree *rest, *moved;
	int r = merge_redirect(p->layers[at], m->through, m->through_target, &rest, &moved);

	if (r < 0)
		return error_errno(err, r, "layer %u: follow a symbolic link", at + 1);
	memmove(p->layers + at + 2, p->layers + at + 1, (p->nr - at - 1) * sizeof(*p->layers));
	p->layers[at] = p->own[p->nr_own++] = rest;
	p->layers[at + 1] = p->own[p->nr_own++] = moved;
	p->nr++;
	return 0;
}

/* An image without layers has a root as a layer without entries gives it. */
static int add_empty_layer(struct pile *p, const struct cairn_merge_options *options,
			   struct cairn_error *err)
{
	struct layer_builder *b cleanup(layer_builder) = NULL;
	struct cairn_layer_stats stats;
	int r = layer_builder_new(options->profile, &b);

	r = r < 0 ? out_of_memory(err) : layer_finish(b, &p->own[0], &stats, err);
	if (r < 0)
		return r;
	p->layers[0] = p->own[0];
	p->nr = p->nr_own = 1;
	return 0;
}

int layer_merge(const struct tree *const *layers, size_t nr,
		const struct cairn_merge_options *options, struct tree **ret,
		struct cairn_error *err)
{
	struct pile p = {.nr = nr};
	struct merge m;
	int r = -ENOMEM;

	p.layers = (const struct tree **)calloc(nr + REDIRECTS_MAX, sizeof(const struct tree *));
	p.own = (struct tree **)calloc((size_t)2 * REDIRECTS_MAX, sizeof(struct tree *));
	if (!p.layers || !p.own) {
		r = out_of_memory(err);
		goto out;
	}
	if (nr)
		memcpy(p.layers, layers, nr * sizeof(*p.layers));
	else if ((r = add_empty_layer(&p, options, err)) < 0)
		goto out;
	while ((r = merge_once(p.layers, p.nr, options, &m, ret, err)) == -ELOOP && m.through) {
		if (p.nr == nr + REDIRECTS_MAX) {
			r = error_set(err, r, CAIRN_ERROR_FORMAT,
				      "names go through more than %u symbolic links of the layers "
				      "below",
				      REDIRECTS_MAX);
			break;
		}
		r = part_layer(&p, &m, err);
		if (r < 0)
			break;
	}
out:
	while (p.own && p.nr_own)
		tree_free(p.own[--p.nr_own]);
	free(p.own);
	free(p.layers);
	return r;
}
