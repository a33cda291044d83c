/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Requests about names: looking one up, listing a directory, xattrs. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "erofs/format.h"
#include "fuse/server-internal.h"

#define LIST_MAX 65536 /* bytes of a list of xattrs: the kernel's XATTR_LIST_MAX */

static void fill_entry(const struct server *s, const struct inode *in, struct fuse_entry_out *out)
{
	*out = (struct fuse_entry_out){.nodeid = view_node(&s->view, in),
				       .entry_valid = PROTOCOL_FOR_EVER,
				       .attr_valid = PROTOCOL_FOR_EVER};
	view_attr(in, &out->attr);
}

static int directory(struct server *s, uint64_t node, struct inode *ret)
{
	int r = handle_inode(s, node, ret);

	if (r < 0)
		return r;
	return S_ISDIR(ret->mode) ? 0 : -ENOTDIR;
}

int handle_lookup(struct server *s, const struct call *c)
{
	struct fuse_entry_out *out = (struct fuse_entry_out *)(void *)c->reply->data;
	const char *name = (const char *)c->arg;
	const size_t len = strnlen(name, c->arg_size);
	struct cairn_error err = {0};
	struct image_dirent d;
	struct inode dir, in;
	int r;

	if (!len || len > 255)
		return len ? -ENAMETOOLONG : -EINVAL;
	r = directory(s, c->header->nodeid, &dir);
	if (r < 0)
		return r;
	r = image_dir_find(&dir, name, len, &d, &err);
	if (r < 0)
		return tell_fault(s, c->header->nodeid, c->header->nodeid, &err);
	if (r > 0) {
		r = handle_inode(s, d.nid, &in);
		if (r < 0)
			return r;
		r = !view_hidden(&in);
	}
	/* That a name is not there is known for ever as well. */
	*out = (struct fuse_entry_out){.entry_valid = PROTOCOL_FOR_EVER};
	if (r)
		fill_entry(s, &in, out);
	c->reply->size = sizeof(*out);
	return 0;
}

/* --- lists -------------------------------------------------------------------------------------- */

/* A place in a directory as the kernel keeps it: behind entry number `index` of block `block`. */
static uint64_t cookie_of(const struct image_dir_iter *it)
{
	return it->block << 12 | it->next;
}

static uint32_t type_of(const struct image_dirent *d)
{
	static const uint8_t types[] = {
		[DIRENT_REG] = S_IFREG >> 12,  [DIRENT_DIR] = S_IFDIR >> 12,
		[DIRENT_CHR] = S_IFCHR >> 12,  [DIRENT_BLK] = S_IFBLK >> 12,
		[DIRENT_FIFO] = S_IFIFO >> 12, [DIRENT_SOCK] = S_IFSOCK >> 12,
		[DIRENT_LNK] = S_IFLNK >> 12,
	};

	return d->type < ARRAY_SIZE(types) ? types[d->type] : 0;
}

/* Adds an entry. @in: NULL when its inode cannot be read, which whoever looks at the file is told. Returns
 * 1, or 0 when there is no room for it. */
static int put_entry(const struct server *s, const struct image_dirent *d, const struct inode *in,
		     uint64_t cookie, bool plus, struct reply *reply, size_t room)
{
	const size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
	const size_t size = FUSE_DIRENT_ALIGN(head + d->name_len);
	uint8_t *p = reply->data + reply->size;
	struct fuse_dirent *out;

	if (size > room - reply->size)
		return 0;
	memset(p, 0, size);
	out = (struct fuse_dirent *)(void *)p;
	if (plus) {
		struct fuse_direntplus *with = (struct fuse_direntplus *)(void *)p;

		out = &with->dirent;
		/* The two dots have no entries of their own in the kernel. */
		if (in && !view_is_dot(d))
			fill_entry(s, in, &with->entry_out);
	}
	out->ino = d->nid;
	out->off = cookie;
	out->namelen = d->name_len;
	out->type = plus && in ? in->mode >> 12 : type_of(d);
	memcpy(p + head, d->name, d->name_len);
	reply->size += size;
	return 1;
}

/* The next entry that is shown. *@ret_known: @in was needed and is right. Returns 1, 0, or -EIO. */
static int next_shown(struct server *s, uint64_t node, const struct inode *dir,
		      struct image_dir_iter *it, bool plus, struct image_dirent *d,
		      struct inode *in, bool *ret_known)
{
	struct cairn_error err = {0};
	int r;

