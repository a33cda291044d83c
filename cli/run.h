/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * cairn run: a command with an image as its root.
 *
 *	cairn run ── the user namespace, the mounts ── init (process 1 of its namespace) ── the command
 *	        └── the server, where names or contents come from one
 *
 * run_namespace.c makes the namespaces, run_root.c what is in them, run_init.c the processes.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <sys/types.h>

#include "mount_request.h"

/* What cairn run fails with; any other exit status is the command's. As env(1) and podman(1) have it. */
enum run_status {
	RUN_FAILED = 125,
	RUN_NOT_EXECUTABLE = 126,
	RUN_NOT_FOUND = 127,
};

/* A directory or file of this machine that is to be seen inside. */
struct run_bind {
	char *from, *to; /* absolute */
	bool read_only;
};

struct run {
	struct mount_request *request;
	const char *image;
	const char *upper; /* kept changes; NULL: none are kept */
	bool read_only;    /* no changes at all */
	bool verbose;
	struct run_bind binds[OPT_LIST_MAX];
	unsigned int nr_binds;
	const char *directory; /* where the command starts */
	char **environment;    /* ends with NULL */
	char **command;        /* ends with NULL */

	bool user;    /* in a user namespace */
	pid_t server; /* 0: none */
	int proc; /* a /proc of the new process namespace, attached nowhere; -1: none can be made */
};

/* All of these return 0, or RUN_FAILED after telling why. */

/* Moves this process into a user namespace where it is root (unless it is root of the machine, and may
 * mount images), and into a mount namespace. */
int run_enter_namespaces(struct run *r);

/* Mounts the image, and the upper layer over it, on RUN_STAGE "/root". */
int run_mount_root(struct run *r);

/* In the process namespace: /proc, /dev, /sys and the binds; then it is the root. */
int run_enter_root(struct run *r);

/* Starts init and in it the command, passes signals on, waits. Returns the exit status of the command. */
int run_processes(struct run *r);

/* A directory that is always there, and that nobody needs in here: a tmpfs hides it, with the mounts. */
#define RUN_STAGE "/proc/fs"

#endif
