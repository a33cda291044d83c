/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A server: the image, the objects, and what it has told already.
 *
 *	device ── request ──> handle() ── view (names, attributes) ──┐
 *	   ^                           └─ reader (contents) ─────────┤
 *	   └───────────────── reply ─────────────────────────────────┘
 *
 *  1. There is no state for a file or a directory: the number that the kernel has is the inode's place
 *     in the image, so that nothing grows with what is looked at, and forgetting is nothing to do.
 *  2. Everything but the log, the reader and what the survey finds is const once the server is ready.
 */
#ifndef FUSE_SERVER_INTERNAL_H
#define FUSE_SERVER_INTERNAL_H

#include <pthread.h>

#include "fuse/fuse.h"
#include "fuse/protocol-internal.h"
#include "fuse/view.h"
#include "store/reader.h"

/* Bytes of contents or names in one reply: what the kernel asks for at most (256 pages) by default. */
#define REPLY_MAX ((size_t)1 << 20)

/* Different faults that are told. */
#define FAULTS_MAX 1024

/* Of the table of open inodes, with passthrough. */
#define OPENS_BUCKETS 1024

/* What is known of the xattrs of all of the image. */
enum survey_facts {
	SURVEY_DONE = 1 << 0,
	SURVEY_ANY = 1 << 1,    /* there is one that is shown */
	SURVEY_LABELS = 1 << 2, /* there is a security.selinux */
};

struct server {
	struct view view;
	const struct cairn_fuse_options *options;
	struct reader *reader; /* NULL: contents are not served */
	int statfs_fd;         /* whose file system's numbers df shows; -1: none */
	bool trusted;          /* root, who is asked for trusted.*, is the machine's */
	bool check_access;     /* the kernel checks permissions */

	/* What was agreed with the kernel. */
	bool ready; /* INIT was answered */
	bool no_open;
	bool no_opendir;
	_Atomic bool
		passthrough; /* files are given to the kernel; first: it would be worth while */

	pthread_mutex_t opens_lock;
	struct open_inode *opens[OPENS_BUCKETS];
	int dev; /* the device, for that */

	_Atomic unsigned int survey; /* enum survey_facts */
	struct ahead *ahead;         /* NULL: nothing is read ahead */

	pthread_mutex_t log_lock;
	uint64_t faults[FAULTS_MAX];
	unsigned int nr_faults;
};

/* A reply that is being made: the header stands right before the data. */
struct reply {
	uint8_t *
		data; /* REPLY_MAX bytes, aligned to 4096; sizeof(struct fuse_out_header) before it */
	size_t size;
};

/* Answers the request in @message[0..@size). Returns 1: the reply, with its header, is to be sent; 0: there
 * is none; -EPROTO: no request, or a kernel that cannot be served. */
int handle(struct server *s, const void *message, size_t size, struct reply *reply);

/* One opcode each: returns 0 or a negative errno; fills the reply's data. @arg: what follows the header,
 * at least as long as the opcode's structure. */
struct call {
	const struct fuse_in_header *header;
	const void *arg;
	size_t arg_size;
	struct reply *reply;
};

int handle_lookup(struct server *s, const struct call *c);
int handle_readdir(struct server *s, const struct call *c, bool plus);
int handle_getxattr(struct server *s, const struct call *c);
int handle_listxattr(struct server *s, const struct call *c);
int handle_read(struct server *s, const struct call *c);
int handle_lseek(struct server *s, const struct call *c);

/* The inode that the call is about. Returns 0, or -EIO after telling why. */
int handle_inode(struct server *s, uint64_t node, struct inode *ret);

/* --- beginning and end ------------------------------------------------------------------------------ */

/* A flag of our own beside enum cairn_fuse_flags: only the user who mounted can look into the mount, and
 * the kernel leaves permissions to us, who allow him everything. */
#define FUSE_OWNER_ONLY (1u << 31)

/* Gives up what the server does not need. From then on, for good, this process and its threads can open
 * nothing but what is below the stores' objects and their cache of trees, write nothing but that, and
 * make only the calls that serving takes. Where the
 * kernel has no Landlock or no seccomp, the other one is left. Returns 0 or a negative errno. */
int sandbox_enter(const struct server *s, struct cairn_error *err);

/* Waits for a child. Returns its status, as waitpid() gives it. */
int fuse_reap(pid_t pid);

/* --- fusermount.c ---------------------------------------------------------------------------------- */

/* Lets fusermount3(1) mount on @target. Returns the device's descriptor or a negative errno. */
int fusermount_mount(const char *target, const struct cairn_fuse_options *options,
		     struct cairn_error *err);

/* --- handle-read.c --------------------------------------------------------------------------------- */

/* The object of the file with number @node, to be put by reader_put(). Returns 0; -ENODATA: its content is not
 * in an object; -EIO after telling why it cannot be had. */
int open_object(struct server *s, uint64_t node, struct reader_object **ret);

/* --- passthrough.c --------------------------------------------------------------------------------- */

/* In fh of what must be counted when it is closed. */
#define PASSTHROUGH_COUNTED 1

/* Opens the external file @node for the kernel. Returns 0 or -ENOMEM. */
int passthrough_open(struct server *s, uint64_t node, struct protocol_open_out *out);
void passthrough_release(struct server *s, uint64_t node);
void passthrough_fini(struct server *s);

/* --- ahead.c ---------------------------------------------------------------------------------------- */

int ahead_new(struct server *s, struct ahead **ret);
void ahead_free(struct ahead *a);
/* The file @in, with number @node, has been read from its beginning: if it was the next of a walk, gives the kernel
 * those that follow it. @a: NULL is fine. @in is changed. */
void ahead_read(struct ahead *a, uint64_t node, struct inode *in);

/* --- survey.c -------------------------------------------------------------------------------------- */

/* Walks the image. When it has seen all of it, s->survey tells. */
void survey(struct server *s);

/* --- log.c ----------------------------------------------------------------------------------------- */

/* Tells a fault of the inode with number @node, if @fault (any number that stands for it) was not told
 * before. Returns -EIO. */
int tell_fault(struct server *s, uint64_t node, uint64_t fault, const struct cairn_error *err);

#endif
