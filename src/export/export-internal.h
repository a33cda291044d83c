/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What the files of this room share.
 *
 *	directory.c  the order of things: directories, what is in them, hard links, directories' facts
 *	facts.c      owner, xattrs, mode, times of one file
 *	content.c    the bytes of one file, and where they come from
 *	archive.c    a tar stream
 *	acl.c        ACLs as text, for tar
 */
#ifndef EXPORT_EXPORT_INTERNAL_H
#define EXPORT_EXPORT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "export/export.h"
#include "tree/tree.h"

struct export
{
	const struct tree *tree;
	const struct cairn_export_options *options;
	enum cairn_alg alg;       /* of the digests; 0: there are none */
	int root;                 /* directory that is being filled */
	const struct node **dirs; /* directories, parents first */
	uint32_t nr_dirs;

	atomic_ullong names, files, bytes, cloned, refused[CAIRN_REFUSED_KINDS];
	atomic_bool no_clone; /* blocks cannot be shared here */

	/* Over the failure of the lowest index, and over the callback. */
	pthread_mutex_t lock;
	size_t failed;
	struct cairn_error error;
};

/* "VERB PATH: words", about @n. Returns err->code. */
int export_errno(struct cairn_error *err, int code, const char *verb, const struct node *n);

/* Notes that something of @n was refused. */
void export_refuse(struct export *x, const struct node *n, enum cairn_refused what,
		   const char *xattr, int code);

/* Whether the kernel says that we may not, or that the file system cannot. */
bool export_is_refusal(int code);

/* Reports progress from worker 0. Returns 0 or -ECANCELED with words. */
int export_progress(struct export *x, unsigned int worker, struct cairn_error *err);

/* A file whose facts are to be set. */
struct place {
	int dirfd;
	const char *name;
	int fd; /* the file itself, where it is open; else -1 */
};

/* Owner, xattrs, mode, times. Returns 0 or a negative errno. */
int export_facts(struct export *x, const struct node *n, const struct place *p,
		 struct cairn_error *err);

/* Fills the empty file @fd with the content of @n, verified when this returns 0. */
int export_content(struct export *x, unsigned int worker, const struct node *n, int fd,
		   struct cairn_error *err);

/* Writes the content of @n, each piece only after all of it was verified. */
int export_write_content(struct export *x, const struct node *n, cairn_write_fn write, void *arg,
			 struct cairn_error *err);

/* The text of the ACL @value[0..@size), as setfacl(1) takes it in one line; -EINVAL: it is none. */
#define ACL_TEXT_MAX 65536
int acl_to_text(const void *value, size_t size, char out[ACL_TEXT_MAX]);

#endif
