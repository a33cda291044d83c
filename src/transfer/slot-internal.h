/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * One download at a time.
 *
 *  1. Up to SLOT_MEMORY bytes are kept in memory until they are verified, if it is known that there
 *     are no more.
 *  2. More go to STORE/cairn/partial/DIGEST, which stays when the fetch ends early, and from the end of
 *     which the next one goes on. It is locked while it is written; who does not get the lock
 *     writes a file without a name instead.
 *  3. Bytes become an object only after they were found to have its digest. The second time that they
 *     have not, the fetch fails.
 */
#ifndef TRANSFER_SLOT_INTERNAL_H
#define TRANSFER_SLOT_INTERNAL_H

#include "sys/http.h"
#include "transfer/transfer.h"

#define SLOT_MEMORY   (1u << 20)
#define SLOT_ATTEMPTS 2
#define SLOT_SIZE_MAX                                                                              \
	((uint64_t)64 << 30) /* of a content whose size nobody knows: a large disk image */

struct fetch {
	struct cairn_store *to;
	const struct cairn_transfer_options *options;
	struct http *http;
	char *url;   /* of the store, without a slash at the end */
	int partial; /* STORE/cairn/partial; -1: there is none */
	uint64_t files, bytes, received;
	uint64_t total_files, total_bytes; /* 0: not known yet */
	/* Where the digests of the store's algorithm go that those of @wants have (transfer_copy()); NULL: nowhere. */
	const struct wants *wants;
	uint8_t *digests;
	/* Gets what comes; NULL: the store does. */
	int (*take)(void *arg, const struct cairn_digest *id, int fd);
	void *take_arg;
};

struct slot {
	struct fetch *fetch;
	struct http_request request; /* .arg is the slot */
	const struct want *want;
	char *url;
	unsigned int attempts;
	int fd;      /* of a large content; -1: it is in memory */
	uint64_t at; /* bytes that are in @fd */
	bool named;  /* @fd has a name in partial/ */
	char name[CAIRN_DIGEST_HEX_MAX];
};

/* Begins to download @want. Returns 0 or a negative errno. */
int slot_start(struct slot *s, struct fetch *f, const struct want *want, struct cairn_error *err);

/* Whether what slot_finish() returned, @r, says that the server has not this object, or not the right one;
 * then nothing is kept of it. */
bool slot_lacks(struct slot *s, int r);

/* The request has ended. Returns 1: the object is in the store, and is new; 0: it was there meanwhile;
 * -EAGAIN: it was started again; or another negative errno. */
int slot_finish(struct slot *s, struct cairn_error *err);

void slot_fini(struct slot *s);

/* The folder for partial downloads, without those that nobody went on with for a week. -1: none. */
int partial_open(const struct cairn_store *s);

#endif
