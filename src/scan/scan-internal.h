/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What the files of this room share.
 *
 *	scan.c   begins and ends a scan; its errors
 *	work.c   who does what: each worker's own stack of tasks, one pool for what others lack
 *	chain.c  the directories that a worker has open
 *	list.c   one directory: its names become nodes, its subdirectories tasks
 *	file.c   one name that is not a directory: its facts
 *	content.c  the bytes of a regular file: read, hashed, stored
 *	links.c  which names are one file
 *	cached.c what is known of a file from earlier scans; cache-*.c: the bytes of that
 *
 * Invariants:
 *  1. A node is written by one worker at a time: by the one that lists its directory, then by the one
 *     that runs the task it is in, then (hard links) by the caller's thread when all have ended.
 *  2. Children are added to a directory only by the worker that lists it.
 *  3. A descriptor belongs to one worker and is closed in its thread, but for the root's, which all may
 *     use: threads may have tables of descriptors of their own.
 */
#ifndef SCAN_SCAN_INTERNAL_H
#define SCAN_SCAN_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "digest/verity.h"
#include "scan/scan.h"

/* --- directories and tasks ------------------------------------------------------------------- */

/* A directory of the source, for as long as the scan lasts. */
struct scan_dir {
	struct scan_dir *parent; /* NULL: the root */
	struct node *node;
	uint32_t depth; /* of the root: 0 */
	dev_t dev;      /* which directory it was when it was listed */
	ino_t ino;
};

/* Something to do: list @dir, or gather @nodes, which are entries of it and no directories. */
struct scan_task {
	struct scan_dir *dir;
	struct node **nodes; /* NULL: list */
	size_t nr;
};

#define SCAN_JOBS_MAX 256 /* workers; each has about 2 MiB of buffers */

#define TASK_ENTRIES                                                                               \
	256 /* entries of a task: a hundredth of a second of work at most when cached */

/* Tasks; both ends are used: the owner's is the newest, others get the oldest, likely the largest. */
struct task_stack {
	struct scan_task *tasks;
	size_t oldest, end, size;
};

int task_push(struct task_stack *s, struct scan_task task);
void task_stack_fini(struct task_stack *s);

/* --- hard links ------------------------------------------------------------------------------ */

/* Files that have several names, by device and inode number. */
struct link_table;

int links_new(struct link_table **ret);
void links_free(struct link_table *t);

/* Tells that @n is a name of the file @st. Returns 1: the first one seen, whose node gets the facts;
 * 0: another one, now marked as a hard link; -ESTALE: the file has changed since the first; -ENOMEM. Any
 * thread may call it. */
int links_claim(struct link_table *t, struct node *n, const struct stat *st);

/* Moves the facts of each file to the first of its names, and points the others there. Names must not
 * change any more. */
void links_resolve(struct link_table *t);

/* Order of paths: a directory before what is below it, siblings by the bytes of their names. */
bool node_precedes(const struct node *a, const struct node *b);

/* --- the scan -------------------------------------------------------------------------------- */

struct scan_cache;
struct cache_place;

/* A file to keep in the cache. */
struct cache_record {
	struct node *node;
	uint64_t ino, size;
	struct timespec mtime, ctime;
	uint16_t place;
	uint32_t known; /* entry + 1 that tells something of it already; 0: none */
};

struct scan {
	const struct cairn_scan_options *options;
	struct scan_cache *cache;     /* NULL: none */
	bool verify_cache;            /* read everything, and compare */
	const struct scan_sink *sink; /* NULL: none */
	unsigned int flags;
	unsigned int algs;
	unsigned int nr_algs;
	size_t digests_size;    /* bytes of a file's digests */
	unsigned int sink_slot; /* place of the sink's algorithm among them */
	const char *path;       /* of the root, for messages */
	int root_fd;
	dev_t root_dev;
	dev_t sink_dev; /* of the directory of objects */
	ino_t sink_ino;
	struct link_table *links;
	struct tree_shard *shards; /* one a worker */
	unsigned int nr_workers;

	/* Tasks that any worker may take. */
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct task_stack pool;
	atomic_int hungry;        /* workers without a task, less the tasks in the pool */
	atomic_size_t unfinished; /* tasks everywhere */

	/* The failure to report; under @lock but for the flags. */
	atomic_bool failing;       /* there is one: leave out what comes after it */
	atomic_bool stop;          /* leave out everything */
	const struct node *failed; /* NULL: not about a file */
	int code;
	struct cairn_error error;

	/* Counts so far. */
	atomic_ullong files, bytes;
	atomic_ullong new_objects, new_bytes, reflinked;
	atomic_ullong hits; /* contents that the sink had */
};

#define SMALL_MAX   (128u << 10) /* bytes; such files are hashed side by side from one buffer */
#define BATCH_FILES 256

/* A file whose content waits in the buffer to be hashed. */
struct small_file {
	struct node *node;
	const uint8_t *data;
	struct cairn_digest digests[VERITY_ALGS_MAX];
};

struct level {
	struct scan_dir *dir;
	int fd; /* -1: closed again */
};

struct worker {
	struct scan *scan;
	unsigned int id;
	struct tree_shard *shard;
	struct arena arena; /* of struct scan_dir */
	struct task_stack tasks;
	struct node **others; /* for the directory that is being listed */
	size_t max_others;

