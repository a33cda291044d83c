/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The upper directory of an overlay mount becomes a layer: what overlayfs has as devices and extended
 * attributes becomes marks.
 *
 *	character device 0:0, or an empty file with overlay.whiteout	`.wh.NAME`
 *	overlay.opaque=y						`.wh..wh..opq`
 *	overlay.redirect, overlay.metacopy				refused: only the layers below know more
 *	overlay.overlay.X						overlay.X
 *	overlay.*							left out
 *
 * overlay.* stands for trusted.overlay.* and user.overlay.*.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "tar/layer.h"

struct upper {
	const struct tree *from;
	struct tree_shard shard;
	struct node **made; /* by index of an inode of `from` */
	struct buf inputs;  /* struct xattr_input */
	struct buf names;   /* of attributes that change theirs */
};

static int refuse(struct cairn_error *err, const struct node *n, const char *words)
{
	char path[NODE_PATH_QUOTED_MAX];

	return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED, "%s: %s",
			 node_path_quoted(n, path), words);
}

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "make the layer");
}

/* What follows "trusted.overlay." or "user.overlay.", NULL: it is another attribute. */
static const char *overlay_name(const struct xattr *x)
{
	static const char trusted[] = "trusted.overlay.", user[] = "user.overlay.";

	if (!strncmp(x->name, trusted, sizeof(trusted) - 1))
		return x->name + sizeof(trusted) - 1;
	if (!strncmp(x->name, user, sizeof(user) - 1))
		return x->name + sizeof(user) - 1;
	return NULL;
}

static const struct xattr *find_overlay(const struct node *n, const char *name)
{
	for (uint32_t i = 0; n->xattrs && i < n->xattrs->nr; i++) {
		const char *overlay = overlay_name(n->xattrs->xattr[i]);

		if (overlay && !strcmp(overlay, name))
			return n->xattrs->xattr[i];
	}
	return NULL;
}

static bool is_whiteout(const struct node *n)
{
	return node_is_whiteout(n) || (S_ISREG(n->mode) && !n->size && find_overlay(n, "whiteout"));
}

static bool is_opaque(const struct node *n)
{
	const struct xattr *x = find_overlay(n, "opaque");

	return x && x->value_len == 1 && x->value[0] == 'y';
}

static int add_mark(struct upper *u, struct node *dir, const char *text, size_t len)
{
	struct node *n = tree_add(&u->shard, dir, text, len);

	if (!n)
		return -ENOMEM;
	n->mode = S_IFREG;
	n->nlink = 1;
	return 0;
}

/* The attributes without overlayfs's own. */
static int copy_xattrs(struct upper *u, struct node *to, const struct node *from)
{
	static const char escaped[] = "overlay.";
	struct xattr_input *in;

	u->inputs.len = u->names.len = 0;
	if (!from->xattrs)
		return 0;
	/* Names point into the buffer, which must not move. */
	if (buf_reserve(&u->names, (size_t)from->xattrs->nr * (XATTR_NAME_MAX + 1)) < 0 ||
	    buf_reserve(&u->inputs, from->xattrs->nr * sizeof(*in)) < 0)
		return -ENOMEM;
	in = (struct xattr_input *)(void *)u->inputs.data;
	for (uint32_t i = 0; i < from->xattrs->nr; i++) {
		const struct xattr *x = from->xattrs->xattr[i];
		const char *overlay = overlay_name(x);
		const char *name = x->name;

		if (overlay && strncmp(overlay, escaped, sizeof(escaped) - 1) != 0)
			continue;
		if (overlay) { /* overlay.overlay.X: one of the two goes */
			size_t keep = (size_t)(overlay - x->name);

			name = u->names.data + u->names.len;
			(void)buf_put(&u->names, x->name, keep);
			(void)buf_put(&u->names, overlay + sizeof(escaped) - 1,
				      strlen(overlay + sizeof(escaped) - 1) + 1);
		}
		*in++ = (struct xattr_input){.name = name,
					     .name_len = (uint32_t)strlen(name),
					     .value = x->value,
					     .value_len = x->value_len};
	}
	return tree_xattrs(&u->shard, (struct xattr_input *)(void *)u->inputs.data,
			   (size_t)(in - (struct xattr_input *)(void *)u->inputs.data),
			   &to->xattrs);
}

