/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A tree becomes a tar stream, depth first. Of a file with several names the first in this order has the
 * content, whichever is a link in the tree.
 *
 * The tree of a layer (tar/layer.h) becomes that layer: marks come before what else is in their directory, for
 * there are readers that apply them at once; what is implicit has no entry; a link into the layers below is a
 * hard link.
 */
#include <errno.h>

#include "export/export-internal.h"
#include "tar/layer.h"
#include "tree/objects.h"

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

struct archive {
	struct export x;
	struct tar_writer writer;
	const struct node **first; /* by index of the inode: the name that has its content */
	struct xattr_input *xattrs;
	size_t max_xattrs;
	char *acl[2]; /* texts: access, default */
	char *path, *target;
};

static void archive_fini(struct archive *a)
{
	tar_writer_fini(&a->writer);
	free(a->first);
	free(a->xattrs);
	free(a->acl[0]);
	free(a->acl[1]);
	free(a->path);
	free(a->target);
	pthread_mutex_destroy(&a->x.lock);
}

/* The path of @n as tar has it, into *@buffer. */
static int set_path(char **buffer, const struct node *n, const char **ret, uint32_t *ret_len)
{
	size_t len = node_path_len(n);

	free(take_ptr(*buffer));
	*buffer = (char *)malloc(len + sizeof("/./"));
	if (!*buffer)
		return -ENOMEM;
	if (n->parent)
		node_path(n, *buffer);
	else
		memcpy(*buffer, "/./", 4);
	*ret = *buffer + 1;
	*ret_len = (uint32_t)strlen(*ret);
	return 0;
}

static int set_xattrs(struct archive *a, const struct node *n, struct tar_entry *e)
{
	const struct xattr_list *l = n->xattrs;

	if (!l)
		return 0;
	if (l->nr > a->max_xattrs) {
		free(take_ptr(a->xattrs));
		a->xattrs = (struct xattr_input *)malloc(l->nr * sizeof(*a->xattrs));
		if (!a->xattrs)
			return -ENOMEM;
		a->max_xattrs = l->nr;
	}
	for (uint32_t i = 0; i < l->nr; i++) {
		const struct xattr *x = l->xattr[i];
		int which = !strcmp(x->name, ACL_ACCESS)    ? 0
			    : !strcmp(x->name, ACL_DEFAULT) ? 1
							    : -1;

		a->xattrs[i] = (struct xattr_input){.name = x->name,
						    .value = x->value,
						    .name_len = x->name_len,
						    .value_len = x->value_len};
		if (which < 0)
			continue;
		if (!a->acl[which])
			a->acl[which] = (char *)malloc(ACL_TEXT_MAX);
		if (!a->acl[which])
			return -ENOMEM;
		if (!acl_to_text(x->value, x->value_len, a->acl[which]))
			*(which ? &e->acl_default : &e->acl_access) = a->acl[which];
	}
	e->xattrs = a->xattrs;
	e->nr_xattrs = l->nr;
	return 0;
}

static bool set_type(struct tar_entry *e, const struct node *n)
{
	switch (n->mode & S_IFMT) {
	case S_IFREG:
		e->type = TAR_FILE;
		e->size = n->size;
		return true;
	case S_IFDIR:
		e->type = TAR_DIRECTORY;
		return true;
	case S_IFLNK:
		e->type = TAR_SYMLINK;
		e->target = n->symlink.target;
		e->target_len = (uint32_t)n->size;
		return true;
	case S_IFCHR:
	case S_IFBLK:
		e->type = S_ISCHR(n->mode) ? TAR_CHARDEV : TAR_BLOCKDEV;
		e->major = n->device.rdev >> 8 & 0xfff;
		e->minor = (n->device.rdev & 0xff) | (n->device.rdev >> 12 & ~0xffu);
		return true;
	case S_IFIFO:
		e->type = TAR_FIFO;
		return true;
	default:
		return false;
	}
}

static int write_piece(void *arg, const void *data, unsigned long size)
{
	return tar_write_content((struct tar_writer *)arg, data, size);
}

static int out_of_memory(const struct node *n, struct cairn_error *err)
{
	return export_errno(err, -ENOMEM, "archive", n);
}

static int put_link(struct archive *a, const struct node *n, const struct node *to,
		    struct cairn_error *err)
{
	const struct node *inode = node_inode(n);
	struct tar_entry e = {
		.type = TAR_HARDLINK,
		.mode = inode->mode & 07777,
		.uid = inode->uid,
		.gid = inode->gid,
		.mtime = inode->mtime,
		.mtime_nsec = inode->mtime_nsec,
	};

