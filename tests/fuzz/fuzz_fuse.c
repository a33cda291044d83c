/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Image → server, without a kernel. Oracles: every answer is one that the kernel takes, and no longer than
 * was asked for; lists lead on and end; what the strict reader finds in the image is what is shown. Then
 * requests made up of the image's own bytes.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "erofs/format.h"
#include "fuse/server-internal.h"
#include "fuzz.h"
#include "tree/tree.h"

#define CALLS_MAX    3000 /* of one walk: an image may have loops */
#define RANDOM_CALLS 200

struct session {
	struct server s;
	struct cairn_fuse_options options;
	unsigned int calls;
	uint64_t unique;
	struct reply reply;
	int error; /* of the last answer */
};

static uint8_t memory[4096 + REPLY_MAX] __attribute__((aligned(4096)));

/* --- one call ------------------------------------------------------------------------------------ */

/* Sends a request with @arg[0..@size). Returns the error of the answer, 0 or less. */
static int call(struct session *c, uint32_t opcode, uint64_t node, const void *arg, size_t size)
{
	/* Exactly as long as it is, so that the sanitiser sees a read behind its end. */
	uint8_t *message = malloc(sizeof(struct fuse_in_header) + size);
	const struct fuse_out_header *out =
		(const struct fuse_out_header *)(const void *)(memory + 4096 - sizeof(*out));
	struct fuse_in_header header = {.len = (uint32_t)(sizeof(header) + size),
					.opcode = opcode,
					.nodeid = node,
					.unique = ++c->unique};
	int r;

	must(message);
	memcpy(message, &header, sizeof(header));
	if (size)
		memcpy(message + sizeof(header), arg, size);
	c->calls++;
	c->reply.data = memory + 4096;
	r = handle(&c->s, message, sizeof(header) + size, &c->reply);
	free(message);
	if (r <= 0)
		return r;
	must(out->unique == c->unique && out->len == sizeof(*out) + c->reply.size);
	must(out->error <= 0 && out->error > -512 && c->reply.size <= REPLY_MAX);
	must(!out->error || !c->reply.size);
	return out->error;
}

static int lookup(struct session *c, uint64_t node, const char *name, size_t len,
		  struct fuse_entry_out *ret)
{
	char arg[257];
	int r;

	memcpy(arg, name, len);
	arg[len] = '\0';
	r = call(c, FUSE_LOOKUP, node, arg, len + 1);
	if (!r) {
		must(c->reply.size == sizeof(*ret));
		memcpy(ret, c->reply.data, sizeof(*ret));
	}
	return r;
}

/* --- what is shown is what the strict reader finds ------------------------------------------------- */

static void compare_xattrs(struct session *c, const struct node *n, uint64_t node)
{
	const struct fuse_getxattr_in want = {.size = 65536};
	static char names[65536];
	size_t size;

	if (call(c, FUSE_LISTXATTR, node, &want, sizeof(want)) == -E2BIG)
		return;
	size = c->reply.size;
	memcpy(names, c->reply.data, size);
	for (size_t at = 0; at < size; at += strlen(names + at) + 1) {
		const char *name = names + at;
		char arg[sizeof(want) + 400];
		unsigned int times = 0;
		bool found = false;

		if (strstr(name, ".overlay."))
			continue; /* marks may be there that the tree has not */
		for (size_t i = 0; i < size; i += strlen(names + i) + 1)
			times += !strcmp(names + i, name);
		if (times > 1)
			continue; /* the kernel takes the first, the tree the last */
		memcpy(arg, &want, sizeof(want));
		strcpy(arg + sizeof(want), name);
		must(call(c, FUSE_GETXATTR, node, arg, sizeof(want) + strlen(name) + 1) == 0);
		for (uint32_t i = 0; n->xattrs && i < n->xattrs->nr; i++) {
			const struct xattr *x = n->xattrs->xattr[i];

			if (x->name_len == strlen(name) && !memcmp(x->name, name, x->name_len))
				found = x->value_len == c->reply.size &&
					!memcmp(x->value, c->reply.data, c->reply.size);
		}
		must(found);
	}
}

static void compare_data(struct session *c, const struct node *n, uint64_t node)
{
	const struct fuse_read_in all = {.size = REPLY_MAX}, part = {.size = 10, .offset = 3};

	if (S_ISLNK(n->mode)) {
		must(call(c, FUSE_READLINK, node, NULL, 0) == 0);
		must(c->reply.size == n->size &&
		     !memcmp(c->reply.data, n->symlink.target, (size_t)n->size));
	} else if (node_is_external(n)) {
		must(call(c, FUSE_READ, node, &all, sizeof(all)) == -EIO); /* no store has it */
	} else if (S_ISREG(n->mode)) {
		must(call(c, FUSE_READ, node, &all, sizeof(all)) == 0);
		must(c->reply.size == n->size &&
		     (!n->size || !memcmp(c->reply.data, n->inl.content, (size_t)n->size)));
		must(call(c, FUSE_READ, node, &part, sizeof(part)) == 0);
		must(c->reply.size == (n->size > 3 ? MIN(n->size - 3, 10u) : 0));
	}
}

