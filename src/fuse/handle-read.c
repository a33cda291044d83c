/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Reading contents: from the image, or from an object, verified. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "fuse/server-internal.h"

/* A fault of an object is the same whichever file it is met in. */
static uint64_t fault_of(const struct view_object *vo, uint64_t block)
{
	return XXH3_64bits_withSeed(vo->path, vo->path_len, block);
}

/* The object of @inode, whose number is @node. @vo: where the image says that it is. */
static int get_object(struct server *s, uint64_t node, const struct inode *inode,
		      struct view_object *vo, struct reader_object **ret)
{
	struct cairn_error err = {0};
	struct reader_key key;
	int r = view_object(&s->view, inode, vo, &err);

	if (r < 0)
		return tell_fault(s, node, node, &err);
	key = (struct reader_key){.path = vo->path,
				  .path_len = vo->path_len,
				  .size = inode->size,
				  .digest = vo->digest};
	r = reader_get(s->reader, &key, ret, &err);
	return r < 0 ? tell_fault(s, node, fault_of(vo, UINT64_MAX), &err) : 0;
}

int open_object(struct server *s, uint64_t node, struct reader_object **ret)
{
	struct view_object vo;
	struct inode inode;
	int r = handle_inode(s, node, &inode);

	if (r < 0)
		return r;
	return view_external(&inode) ? get_object(s, node, &inode, &vo, ret) : -ENODATA;
}

static int read_object(struct server *s, const struct call *c, const struct inode *inode,
		       size_t size, uint64_t offset)
{
	struct cairn_error err = {0};
	uint64_t block = UINT64_MAX;
	struct reader_object *o;
	struct view_object vo;
	ssize_t n;
	int r = get_object(s, c->header->nodeid, inode, &vo, &o);

	if (r < 0)
		return r;
	n = reader_read(s->reader, o, c->reply->data, size, offset, &block, &err);
	reader_put(s->reader, o);
	if (n < 0)
		return tell_fault(s, c->header->nodeid, fault_of(&vo, block), &err);
	c->reply->size = (size_t)n;
	return 0;
}

int handle_read(struct server *s, const struct call *c)
{
	const struct fuse_read_in *in = (const struct fuse_read_in *)c->arg;
	const size_t size = MIN((size_t)in->size, REPLY_MAX);
	struct inode inode;
	int r = handle_inode(s, c->header->nodeid, &inode);

	if (r < 0)
		return r;
	if (!S_ISREG(inode.mode))
		return S_ISDIR(inode.mode) ? -EISDIR : -EINVAL;
	if (in->offset >= inode.size)
		return 0;
	if (!view_external(&inode))
		c->reply->size = view_data(&inode, c->reply->data, size, in->offset);
	else
		r = s->reader ? read_object(s, c, &inode, size, in->offset) : -EIO;
	if (!in->offset)
		ahead_read(s->ahead, c->header->nodeid, &inode);
	return r;
}

int handle_lseek(struct server *s, const struct call *c)
{
	const struct fuse_lseek_in *in = (const struct fuse_lseek_in *)c->arg;
	struct fuse_lseek_out *out = (struct fuse_lseek_out *)(void *)c->reply->data;
	struct cairn_error err = {0};
	struct reader_object *o;
	struct view_object vo;
	struct inode inode;
	int64_t offset;
	int r = handle_inode(s, c->header->nodeid, &inode);

	if (r < 0)
		return r;
	if (in->offset >= inode.size)
		return -ENXIO;
	if (!view_external(&inode) || !s->reader) {
		offset = in->whence == SEEK_DATA ? (int64_t)in->offset : (int64_t)inode.size;
	} else {
		r = get_object(s, c->header->nodeid, &inode, &vo, &o);
		if (r < 0)
			return r;
		offset = reader_seek(s->reader, o, in->offset, (int)in->whence, &err);
		reader_put(s->reader, o);
	}
	if (offset == -ENXIO || offset == -EINVAL)
		return (int)offset;
	if (offset < 0)
		return tell_fault(s, c->header->nodeid, fault_of(&vo, UINT64_MAX), &err);
	*out = (struct fuse_lseek_out){.offset = (uint64_t)offset};
	c->reply->size = sizeof(*out);
	return 0;
}
