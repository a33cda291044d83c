/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The locks of a containers-storage, as podman, buildah and CRI-O take them: fcntl locks on all of a file beside each list,
 * shared by who reads the list or what it is about, exclusive by who changes that, also while they unpack a layer.
 */
#ifndef OCI_STORAGE_LOCK_H
#define OCI_STORAGE_LOCK_H

#include "base/error.h"

#define STORAGE_PATIENCE_MS 30000 /* then its user is asked */

/* Asked some ten times a second while another one has the lock; a negative errno, with words, ends the waiting. */
typedef int (*storage_wait_fn)(void *arg, struct cairn_error *err);

/* Takes the lock @path below @dirfd, shared. @place: how @dirfd is called in messages; @wait: may be NULL. Returns a descriptor,
 * to be closed when the lock is not needed any more; -ENOENT: nobody has made that file, or it cannot be
 * locked; -EBUSY, and says who has it, after @patience_ms; what @wait returned; or another negative errno. */
int storage_lock(int dirfd, const char *place, const char *path, unsigned int patience_ms,
		 storage_wait_fn wait, void *arg, struct cairn_error *err);

#endif