static void compare_tree(struct session *c, const struct tree *t)
{
	static uint64_t nodes[CALLS_MAX];

	if (t->nr_entries > ARRAY_SIZE(nodes))
		return;
	for (const struct node *n = t->root; n; n = tree_next(t, t->root, n)) {
		const struct node *in = node_inode(n);
		struct fuse_entry_out e;
		int r;

		if (!n->parent) {
			nodes[n->index] = VIEW_ROOT;
			continue;
		}
		r = lookup(c, nodes[n->parent->index], n->name, n->name_len, &e);
		if (in->size > INT64_MAX && r == -EOVERFLOW)
			continue; /* no file of the kernel's is that large */
		must(r == 0);
		nodes[n->index] = e.nodeid;
		if (node_is_whiteout(in)) {
			must(!e.nodeid || (S_ISREG(e.attr.mode) && !e.attr.size));
			continue;
		}
		must(e.nodeid && e.attr.mode == in->mode && e.attr.nlink == in->nlink);
		must(e.attr.uid == in->uid && e.attr.gid == in->gid);
		must((int64_t)e.attr.mtime == in->mtime && e.attr.mtimensec == in->mtime_nsec);
		if (S_ISREG(in->mode) || S_ISLNK(in->mode))
			must(e.attr.size == in->size);
		if (S_ISCHR(in->mode) || S_ISBLK(in->mode))
			must(e.attr.rdev == in->device.rdev);
		compare_data(c, in, e.nodeid);
		compare_xattrs(c, in, e.nodeid);
	}
}

/* --- lists ------------------------------------------------------------------------------------------ */

/* Goes through one answer. Returns where the list goes on; 0: it was the end. */
static uint64_t take_list(struct session *c, bool plus, size_t room, uint64_t *subdirectories,
			  unsigned int *nr)
{
	uint64_t next = 0;
	size_t at = 0;

	must(c->reply.size <= room);
	while (at < c->reply.size) {
		const size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
		const struct fuse_dirent *d;

		must(c->reply.size - at >= head);
		d = (const struct fuse_dirent *)(const void *)(memory + 4096 + at + head -
							       FUSE_NAME_OFFSET);
		must(d->namelen && d->namelen < 256 && !memchr(d->name, '/', d->namelen));
		must(d->off > next);
		next = d->off;
		at += FUSE_DIRENT_ALIGN(head + d->namelen);
		must(at <= c->reply.size);
		if (d->type == S_IFDIR >> 12 && d->name[0] != '.' && *nr < 64)
			subdirectories[(*nr)++] = d->ino;
	}
	return next;
}

static void list_all(struct session *c)
{
	uint64_t waiting[64] = {VIEW_ROOT};
	unsigned int nr = 1;

	while (nr && c->calls < CALLS_MAX) {
		const uint64_t node = waiting[--nr];
		const bool plus = nr % 2;
		struct fuse_read_in in = {.size = plus ? 4096 : 1000};
		uint64_t next;

		do {
			if (call(c, plus ? FUSE_READDIRPLUS : FUSE_READDIR, node, &in, sizeof(in)))
				break;
			next = take_list(c, plus, in.size, waiting, &nr);
			must(!next || next > in.offset);
			in.offset = next;
		} while (next && c->calls < CALLS_MAX);
	}
}

/* --- anything ---------------------------------------------------------------------------------------- */

static void call_anything(struct session *c, const uint8_t *data, size_t size)
{
	static const uint8_t opcodes[] = {
		FUSE_LOOKUP,  FUSE_GETATTR,   FUSE_READLINK, FUSE_READ,         FUSE_GETXATTR,
		FUSE_READDIR, FUSE_LISTXATTR, FUSE_STATFS,   FUSE_READDIRPLUS,  FUSE_OPEN,
		FUSE_FORGET,  FUSE_INTERRUPT, FUSE_LSEEK,    FUSE_BATCH_FORGET, 0,
	};
	uint64_t x = size * 0x9e3779b97f4a7c15 + 1;

	for (unsigned int i = 0; i < RANDOM_CALLS; i++) {
		uint8_t arg[80];
		size_t at, len;

		x = x * 6364136223846793005 + 1442695040888963407;
		at = (size_t)(x >> 20) % size;
		len = MIN((size_t)(x >> 8) % sizeof(arg), size - at);
		memcpy(arg, data + at, len);
		(void)call(c, opcodes[(x >> 40) % sizeof(opcodes)], x >> 33 & 1 ? at / 32 : x >> 30,
			   arg, len);
		if (c->reply.size > sizeof(struct fuse_attr_out) && len >= 20 &&
		    opcodes[(x >> 40) % sizeof(opcodes)] == FUSE_READ)
			must(c->reply.size <=
			     ((const struct fuse_read_in *)(const void *)arg)->size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct session c;
	const struct fuse_init_in init = {.major = 7,
					  .minor = 40,
					  .flags = FUSE_INIT_EXT,
					  .flags2 = PROTOCOL_PASSTHROUGH >> 32};
	const struct reader_options options = {0};
	struct tree *tree = NULL;

	for (unsigned int flags = 0; flags <= VIEW_METADATA; flags += VIEW_METADATA) {
		memset(&c, 0, sizeof(c));
		c.s.options = &c.options;
		c.s.statfs_fd = -1;
		c.s.trusted = true;
		c.s.view.flags = flags | VIEW_ACL;
		if (image_open(&c.s.view.img, data, size, NULL) < 0)
			return 0;
		must(reader_new(NULL, 0, &options, &c.s.reader) == 0);
		(void)pthread_mutex_init(&c.s.log_lock, NULL);
		(void)pthread_mutex_init(&c.s.opens_lock, NULL);
		c.s.dev = -1;
		c.s.passthrough = true;
		must(call(&c, FUSE_GETATTR, 1, NULL, 0) == -EIO); /* not before INIT */
		must(call(&c, FUSE_INIT, 0, &init, sizeof(init)) == 0);
		if (!flags && !image_load(&c.s.view.img, 0, NULL, &tree, NULL)) {
			compare_tree(&c, tree);
			tree_free(tree);
		}
		c.calls = 0;
		list_all(&c);
		call_anything(&c, data, size);
		survey(&c.s);
		call_anything(&c, data, size);
		passthrough_fini(&c.s);
		reader_free(c.s.reader);
	}
	return 0;
}
