/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Requests and their answers. No kernel is needed to call handle(): it takes bytes and gives bytes.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "fuse/server-internal.h"

int handle_inode(struct server *s, uint64_t node, struct inode *ret)
{
	struct cairn_error err = {0};

	if (view_inode(&s->view, node, ret, &err) < 0)
		return tell_fault(s, node, node, &err);
	/* The kernel's file sizes are signed. */
	return ret->size > INT64_MAX ? -EOVERFLOW : 0;
}

/* --- the beginning ------------------------------------------------------------------------------ */

static int handle_init(struct server *s, const struct call *c)
{
	const struct fuse_init_in *in = (const struct fuse_init_in *)c->arg;
	struct protocol_init_out *out = (struct protocol_init_out *)(void *)c->reply->data;
	uint32_t want = FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS | FUSE_DO_READDIRPLUS |
			FUSE_CACHE_SYMLINKS | FUSE_MAX_PAGES | FUSE_EXPORT_SUPPORT;

	*out = (struct protocol_init_out){.major = FUSE_KERNEL_VERSION, .minor = PROTOCOL_MINOR};
	c->reply->size = sizeof(*out);
	if (in->major > FUSE_KERNEL_VERSION)
		return 0; /* it asks again with ours */
	if (in->major < FUSE_KERNEL_VERSION || in->minor < PROTOCOL_MINOR_MIN)
		return -EPROTO;

	if (s->view.flags & VIEW_ACL && s->check_access)
		want |= FUSE_POSIX_ACL;
	out->max_readahead = in->max_readahead;
	out->flags = want & in->flags;
	out->max_background = 64;
	out->congestion_threshold = 48;
	out->max_write = 4096; /* nobody writes */
	out->time_gran = 1;
	out->max_pages = REPLY_MAX / 4096;
	if (s->passthrough && c->arg_size >= sizeof(*in) && in->flags & FUSE_INIT_EXT &&
	    in->flags2 & PROTOCOL_PASSTHROUGH >> 32) {
		out->flags |= FUSE_INIT_EXT;
		out->flags2 |= PROTOCOL_PASSTHROUGH >> 32;
		out->max_stack_depth = 1; /* an overlayfs may stand on the mount */
	} else {
		s->passthrough = false;
	}
	s->no_open = in->flags & FUSE_NO_OPEN_SUPPORT;
	s->no_opendir = in->flags & FUSE_NO_OPENDIR_SUPPORT;
	s->ready = true;
	return 0;
}

/* --- attributes --------------------------------------------------------------------------------- */

static int handle_getattr(struct server *s, const struct call *c)
{
	struct fuse_attr_out *out = (struct fuse_attr_out *)(void *)c->reply->data;
	struct inode in;
	int r = handle_inode(s, c->header->nodeid, &in);

	if (r < 0)
		return r;
	*out = (struct fuse_attr_out){.attr_valid = PROTOCOL_FOR_EVER};
	view_attr(&in, &out->attr);
	c->reply->size = sizeof(*out);
	return 0;
}

static int handle_readlink(struct server *s, const struct call *c)
{
	struct inode in;
	int r = handle_inode(s, c->header->nodeid, &in);

	if (r < 0)
		return r;
	if (!S_ISLNK(in.mode))
		return -EINVAL;
	if (in.size >= 4096 || view_external(&in))
		return -EIO;
	c->reply->size = view_data(&in, c->reply->data, (size_t)in.size, 0);
	return c->reply->size && c->reply->size == in.size ? 0 : -EIO;
}

/* The numbers are those of the store, where the contents are; or those of the image, which is full. */
static int handle_statfs(struct server *s, const struct call *c)
{
	struct fuse_statfs_out *out = (struct fuse_statfs_out *)(void *)c->reply->data;
	struct statvfs fs;

	*out = (struct fuse_statfs_out){.st.bsize = 4096,
					.st.frsize = 4096,
					.st.namelen = 255,
					.st.blocks = s->view.img.size / 4096};
	if (s->statfs_fd >= 0 && !fstatvfs(s->statfs_fd, &fs)) {
		out->st.bsize = (uint32_t)fs.f_bsize;
		out->st.frsize = (uint32_t)fs.f_frsize;
		out->st.blocks = fs.f_blocks;
		out->st.bfree = fs.f_bfree;
		out->st.bavail = fs.f_bavail;
		out->st.files = fs.f_files;
		out->st.ffree = fs.f_ffree;
	}
	c->reply->size = sizeof(*out);
	return 0;
}