	if (set_path(&a->path, n, &e.path, &e.path_len) < 0 ||
	    set_path(&a->target, to, &e.target, &e.target_len) < 0)
		return out_of_memory(n, err);
	return tar_write_entry(&a->writer, &e, err);
}

static int put_node(struct archive *a, const struct node *n, struct cairn_error *err)
{
	const struct node *inode = node_inode(n);
	struct tar_entry e = {
		.mode = inode->mode & 07777,
		.uid = inode->uid,
		.gid = inode->gid,
		.mtime = inode->mtime,
		.mtime_nsec = inode->mtime_nsec,
		.target = "",
	};
	int r;

	if (!set_type(&e, inode)) {
		export_refuse(&a->x, n, CAIRN_REFUSED_NODE, NULL, -EOPNOTSUPP);
		return 0;
	}
	if (a->first[inode->index] && !node_is_dir(n))
		return put_link(a, n, a->first[inode->index], err);
	a->first[inode->index] = n;
	if (set_path(&a->path, n, &e.path, &e.path_len) < 0 || set_xattrs(a, inode, &e) < 0)
		return out_of_memory(n, err);
	r = tar_write_entry(&a->writer, &e, err);
	if (r < 0 || e.type != TAR_FILE)
		return r;
	return export_write_content(&a->x, inode, write_piece, &a->writer, err);
}

/* The attribute of that name, NULL: there is none. */
static const struct xattr *find_xattr(const struct node *n, const char *name)
{
	for (uint32_t i = 0; n->xattrs && i < n->xattrs->nr; i++)
		if (!strcmp(n->xattrs->xattr[i]->name, name))
			return n->xattrs->xattr[i];
	return NULL;
}

static bool is_mark(const struct node *n)
{
	return S_ISREG(n->mode) && !node_is_link(n) && !n->size &&
	       !strncmp(n->name, LAYER_MARK, LAYER_MARK_LEN);
}

/* A hard link to a path of the layers below. */
static int put_pending(struct archive *a, const struct node *n, const struct xattr *to,
		       struct cairn_error *err)
{
	struct tar_entry e = {
		.type = TAR_HARDLINK, .target = to->value, .target_len = to->value_len};

	if (set_path(&a->path, n, &e.path, &e.path_len) < 0)
		return out_of_memory(n, err);
	return tar_write_entry(&a->writer, &e, err);
}

/* The entry of a directory, and the marks in it. */
static int put_directory(struct archive *a, const struct node *n, struct cairn_error *err)
{
	struct node **entries = a->x.tree->entries;
	int r = find_xattr(n, LAYER_XATTR_IMPLICIT) ? 0 : put_node(a, n, err);

	for (uint32_t i = 0; i < n->dir.nr && !r; i++)
		if (is_mark(entries[n->dir.first + i]))
			r = put_node(a, entries[n->dir.first + i], err);
	return r;
}

static int put_name(struct archive *a, const struct node *n, struct cairn_error *err)
{
	const struct xattr *link;

	if (node_is_dir(n))
		return put_directory(a, n, err);
	if (is_mark(n))
		return 0; /* with its directory */
	link = S_ISREG(node_inode(n)->mode) ? find_xattr(node_inode(n), LAYER_XATTR_LINK) : NULL;
	return link ? put_pending(a, n, link, err) : put_node(a, n, err);
}

int export_tar(const struct tree *t, cairn_write_fn write, void *arg,
	       const struct cairn_export_options *options, struct cairn_export_result *ret,
	       struct cairn_error *err)
{
	struct archive a __attribute__((__cleanup__(archive_fini))) = {
		.x = {.tree = t,
		      .options = options,
		      .alg = t->algs ? tree_alg(t) : (enum cairn_alg)0,
		      .lock = PTHREAD_MUTEX_INITIALIZER},
		.writer = TAR_WRITER_INIT(write, arg),
	};
	const struct node *n = t->root;
	int r = 0;

	a.first = (const struct node **)calloc(t->nr_entries, sizeof(const struct node *));
	if (!a.first)
		return error_errno(err, -ENOMEM, "archive");
	for (; n && !r; n = tree_next(t, t->root, n)) {
		a.x.names++;
		r = put_name(&a, n, err);
		if (!r)
			r = export_progress(&a.x, 0, err);
	}
	if (!r)
		r = tar_write_end(&a.writer);
	if (r < 0)
		return r;
	if (ret)
		*ret = (struct cairn_export_result){
			.names = a.x.names,
			.files = a.x.files,
			.bytes = a.x.bytes,
			.refused[CAIRN_REFUSED_NODE] = a.x.refused[CAIRN_REFUSED_NODE],
		};
	return 0;
}
