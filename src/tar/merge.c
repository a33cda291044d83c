/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Layers upon each other (oci-layers §5, §6, §9).
 *
 * All layers are walked at once, depth first, names in order, so that each entry is looked at once:
 *
 *  1. A frame is a directory of the result, and the directories of the layers that it is made of, the
 *     topmost first. One that is opaque is the last of them.
 *  2. Of a name the topmost entry counts. If it is a directory, then those below it take part, up to
 *     the first that is removed by a mark, is no directory, or lies below an opaque one.
 *  3. A file of a layer becomes one node, when its first name is met; further names are links to it.
 */
#include <errno.h>
#include <string.h>

#include "tar/merge-internal.h"

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "merge layers");
}

/* The layers do not fit upon each other at @n of layer @layer. */
static int misfit(struct cairn_error *err, int code, uint32_t layer, const struct node *n,
		  const char *words)
{
	char path[NODE_PATH_QUOTED_MAX];

	return error_set(err, code, CAIRN_ERROR_FORMAT, "layer %u: %s: %s", layer + 1,
			 node_path_quoted(n, path), words);
}

/* --- parts ----------------------------------------------------------------------------------- */

/* An opaque directory's mark stands among the others, and names nothing. */
static void pass_opaque(const struct merge *m, struct part *p)
{
	const struct node *n;

	if (p->marks_next == p->marks_end)
		return;
	n = m->layers[p->layer].tree->entries[p->marks_next];
	p->marks_next += n->name_len == sizeof(LAYER_OPAQUE) - 1 && !strcmp(n->name, LAYER_OPAQUE);
}

static int push_part(struct merge *m, uint32_t layer, const struct node *dir)
{
	struct part p = {.layer = layer, .dir = dir};
	const struct tree *t = m->layers[layer].tree;

	p.next = dir->dir.first;
	p.end = p.next + dir->dir.nr;
	p.marks = p.marks_next = merge_marks(t, dir, &p.marks_end);
	if (p.next == p.marks)
		p.next = p.marks_end;
	pass_opaque(m, &p);
	return buf_put(&m->parts, &p, sizeof(p)) < 0 ? -ENOMEM : 0;
}

static struct part *part_at(const struct merge *m, size_t i)
{
	return (struct part *)(void *)m->parts.data + i;
}

static size_t nr_parts(const struct merge *m)
{
	return m->parts.len / sizeof(struct part);
}

static const struct node *part_entry(const struct merge *m, const struct part *p)
{
	return p->next < p->end ? m->layers[p->layer].tree->entries[p->next] : NULL;
}

static const struct node *part_mark(const struct merge *m, const struct part *p)
{
	return p->marks_next < p->marks_end ? m->layers[p->layer].tree->entries[p->marks_next]
					    : NULL;
}

static void next_entry(const struct merge *m, struct part *p)
{
	struct node **entries = m->layers[p->layer].tree->entries;

	if (++p->next == p->marks)
		p->next = p->marks_end;
	/* entries[] is longer than the tree by as much. */
	node_prefetch(entries[MIN(p->next + TREE_AHEAD, p->end)]);
}

/* --- nodes ----------------------------------------------------------------------------------- */

/* What a node has beside its place and its links, in the memory of the result. */
static int copy_facts(struct merge *m, struct node *to, uint32_t layer, const struct node *from)
{
	struct layer *l = &m->layers[layer];
	int r;

	to->mode = from->mode;
	to->uid = from->uid;
	to->gid = from->gid;
	to->mtime = from->mtime;
	to->mtime_nsec = from->mtime_nsec;
	r = merge_xattrs(m, l, from->xattrs, &to->xattrs);
	if (r < 0 || S_ISDIR(from->mode))
		return r;

	to->size = from->size;
	to->nlink = 1;
	to->flags = from->flags;
	if (S_ISREG(from->mode) || S_ISLNK(from->mode))
		return layer_copy_content(&m->shard.arena, to, from);
	if (S_ISCHR(from->mode) || S_ISBLK(from->mode))
		to->device.rdev = from->device.rdev;
	return 0;
}