/* Everything but its place and its attributes. What it points to is copied. */
static int copy_node(struct upper *u, struct node *to, const struct node *from)
{
	to->mode = from->mode;
	to->uid = from->uid;
	to->gid = from->gid;
	to->mtime = from->mtime;
	to->mtime_nsec = from->mtime_nsec;
	if (copy_xattrs(u, to, from) < 0)
		return -ENOMEM;
	if (S_ISDIR(from->mode))
		return 0;
	to->nlink = 1;
	to->size = from->size;
	to->flags = from->flags;
	if (S_ISREG(from->mode) || S_ISLNK(from->mode))
		return layer_copy_content(&u->shard.arena, to, from);
	if (S_ISCHR(from->mode) || S_ISBLK(from->mode))
		to->device.rdev = from->device.rdev;
	return 0;
}

static int add_node(struct upper *u, const struct node *name, struct cairn_error *err)
{
	struct node *dir = u->made[name->parent->index];
	const struct node *from = node_inode(name);
	struct node *n;

	if (!strncmp(name->name, LAYER_MARK, LAYER_MARK_LEN))
		return refuse(err, name, "a name that would be a mark (.wh.) in a layer");
	if (is_whiteout(from)) {
		char text[LAYER_MARK_LEN + TREE_NAME_MAX + 1] = LAYER_MARK;

		if (name->name_len > TREE_NAME_MAX - LAYER_MARK_LEN)
			return refuse(err, name, "its name is too long for a mark in a layer");
		memcpy(text + LAYER_MARK_LEN, name->name, name->name_len);
		return add_mark(u, dir, text, LAYER_MARK_LEN + (size_t)name->name_len) < 0
			       ? out_of_memory(err)
			       : 0;
	}
	if (find_overlay(from, "redirect"))
		return refuse(err, name,
			      "was renamed (overlay.redirect); mount with redirect_dir=off");
	if (find_overlay(from, "metacopy"))
		return refuse(err, name,
			      "has no content of its own (overlay.metacopy); mount with "
			      "metacopy=off");

	n = tree_add(&u->shard, dir, name->name, name->name_len);
	if (!n)
		return out_of_memory(err);
	if (u->made[from->index]) {
		n->flags = NODE_HARDLINK;
		n->link.target = u->made[from->index];
		n->link.target->nlink++;
		return 0;
	}
	u->made[from->index] = n;
	if (copy_node(u, n, from) < 0 ||
	    (S_ISDIR(from->mode) && is_opaque(from) &&
	     add_mark(u, n, LAYER_OPAQUE, sizeof(LAYER_OPAQUE) - 1) < 0))
		return out_of_memory(err);
	return 0;
}

/* The root's owner, mode and time are those of a directory that the user made: not of the layer. */
static int add_root(struct upper *u, struct tree *t)
{
	struct xattr_input in = {.name = LAYER_XATTR_IMPLICIT,
				 .name_len = sizeof(LAYER_XATTR_IMPLICIT) - 1,
				 .value = ""};

	t->root = u->made[u->from->root->index] = tree_add(&u->shard, NULL, "", 0);
	if (!t->root)
		return -ENOMEM;
	t->root->mode = S_IFDIR | 0755;
	if (is_opaque(u->from->root) &&
	    add_mark(u, t->root, LAYER_OPAQUE, sizeof(LAYER_OPAQUE) - 1) < 0)
		return -ENOMEM;
	return tree_xattrs(&u->shard, &in, 1, &t->root->xattrs);
}

static int build(struct upper *u, struct tree *t, struct cairn_error *err)
{
	int r = add_root(u, t) < 0 ? out_of_memory(err) : 0;
	const struct tree *from = u->from;

	for (const struct node *n = tree_next(from, from->root, from->root); n && !r;
	     n = tree_next(from, from->root, n))
		r = add_node(u, n, err);
	if (!r)
		r = tree_index(t, &u->shard, 1, NULL, err);
	return r ? r : tree_seal(t, false, err);
}

int layer_from_upper(const struct tree *upper, struct tree **ret, struct cairn_error *err)
{
	struct upper u = {
		.from = upper, .inputs = BUF_INIT(SIZE_MAX / 4), .names = BUF_INIT(SIZE_MAX / 4)};
	struct tree *t = NULL;
	int r = -ENOMEM;

	u.made = (struct node **)calloc(upper->nr_entries, sizeof(struct node *));
	if (u.made && !tree_shard_init(&u.shard) && !tree_new(&t))
		r = build(&u, t, err);
	else
		r = out_of_memory(err);
	free(u.made);
	tree_shard_fini(&u.shard);
	buf_fini(&u.inputs);
	buf_fini(&u.names);
	if (r < 0) {
		tree_free(t);
		return r;
	}
	*ret = t;
	return 0;
}
