/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A layer becomes a tree. */
#include <errno.h>
#include <string.h>

#include "tar/layer-internal.h"

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "read the layer");
}

int layer_set_content(struct layer_builder *b, struct layer_file *file, const void *data)
{
	const uint8_t *copy =
		(const uint8_t *)arena_dup(&b->shard.arena, data, (size_t)file->facts.size);

	if (!copy)
		return -ENOMEM;
	file->facts.flags |= NODE_INLINE;
	file->facts.inl.content = copy;
	return 0;
}

int layer_set_digests(struct layer_builder *b, struct layer_file *file,
		      const struct cairn_digest *digests, unsigned int nr)
{
	uint8_t bytes[2 * CAIRN_DIGEST_MAX];
	size_t used = 0;

	for (unsigned int i = 0; i < nr; i++) {
		size_t size = cairn_digest_size((enum cairn_alg)digests[i].alg);

		memcpy(bytes + used, digests[i].bytes, size);
		used += size;
		file->facts.flags |=
			digests[i].alg == CAIRN_SHA256 ? NODE_SHA256 : (uint8_t)NODE_SHA512;
	}
	file->facts.flags |= NODE_OBJECT_PATH;
	file->facts.file.payload = NULL;
	file->facts.file.digest = (const uint8_t *)arena_dup(&b->shard.arena, bytes, used);
	return file->facts.file.digest ? 0 : -ENOMEM;
}

/* --- nodes ----------------------------------------------------------------------------------- */

static int set_xattr(struct layer_builder *b, struct node *n, const char *name, const char *value)
{
	struct xattr_input in = {.name = name,
				 .name_len = (uint32_t)strlen(name),
				 .value = value,
				 .value_len = (uint32_t)strlen(value)};

	return tree_xattrs(&b->shard, &in, 1, &n->xattrs);
}

/* A file that is a mark. */
static int add_mark(struct layer_builder *b, struct node *dir, const char *text)
{
	struct node *n = tree_add(&b->shard, dir, text, strlen(text));

	if (!n)
		return -ENOMEM;
	n->mode = S_IFREG;
	n->nlink = 1;
	return 0;
}

/* What a node has of its own: everything but its place. */
static void copy_facts(struct node *to, const struct node *from)
{
	struct node place = *to;

	*to = *from;
	to->parent = place.parent;
	to->next = place.next;
	to->name = place.name;
	to->name_len = place.name_len;
	to->index = place.index;
}

static int add_directory(struct layer_builder *b, struct node *n, const struct name *name)
{
	int r = 0;

	copy_facts(n, &name->inode->facts);
	name->inode->node = n;
	if (name->flags & NAME_IMPLICIT)
		r = set_xattr(b, n, LAYER_XATTR_IMPLICIT,
			      name->flags & NAME_FOR_MARKS ? LAYER_ONLY_MARKS : "");
	if (!r && name->flags & NAME_OPAQUE)
		r = add_mark(b, n, LAYER_OPAQUE);
	return r;
}

static int add_other(struct layer_builder *b, struct node *n, struct layer_file *f)
{
	if (f->node) {
		n->flags = NODE_HARDLINK;
		n->link.target = f->node;
		f->node->nlink++;
		return 0;
	}
	copy_facts(n, &f->facts);
	f->node = n;
	return f->pending ? set_xattr(b, n, LAYER_XATTR_LINK, f->pending) : 0;
}

/* One record. Its parent has been added. */
static int add_name(struct layer_builder *b, const struct name *name)
{
	struct node *dir = name->parent->inode->node;
	bool mark = name->flags & NAME_REMOVED && (!name->inode || name_is_dir(name));
	struct node *n;

	if (mark) {
		char text[LAYER_MARK_LEN + TREE_NAME_MAX + 1] = LAYER_MARK;

		memcpy(text + LAYER_MARK_LEN, name->text, name->len + 1u);
		if (name->len <= TREE_NAME_MAX - LAYER_MARK_LEN && add_mark(b, dir, text) < 0)
			return -ENOMEM;
	}
	if (!name->inode)
		return 0;
	n = tree_add(&b->shard, dir, name->text, name->len);
	if (!n)
		return -ENOMEM;
	return name_is_dir(name) ? add_directory(b, n, name) : add_other(b, n, name->inode);
}