/* The node for inode @from of a layer, as child @name of @dir; a link if it has one already. */
static int add_inode(struct merge *m, struct node *dir, const struct node *name, uint32_t layer,
		     const struct node *from, struct cairn_error *err)
{
	struct node **made = &m->layers[layer].made[from->index];
	struct node *n = tree_add(&m->shard, dir, name->name, name->name_len);

	if (!n)
		return out_of_memory(err);
	if (*made) {
		n->flags = NODE_HARDLINK;
		n->link.target = *made;
		(*made)->nlink++;
		return 0;
	}
	*made = n;
	return copy_facts(m, n, layer, from) < 0 ? out_of_memory(err) : 0;
}

/* Names further on may turn out to go through a symbolic link, and what is missing now to be there then: the
 * first failure of this sort is kept until the end of the walk. */
static int fail_later(struct merge *m, int code, const struct cairn_error *err)
{
	if (m->options->profile != CAIRN_PROFILE_RUNTIME || !err)
		return code;
	if (!m->late.code)
		m->late = *err;
	return 0;
}

/* A name that is no directory. */
static int add_leaf(struct merge *m, struct node *dir, uint32_t layer, const struct node *name,
		    struct cairn_error *err)
{
	const struct node *from = node_inode(name);
	uint32_t at = layer;
	int r;

	/* A hard link into the layers below may find another one there. */
	while (merge_is_link(&m->layers[at], from)) {
		uint32_t found_layer;
		const struct node *found;

		r = merge_find(m, at, merge_link(&m->layers[at], from), &found_layer, &found);
		if (r == -ENOMEM)
			return out_of_memory(err);
		if (r == -EAGAIN && m->options->partial)
			break;
		if (r < 0) {
			r = misfit(err, r == -EAGAIN ? -ENOENT : r, layer, name,
				   r == -EISDIR ? "a hard link to a directory"
						: "the target of the hard link is not there");
			return fail_later(m, r, err);
		}
		at = found_layer;
		from = found;
	}
	return add_inode(m, dir, name, at, from, err);
}

static int add_mark(struct merge *m, struct node *dir, const char *name, size_t len)
{
	char text[LAYER_MARK_LEN + TREE_NAME_MAX] = LAYER_MARK;
	struct node *n;

	if (len > TREE_NAME_MAX - LAYER_MARK_LEN)
		return 0;
	memcpy(text + LAYER_MARK_LEN, name, len);
	n = tree_add(&m->shard, dir, text, LAYER_MARK_LEN + len);
	if (!n)
		return -ENOMEM;
	n->mode = S_IFREG;
	n->nlink = 1;
	return 0;
}

/* --- one name -------------------------------------------------------------------------------- */

/* What becomes of a name. */
struct verdict {
	const struct node *top; /* the topmost entry; NULL: none */
	uint32_t top_layer;
	const struct node *facts; /* a directory: the topmost that is not implicit; NULL: all are */
	uint32_t facts_layer;
	bool only_marks; /* all are, and nothing is below but marks */
	bool removed;    /* nothing of the layers below counts: a mark, or no directory */
	bool opaque;     /* nor what they have in it */
	size_t parts;    /* where the directories begin that take part */
};

/* One more directory of the name. @closed: it adds its facts only. */
static int take_directory(struct merge *m, struct verdict *v, uint32_t layer, const struct node *n)
{
	enum implicit implicit = merge_implicit(&m->layers[layer], n);

	if (!v->facts && implicit == NOT_IMPLICIT) {
		v->facts = n;
		v->facts_layer = layer;
	}
	v->only_marks &= implicit == IMPLICIT_FOR_MARKS;
	if (v->opaque)
		return 0;
	v->opaque = merge_opaque(m->layers[layer].tree, n);
	return push_part(m, layer, n);
}

