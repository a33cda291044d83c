/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Leases: what who is at work on a store must not lose to a collection (docs/design/gc.md).
 *
 * A writer has a file below STORE/cairn/leases, locked by its open file description as long as it lives,
 * and notes in it every object before it looks whether the object is there. A collector has one too, so
 * that writers know that there is one.
 *
 *  1. A writer notes an object, then looks; a collector closes a part of the store (one of 256, by the
 *     first byte), then reads all notes, then removes what nobody noted, then opens it again. A writer
 *     that finds the part closed waits until it is open. So either the collector sees the note, or the
 *     writer sees that the object is gone.
 *  2. A writer's notes outlive it while a collector lives that may have read the references before the
 *     writer set its own. Collectors are numbered as they begin, and the dead get a number after they were
 *     seen dead: whoever has a larger one began later.
 *  3. A lease is visible before its first note; a collector's before it reads the first reference.
 *  4. Nothing of it needs to survive a power cut: who had it is dead then.
 */
#ifndef STORE_LEASE_H
#define STORE_LEASE_H

#include <stdatomic.h>

#include "store/keyset.h"
#include "store/store.h"

enum lease_kind { LEASE_WRITER, LEASE_COLLECTOR };

struct lease {
	int dirfd;                     /* STORE/cairn/leases */
	int fd;                        /* our file, locked */
	int gate;                      /* STORE/cairn/leases/gate: a byte to lock for each part */
	const _Atomic uint8_t *closed; /* the same, mapped: 1 while a part is closed; NULL: ask */
	_Atomic uint64_t nr;           /* notes so far */
	char name[32];
};

/* Makes a lease. Returns 0; -ENOENT for a bare store, which has none; or a negative errno: then the
 * store's lock alone protects us. */
int lease_new(const struct cairn_store *s, enum lease_kind kind, struct lease **ret);

/* Ends it. NULL is fine. */
void lease_end(struct lease *l);

/* Notes the object (invariant 1). Returns 0 or a negative errno. Any number of threads. */
int lease_note(struct lease *l, const struct cairn_digest *id);

/* The same of many at once: @raw[0..@nr) are the first eight bytes of their digests. */
int lease_note_many(struct lease *l, const uint64_t *raw, size_t nr);

/* --- for the collector ----------------------------------------------------------------------- */

/* What is noted: keys. */
struct notes {
	struct keyset keys;
	struct notes_file {
		char name[32];
		uint64_t ino, read; /* notes read so far */
	} * files;
	size_t nr_files;
};

void notes_fini(struct notes *n);
bool notes_have(const struct notes *n, uint64_t key);

/* Reads what has been noted since the last call, by all that live or have lived since @l began. Returns
 * 0; -EUCLEAN: there is a lease that is not as ours are; or a negative errno. */
int lease_read_notes(const struct lease *l, struct notes *n);

/* The same for who only wants to know, without a lease and without writing. */
int lease_peek(const struct cairn_store *s, struct notes *n);

/* Closes part @part, waiting for other collectors; opens it. Only who has closed it may open it. */
int lease_close_part(const struct lease *l, uint8_t part);
void lease_open_part(const struct lease *l, uint8_t part);

/* Removes leases whose owners are gone, if no other collector needs them (invariant 2), and numbers the
 * others; opens parts that a collector left closed when it died. To be called after lease_new() and before the references are read, and again
 * at the end. Returns how many were removed. */
unsigned int lease_clean(const struct lease *l);

#endif
