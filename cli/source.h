/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * SOURCE, as `build`, `digest` and `diff` take it: a directory; an image or a tar archive, plain or
 * compressed (told by their first bytes); a dump text (every other file); an image in a store (image.h);
 * or `-`, a dump text or image on standard input. `tar:FILE` is a tar archive whatever it looks like,
 * `tar:-` one on standard input.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "cli.h"
#include "image.h"
#include "progress.h"

enum source_kind { SOURCE_DIRECTORY = 1, SOURCE_IMAGE, SOURCE_DUMP, SOURCE_TAR };

struct source {
	const char *name; /* as the user gave it */
	enum source_kind kind;
	int fd;
	int format;               /* of an image; else -1 */
	unsigned int load_flags;  /* enum cairn_load_flags, for an image */
	struct image_found image; /* where it was found; its fd is not used */
};

/* Options that say how a source is read. */
struct source_args {
	unsigned int flags;   /* enum cairn_scan_flags, directories only */
	unsigned int jobs;    /* 0: as many as there are processors for us */
	unsigned int profile; /* tar only; enum cairn_profile, 0: runtime */
	bool layer;           /* tar only: with its marks, to be merged */
	bool strict;          /* dump text only */
	bool quiet;
};

#define PROFILE_CHOICES "composefs|runtime" /* in the order of enum cairn_profile */

#define OPTS_SOURCE(type, field)                                                                   \
	OPT_BITS(type, field.flags, 0, "use-epoch", CAIRN_SCAN_USE_EPOCH,                          \
		 "set every modification time to 1970"),                                           \
		OPT_BITS(type, field.flags, 0, "skip-devices", CAIRN_SCAN_SKIP_DEVICES,            \
			 "leave out block and character devices"),                                 \
		OPT_BITS(type, field.flags, 0, "skip-xattrs", CAIRN_SCAN_SKIP_XATTRS,              \
			 "leave out extended attributes"),                                         \
		OPT_BITS(type, field.flags, 0, "user-xattrs", CAIRN_SCAN_USER_XATTRS,              \
			 "keep only extended attributes named user.*"),                            \
		OPT_BITS(type, field.flags, 0, "split-hardlinks", CAIRN_SCAN_SPLIT_HARDLINKS,      \
			 "make each name of a hard-linked file a file of its own"),                \
		OPT_BITS(type, field.flags, 'x', "one-file-system", CAIRN_SCAN_ONE_FILE_SYSTEM,    \
			 "do not enter other file systems"),                                       \
		OPT_CHOICE(type, field.profile, 0, "profile", "PROFILE", PROFILE_CHOICES,          \
			   "whose rules a tar archive is read by (default: runtime)"),             \
		OPT_BOOL(type, field.strict, 0, "strict", 1,                                       \
			 "refuse dump text that is only read by tolerance"),                       \
		OPT_BOOL(type, field.strict, 0, "lenient", 0,                                      \
			 "read dump text as mkcomposefs does (default)"),                          \
		OPT_COUNT(type, field.jobs, 'j', "jobs", 1024,                                     \
			  "threads (default: one for each processor)"),                            \
		OPT_BOOL(type, field.quiet, 'q', "quiet", 1, "no progress, no summary")

#define OPT_ALG(type, field, help) OPT_CHOICE(type, field, 0, "alg", "ALG", "sha256|sha512", help)

#define OPT_STORES(type, field)                                                                    \
	OPT_DIRS(type, field, 's', "store", "DIR",                                                 \
		 "store to look for an image in, may be given several times")

/* --format: the enum cairn_format of @choice, place in the list. */
#define FORMAT_CHOICES "auto|0|1|2|v0|v1|v2"
int format_of_choice(unsigned int choice);

/* "V1" */
const char *format_name(int format);
/* "sha256" */
const char *alg_name(unsigned int alg);

/* Threads to use for @jobs, the option's value. */
unsigned int jobs_of(unsigned int jobs);

/* Opens @name and tells what it is. @stores: where images of that name are looked for, NULL: the default
 * store. Returns EXIT_DONE, or an exit status after telling why not. */
int source_open(const char *name, const struct opt_list *stores, struct source *ret);
void source_close(struct source *s);

/* EXIT_USAGE, and says so, when @a has an option that concerns none of the @nr sources. */
int source_check_args(const struct source *s, size_t nr, const struct source_args *a);

/* Whether contents are read, so that there are digests to choose and objects to store. */
static inline bool source_has_contents(const struct source *s)
{
	return s->kind == SOURCE_DIRECTORY || s->kind == SOURCE_TAR;
}

/* Reads the tree. Of a directory or a tar archive: with digests @algs, into @store (both as struct
 * cairn_scan_options), counting in @ret_scan (may be NULL).
 * Returns EXIT_DONE, or an exit status after telling why not. */
int source_load(const struct source *s, const struct source_args *a, unsigned int algs,
		struct cairn_store *store, struct cairn_tree **ret,
		struct cairn_scan_result *ret_scan);

/* source_open() and source_load() in one, for commands without options about the source. */
int source_tree(const char *name, const struct opt_list *stores, struct cairn_tree **ret);

/* The same, and the stores for its contents: @stores, or where it was found. */
int source_tree_stores(const char *name, const struct opt_list *stores, struct cairn_tree **ret,
		       struct store_list *ret_stores);

/* The algorithm of the digests in @tree, 0 when there is none. */
unsigned int source_alg(const struct cairn_tree *tree);

DEFINE_CLEANUP(struct cairn_tree *, tree, cairn_tree_free)
DEFINE_CLEANUP(struct cairn_store *, store, cairn_store_close)
#define cleanup_tree  __attribute__((__cleanup__(cleanup_tree_p)))
#define cleanup_store __attribute__((__cleanup__(cleanup_store_p)))

static inline void cleanup_source_p(struct source *s)
{
	source_close(s);
}
#define cleanup_source __attribute__((__cleanup__(cleanup_source_p)))
#define SOURCE_INIT                                                                                \
	{                                                                                          \
		.fd = -1                                                                           \
	}

#endif