/* The next part, from the top, that has the name: its entry, or NULL, and whether it has the mark. */
static int take_part(struct merge *m, struct verdict *v, uint32_t layer, const struct node *entry,
		     bool mark, struct cairn_error *err)
{
	if (entry && !v->top) {
		v->top = entry;
		v->top_layer = layer;
		if (!node_is_dir(entry))
			v->removed = true;
		else if (take_directory(m, v, layer, entry) < 0)
			return out_of_memory(err);
	} else if (entry && node_is_dir(entry)) {
		if (take_directory(m, v, layer, entry) < 0)
			return out_of_memory(err);
	} else if (entry && !v->facts && m->options->profile == CAIRN_PROFILE_RUNTIME &&
		   S_ISLNK(node_inode(entry)->mode)) {
		m->through = v->top;
		m->through_layer = v->top_layer;
		m->through_target = node_inode(entry)->symlink.target;
		return -ELOOP;
	} else if (entry && !v->facts && v->only_marks) {
		/* Marks for names in what is no directory remove nothing. */
		v->top = entry;
		v->top_layer = layer;
		v->removed = true;
	} else if (entry) {
		if (!v->facts)
			return misfit(err, -ENOTDIR, v->top_layer, v->top,
				      "the layers below have something there that is no directory");
		v->removed = true;
	}
	v->removed |= mark;
	return 0;
}

static bool same_name(const struct node *n, uint32_t skip, const char *name, size_t len)
{
	return n && n->name_len - skip == len && !memcmp(n->name + skip, name, len);
}

/* The smallest name that any part of the frame is at. Returns false when all are at their ends. */
static bool smallest(struct merge *m, const struct frame *f, const char **ret, size_t *ret_len)
{
	const char *name = NULL;
	size_t len = 0;

	for (size_t i = 0; i < f->nr; i++) {
		const struct part *p = part_at(m, f->parts + i);
		const struct node *e = part_entry(m, p), *k = part_mark(m, p);

		if (e && (!name || compare_bytes(e->name, e->name_len, name, len) < 0)) {
			name = e->name;
			len = e->name_len;
		}
		if (k &&
		    (!name || compare_bytes(k->name + LAYER_MARK_LEN,
					    k->name_len - (size_t)LAYER_MARK_LEN, name, len) < 0)) {
			name = k->name + LAYER_MARK_LEN;
			len = k->name_len - (size_t)LAYER_MARK_LEN;
		}
	}
	*ret = name;
	*ret_len = len;
	return name != NULL;
}