	/* The directory at hand is the last level, its ancestors those before. */
	struct level *chain;
	size_t nr_levels, max_levels;

	struct verity_batch *batch;
	struct small_file *small;
	unsigned int nr_small;
	uint8_t *buffer;
	size_t buffer_size, used;

	struct verity stream; /* for larger files; made at the first, as are these */
	uint8_t *piece;       /* PIECE bytes of such a file */
	uint8_t *whole;       /* HOLD_MAX bytes, when there is a sink */
	bool can_clone;       /* files of this device into the sink, if it is known */
	bool clone_known;
	dev_t clone_dev;

	struct cache_place *place; /* of w->dev in the cache; NULL: its times tell nothing */
	struct cache_record *records;
	size_t nr_records, max_records;
	const struct xattr_list **lists; /* of the cache, as they are in our shard */
	uint64_t cached;                 /* files */

	uint64_t files, bytes; /* not yet published */
	struct timespec since; /* the task at hand began then */
	bool ordinary;         /* its directory is on an ordinary file system */
	dev_t dev;             /* last file system asked for, and the answer */
	bool dev_ordinary;
	bool no_atime_refused; /* O_NOATIME is for owners */
	bool had_xattrs;       /* the last file */
	char *xattr_names;
	char *xattr_values;
	struct xattr_input *xattr_inputs;
	_Alignas(8) char entries[64 << 10];
};

/* Records a failure of the entry @n: "VERB PATH: words for @code", or "PATH: WORDS". The scan goes on
 * with what comes before @n in path order, so that the first failure is found; returns 0. */
int scan_fail_errno(struct worker *w, const struct node *n, int code, const char *verb);
int scan_fail(struct worker *w, const struct node *n, int code, enum cairn_error_kind kind,
	      const char *words);

/* Records a failure that ends the scan: @err, which is prepended by the path of @n. Returns its code. */
int scan_abort(struct worker *w, const struct node *n, struct cairn_error *err);
int scan_out_of_memory(struct worker *w);

/* Whether @n need not be looked at, because something before it has failed already. */
bool scan_skips(struct worker *w, const struct node *n);

/* Publishes what the worker has counted, and reports progress from the caller's thread. Returns 0 or
 * -ECANCELED. */
int scan_progress(struct worker *w);

/* Whether two looks at a file show the same content: whatever changes it changes one of these. */
static inline bool same_state(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Runs tasks until there are none. */
int worker_run(struct worker *w);

/* Makes @dir the directory at hand. @st: NULL if it was listed before; else its facts. Returns its
 * descriptor, which stays open until the next call, or a negative errno; -ESTALE: it is not the directory
 * any more that it was. */
int chain_open(struct worker *w, struct scan_dir *dir, struct stat *st);
void chain_close(struct worker *w);

/* place_is_ordinary() of the file system @dev, on which @fd is; and its place in the cache. */
bool on_ordinary(struct worker *w, dev_t dev, int fd);

int list_directory(struct worker *w, struct scan_dir *dir);

/* The facts of all inodes alike: times, owner, mode. */
void node_set_facts(struct worker *w, struct node *n, const struct stat *st);

/* The xattrs of @n, which is open at @fd, or (@name) is a name in the directory open there. */
int node_read_xattrs(struct worker *w, struct node *n, int fd, const char *name);

/* Whether @n is another name of a file that was seen already (1), or else 0; a negative errno ends the
 * scan. Failures of the file itself are recorded and give 1. */
int claim_name(struct worker *w, struct node *n, const struct stat *st);

/* The facts and content of @n, which is no directory, in the directory open at @dirfd. */
int gather_entry(struct worker *w, int dirfd, struct node *n);

/* Reads the start of the file open at @fd, all if it is small, before anything is known of it. *@ret:
 * bytes read. Returns 0, or a negative errno that ends the scan. */
int content_read_ahead(struct worker *w, int fd, size_t *ret);

/* The content of the regular file open at @fd, whose facts are @st. @ahead: bytes of it that the last
 * call was content_read_ahead() for, else 0. */
int content_read(struct worker *w, struct node *n, int fd, const struct stat *st, size_t ahead);

/* Gives @n the digests of its content, which are copied. */
int content_set_digests(struct worker *w, struct node *n, const uint8_t *digests);

/* --- the cache ------------------------------------------------------------------------------- */

/* Finds the place of the file system @dev, on which @fd is. */
void cache_enter(struct worker *w, dev_t dev, int fd);

/* Fills @n, which is no directory, from what is known of the file @st. Returns 1; 0: nothing is; or a
 * negative errno that ends the scan. */
int cached_entry(struct worker *w, struct node *n, const struct stat *st);

/* The same for the xattrs alone. */
int cached_xattrs(struct worker *w, struct node *n, const struct stat *st);

/* Notes what @n, the file @st, turns out to be, unless it was changed too short a time ago. */
int cache_note(struct worker *w, struct node *n, const struct stat *st);

/* At the end: has the sink keep what was taken on the word of its times, and looks at these once more.
 * Returns 0; -ESTALE: something is gone; or another negative errno. */
int cache_confirm(const struct scan *scan, struct cairn_error *err);

/* The first file in path order of which the cache says what is not so; NULL: none. */
const struct node *cache_refuted(const struct scan_cache *c);

/* Hashes and stores what waits. */
int content_flush(struct worker *w);

int content_init(struct worker *w);
void content_fini(struct worker *w);

#endif