	while ((r = image_dir_next(dir, it, d, &err)) > 0) {
		*ret_known = (plus || d->type == DIRENT_CHR) && !handle_inode(s, d->nid, in);
		if (!*ret_known || !view_hidden(in))
			return 1;
	}
	return r < 0 ? tell_fault(s, node, node, &err) : 0;
}

int handle_readdir(struct server *s, const struct call *c, bool plus)
{
	const struct fuse_read_in *in = (const struct fuse_read_in *)c->arg;
	const uint64_t node = c->header->nodeid;
	const size_t room = MIN((size_t)in->size, REPLY_MAX);
	struct cairn_error err = {0};
	struct image_dir_iter it;
	struct image_dirent d;
	struct inode dir, entry;
	bool known = false;
	int r = directory(s, node, &dir);

	if (r < 0)
		return r;
	if (image_dir_seek(&dir, &it, in->offset >> 12, in->offset & 4095, &err) < 0)
		return tell_fault(s, node, node, &err);
	do {
		r = next_shown(s, node, &dir, &it, plus, &d, &entry, &known);
		if (r > 0)
			r = put_entry(s, &d, known ? &entry : NULL, cookie_of(&it), plus, c->reply,
				      room);
	} while (r > 0);
	/* What comes before a fault is handed out first. */
	return r < 0 && !c->reply->size ? r : 0;
}

/* --- xattrs ------------------------------------------------------------------------------------- */

/* trusted.* are for the machine's root alone, and the kernel asks for one only for him; but whom a list
 * is for must be seen here. */
static bool may_list(const struct server *s, const struct call *c, const struct view_xattr *x)
{
	return strncmp(x->name, "trusted.", 8) || (s->trusted && !c->header->uid);
}

static int give_size(const struct call *c, size_t size)
{
	struct fuse_getxattr_out *out = (struct fuse_getxattr_out *)(void *)c->reply->data;

	*out = (struct fuse_getxattr_out){.size = (uint32_t)size};
	c->reply->size = sizeof(*out);
	return 0;
}

/* What the survey has shown not to be there anywhere. ENOSYS is for all that will ever be asked. */
static int without_looking(const struct server *s, const char *name, size_t len)
{
	static const char label[] = "security.selinux";
	const unsigned int known = s->survey;

	if (!(known & SURVEY_DONE))
		return 0;
	if (!(known & SURVEY_ANY))
		return -ENOSYS;
	if (!(known & SURVEY_LABELS) && len == sizeof(label) - 1 && !memcmp(name, label, len))
		return -EOPNOTSUPP;
	return 0;
}

int handle_getxattr(struct server *s, const struct call *c)
{
	const struct fuse_getxattr_in *in = (const struct fuse_getxattr_in *)c->arg;
	const char *name = (const char *)(in + 1);
	const size_t len = strnlen(name, c->arg_size - sizeof(*in));
	struct cairn_error err = {0};
	struct view_xattr x;
	struct inode inode;
	int r = without_looking(s, name, len);

	if (!r)
		r = handle_inode(s, c->header->nodeid, &inode);
	if (r < 0)
		return r;
	r = view_xattr_find(&s->view, &inode, name, len, &x, &err);
	if (r == -EOPNOTSUPP)
		return r;
	if (r < 0)
		return tell_fault(s, c->header->nodeid, c->header->nodeid, &err);
	if (!r)
		return -ENODATA;
	if (!in->size)
		return give_size(c, x.value_len);
	if (x.value_len > in->size)
		return -ERANGE;
	memcpy(c->reply->data, x.value, x.value_len);
	c->reply->size = x.value_len;
	return 0;
}

int handle_listxattr(struct server *s, const struct call *c)
{
	const struct fuse_getxattr_in *in = (const struct fuse_getxattr_in *)c->arg;
	struct cairn_error err = {0};
	struct image_xattr_iter it;
	struct view_xattr x;
	struct inode inode;
	size_t size = 0;
	int r = handle_inode(s, c->header->nodeid, &inode);

	if (r < 0)
		return r;
	r = image_xattr_begin(&inode, &it, &err);
	while (!r && (r = view_xattr_next(&s->view, &inode, &it, &x, &err)) > 0) {
		r = 0;
		if (!may_list(s, c, &x))
			continue;
		if (size + x.name_len + 1 > LIST_MAX)
			return -E2BIG;
		memcpy(c->reply->data + size, x.name, x.name_len + 1);
		size += x.name_len + 1;
	}
	if (r < 0)
		return tell_fault(s, c->header->nodeid, c->header->nodeid, &err);
	if (!in->size)
		return give_size(c, size);
	if (size > in->size)
		return -ERANGE;
	c->reply->size = size;
	return 0;
}