/* Takes the name from every part that has it. */
static int judge(struct merge *m, const struct frame *f, const char *name, size_t len,
		 struct verdict *v, struct cairn_error *err)
{
	*v = (struct verdict){.only_marks = true, .parts = nr_parts(m)};
	for (size_t i = 0; i < f->nr; i++) {
		struct part *p = part_at(m, f->parts + i);
		const struct node *e = part_entry(m, p), *k = part_mark(m, p);
		uint32_t layer = p->layer;
		int r;

		e = same_name(e, 0, name, len) ? e : NULL;
		k = same_name(k, LAYER_MARK_LEN, name, len) ? k : NULL;
		if (e)
			next_entry(m, p);
		if (k) {
			p->marks_next++;
			pass_opaque(m, p);
		}
		if (v->removed || (!e && !k))
			continue;
		r = take_part(m, v, layer, e, k != NULL, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- directories ----------------------------------------------------------------------------- */

static int push_frame(struct merge *m, struct node *dir, size_t parts)
{
	struct frame f = {.dir = dir, .parts = parts, .nr = nr_parts(m) - parts};

	return buf_put(&m->frames, &f, sizeof(f)) < 0 ? -ENOMEM : 0;
}

/* A directory that no layer has itself. */
static int set_implicit(struct merge *m, struct node *n, const struct verdict *v,
			struct cairn_error *err)
{
	struct xattr_input in = {.name = LAYER_XATTR_IMPLICIT,
				 .name_len = sizeof(LAYER_XATTR_IMPLICIT) - 1,
				 .value = v->only_marks ? LAYER_ONLY_MARKS : "",
				 .value_len = v->only_marks};

	n->mode = S_IFDIR | 0755;
	if (m->options->partial)
		return tree_xattrs(&m->shard, &in, 1, &n->xattrs) < 0 ? out_of_memory(err) : 0;
	if (m->options->profile == CAIRN_PROFILE_COMPOSEFS && n->parent)
		return misfit(err, -ENOENT, v->top_layer, v->top,
			      "the directory is not there, only names below it");
	return 0;
}

static int set_directory(struct merge *m, struct node *n, const struct verdict *v,
			 struct cairn_error *err)
{
	if (!v->facts)
		return set_implicit(m, n, v, err);
	return copy_facts(m, n, v->facts_layer, v->facts) < 0 ? out_of_memory(err) : 0;
}

/* Fills the directory @n of the result, and makes it the next frame. */
static int open_directory(struct merge *m, struct node *n, const struct verdict *v,
			  struct cairn_error *err)
{
	int r = set_directory(m, n, v, err);

	if (r < 0)
		return r;
	if (v->opaque && m->options->partial && !v->removed) {
		struct node *mark = tree_add(&m->shard, n, LAYER_OPAQUE, sizeof(LAYER_OPAQUE) - 1);

		if (!mark)
			return out_of_memory(err);
		mark->mode = S_IFREG;
		mark->nlink = 1;
	}
	return push_frame(m, n, v->parts) < 0 ? out_of_memory(err) : 0;
}

static int add_directory(struct merge *m, struct node *dir, const struct verdict *v,
			 struct cairn_error *err)
{
	bool final = !m->options->partial;
	struct node *n;

	if (final && !v->facts && v->only_marks)
		return 0;
	n = tree_add(&m->shard, dir, v->top->name, v->top->name_len);
	if (!n || (!final && v->removed && add_mark(m, dir, n->name, n->name_len) < 0))
		return out_of_memory(err);
	if (merge_is_emptied(m, n)) {
		m->run = n;
		return set_directory(m, n, v, err);
	}
	return open_directory(m, n, v, err);
}

/* The next name of a frame. Returns 1, or 0 when it has no more. */
static int next_name(struct merge *m, const struct frame *f, struct cairn_error *err)
{
	struct verdict v;
	const char *name;
	size_t len;
	int r;

	if (!smallest(m, f, &name, &len))
		return 0;
	r = judge(m, f, name, len, &v, err);
	if (r < 0)
		return r;
	if (m->shard.nr_nodes > MERGE_ENTRIES_MAX)
		return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
				 "more than 16777216 names in one image");
	if (!v.top)
		r = m->options->partial && add_mark(m, f->dir, name, len) < 0 ? out_of_memory(err)
									      : 0;
	else if (node_is_dir(v.top))
		r = add_directory(m, f->dir, &v, err);
	else
		r = add_leaf(m, f->dir, v.top_layer, v.top, err);
	/* Of a directory that is no frame the parts are left. */
	if (!r && ((struct frame *)(void *)m->frames.data)[m->frames.len / sizeof(*f) - 1].parts <
			  v.parts)
		m->parts.len = v.parts * sizeof(struct part);
	return r < 0 ? r : 1;
}

static int merge_root(struct merge *m, struct cairn_error *err)
{
	struct verdict v = {.only_marks = true};

	m->root = tree_add(&m->shard, NULL, "", 0);
	if (!m->root)
		return out_of_memory(err);
	for (size_t i = m->nr; i--;)
		if (take_directory(m, &v, (uint32_t)i, m->layers[i].tree->root) < 0)
			return out_of_memory(err);
	v.top = m->layers[m->nr - 1].tree->root;
	return open_directory(m, m->root, &v, err);
}

int merge_walk(struct merge *m, struct cairn_error *err)
{
	int r = merge_root(m, err);

	while (r >= 0 && m->frames.len) {
		size_t depth = m->frames.len / sizeof(struct frame);
		/* The array moves when a frame is pushed. */
		struct frame f = ((struct frame *)(void *)m->frames.data)[depth - 1];

		r = next_name(m, &f, err);
		if (!r) {
			m->frames.len -= sizeof(struct frame);
			m->parts.len = f.parts * sizeof(struct part);
		}
	}
	if (r >= 0 && m->late.code) {
		*err = m->late;
		return err->code;
	}
	return MIN(r, 0);
}
