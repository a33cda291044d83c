/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The lock that tools of the family share (repository §4), and what we do among ourselves.
 *
 * flock(2) on the store's directory: shared by whoever adds something, as long as it is not reachable
 * from a reference yet; exclusive by whoever removes. Who only reads takes none: what a reference
 * names is not removed.
 *
 * Our own collector does not need our own writers to go away: their leases (lease.h) say what they use.
 * So it removes when it has the exclusive lock, or when everybody who has the shared one also has a
 * lease. /proc/locks tells who has it.
 */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include "store/store.h"

#define LOCK_PATIENCE_MS 30000   /* for a collector of another tool; then its user is asked */
#define LOCK_PAUSE_NS    5000000 /* between two looks whether it is free */

/* Takes the shared lock on @fd, the directory of @s. Returns 0; -EBUSY, and says who has it exclusively,
 * after LOCK_PATIENCE_MS. A file system without locks has no collectors either: 0. */
int lock_shared(const struct cairn_store *s, int fd, struct cairn_error *err);

/* Who has locks on the store. */
struct lock_holders {
	bool known;      /* all of them are: /proc/locks shows every process of this machine */
	unsigned int nr; /* of those who have no lease for their lock */
	char text[200];  /* the first of them: "process 123 (cfsctl)" */
};

/* Finds out who holds a lock on @s beside those who hold as many on files below @leases (an open
 * directory; -1: none). @fd: our own lock, which must be seen there for the answer to be believed. */
void lock_look(const struct cairn_store *s, int fd, int leases, struct lock_holders *ret);

#endif