/* All records, parents first; of removed and hidden ones nothing. */
static int add_names(struct layer_builder *b)
{
	const struct name *n = b->root;

	for (;;) {
		const struct name *next = NULL;

		if (n != b->root && !(n->flags & NAME_HIDDEN)) {
			int r = add_name(b, n);

			if (r < 0)
				return r;
		}
		if (name_is_dir(n) && !(n->flags & NAME_HIDDEN))
			next = n->children;
		while (!next && n != b->root) {
			next = n->sibling;
			n = n->parent;
		}
		if (!next)
			return 0;
		n = next;
	}
}

/* --- names of one inode ------------------------------------------------------------------------ */

/* Which of the names of a file is called the file, and which are links to it, must not follow from the
 * order of the archive: the first of a walk is the file. */
static int name_first(struct tree *t)
{
	cleanup_free bool *seen = (bool *)calloc(t->nr_entries, sizeof(*seen));

	if (!seen)
		return -ENOMEM;
	for (const struct node *c = t->root; c; c = tree_next(t, t->root, c)) {
		struct node *n = t->entries[c->index];
		struct node *end = n;

		while (node_is_link(end))
			end = end->link.target;
		if (end != n && !seen[end->index]) {
			copy_facts(n, end);
			end->flags = NODE_HARDLINK;
			end->link.target = n;
			end->xattrs = NULL;
			end = n;
		}
		seen[end->index] = true;
	}
	return 0;
}

/* All deletions come first to the image specification, so that a link cannot lead to what its own
 * layer removes. */
static int check_pending(const struct layer_builder *b, struct cairn_error *err)
{
	for (size_t i = 0; b->profile == CAIRN_PROFILE_RUNTIME && i < b->nr_pending; i++) {
		char path[NODE_PATH_QUOTED_MAX];

		if (!layer_path_hidden(b, b->pending[i]->pending))
			continue;
		error_quote(b->pending[i]->pending, MIN(strlen(b->pending[i]->pending), 120u), path,
			    sizeof(path));
		return error_set(err, -ENOENT, CAIRN_ERROR_FORMAT,
				 "a hard link to %s, which the same layer removes", path);
	}
	return 0;
}

int layer_finish(struct layer_builder *b, struct tree **ret, struct cairn_layer_stats *stats,
		 struct cairn_error *err)
{
	struct tree *t = NULL;
	int r;

	r = check_pending(b, err);
	if (r < 0)
		return r;
	if (tree_new(&t) < 0)
		return out_of_memory(err);
	t->root = tree_add(&b->shard, NULL, "", 0);
	r = t->root ? add_directory(b, t->root, b->root) : -ENOMEM;
	if (!r)
		r = add_names(b);
	r = r < 0 ? out_of_memory(err) : tree_index(t, &b->shard, 1, NULL, err);
	if (!r && name_first(t) < 0)
		r = out_of_memory(err);
	if (!r)
		r = tree_seal(t, false, err);
	if (r < 0) {
		tree_free(t);
		return r;
	}
	*stats = b->stats;
	*ret = t;
	return 0;
}

/* --- copies ---------------------------------------------------------------------------------- */

static bool copy_bytes(struct arena *a, const void *from, size_t size, const void **ret)
{
	*ret = from ? arena_dup(a, from, size) : NULL;
	return *ret || !from;
}

int layer_copy_content(struct arena *a, struct node *to, const struct node *from)
{
	size_t digest =
		(from->flags & NODE_SHA256 ? 32u : 0u) + (from->flags & NODE_SHA512 ? 64u : 0u);
	const void *copy;

	if (S_ISLNK(from->mode)) {
		to->symlink.target = arena_dup(a, from->symlink.target, (size_t)from->size);
		return to->symlink.target ? 0 : -ENOMEM;
	}
	if (from->flags & NODE_INLINE) {
		to->inl.content =
			(const uint8_t *)arena_dup(a, from->inl.content, (size_t)from->size);
		return to->inl.content ? 0 : -ENOMEM;
	}
	if (!copy_bytes(a, from->file.payload, from->file.payload ? strlen(from->file.payload) : 0,
			&copy))
		return -ENOMEM;
	to->file.payload = (const char *)copy;
	if (!copy_bytes(a, digest ? from->file.digest : NULL, digest, &copy))
		return -ENOMEM;
	to->file.digest = (const uint8_t *)copy;
	return 0;
}