/* --- opening ------------------------------------------------------------------------------------ */

/* Nothing has to be opened. Told once, the kernel does not ask again, and keeps what it has read. */
static int handle_open(const struct call *c, bool not_needed, uint32_t flags)
{
	struct protocol_open_out *out = (struct protocol_open_out *)(void *)c->reply->data;

	if (not_needed)
		return -ENOSYS;
	*out = (struct protocol_open_out){.open_flags = flags};
	c->reply->size = sizeof(*out);
	return 0;
}

/* With passthrough every open is asked for, and gives the object to the kernel if it can. */
static int handle_open_file(struct server *s, const struct call *c)
{
	struct protocol_open_out *out = (struct protocol_open_out *)(void *)c->reply->data;
	struct inode inode;
	int r;

	if (!s->passthrough)
		return handle_open(c, s->no_open, FOPEN_KEEP_CACHE);
	r = handle_inode(s, c->header->nodeid, &inode);
	if (r < 0)
		return r;
	r = handle_open(c, false, FOPEN_KEEP_CACHE);
	if (!r && view_external(&inode))
		r = passthrough_open(s, c->header->nodeid, out);
	return r;
}

static int handle_release(struct server *s, const struct call *c)
{
	const struct fuse_release_in *in = (const struct fuse_release_in *)c->arg;

	if (in->fh == PASSTHROUGH_COUNTED)
		passthrough_release(s, c->header->nodeid);
	return 0;
}

/* --- all of them -------------------------------------------------------------------------------- */

/* What must follow the header. Opcodes that are not here are not served. */
static size_t least_arg_size(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_INIT:
		return offsetof(struct fuse_init_in, flags2);
	case FUSE_LOOKUP:
		return 1;
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		return sizeof(struct fuse_read_in);
	case FUSE_LSEEK:
		return sizeof(struct fuse_lseek_in);
	case FUSE_RELEASE:
		return sizeof(struct fuse_release_in);
	case FUSE_GETXATTR:
		return sizeof(struct fuse_getxattr_in) + 1;
	case FUSE_LISTXATTR:
		return sizeof(struct fuse_getxattr_in);
	default:
		return 0;
	}
}

static int dispatch(struct server *s, const struct call *c)
{
	switch (c->header->opcode) {
	case FUSE_INIT:
		return handle_init(s, c);
	case FUSE_LOOKUP:
		return handle_lookup(s, c);
	case FUSE_GETATTR:
		return handle_getattr(s, c);
	case FUSE_READLINK:
		return handle_readlink(s, c);
	case FUSE_OPEN:
		return handle_open_file(s, c);
	case FUSE_OPENDIR:
		return handle_open(c, s->no_opendir, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR);
	case FUSE_READ:
		return handle_read(s, c);
	case FUSE_LSEEK:
		return handle_lseek(s, c);
	case FUSE_READDIR:
		return handle_readdir(s, c, false);
	case FUSE_READDIRPLUS:
		return handle_readdir(s, c, true);
	case FUSE_GETXATTR:
		return handle_getxattr(s, c);
	case FUSE_LISTXATTR:
		return handle_listxattr(s, c);
	case FUSE_STATFS:
		return handle_statfs(s, c);
	case FUSE_RELEASE:
		return handle_release(s, c);
	case FUSE_RELEASEDIR:
	case FUSE_DESTROY:
		return 0;
	default:
		return -ENOSYS;
	}
}

int handle(struct server *s, const void *message, size_t size, struct reply *reply)
{
	const struct fuse_in_header *header = (const struct fuse_in_header *)message;
	struct fuse_out_header *out =
		(struct fuse_out_header *)(void *)(reply->data - sizeof(struct fuse_out_header));
	struct call c = {.header = header, .reply = reply};
	int r;

	reply->size = 0;
	if (size < sizeof(*header) || header->len != size)
		return -EPROTO;
	if (header->opcode == FUSE_FORGET || header->opcode == FUSE_BATCH_FORGET)
		return 0;
	c.arg = header + 1;
	c.arg_size = size - sizeof(*header);
	if (c.arg_size < least_arg_size(header->opcode))
		r = -EINVAL;
	else if (!s->ready && header->opcode != FUSE_INIT)
		r = -EIO;
	else
		r = dispatch(s, &c);

	if (r < 0)
		reply->size = 0;
	*out = (struct fuse_out_header){.len = (uint32_t)(sizeof(*out) + reply->size),
					.error = r,
					.unique = header->unique};
	return header->opcode == FUSE_INIT && r < 0 ? -EPROTO : 1;
}
