/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Keeping a store in order: removing what nothing names (docs/design/gc.md), finding and mending damage
 * (docs/design/fsck.md).
 */
#ifndef CAIRN_MAINTAIN_H
#define CAIRN_MAINTAIN_H

#include <cairn/names.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cairn_gc_flags {
	CAIRN_GC_DRY_RUN = 1 << 0, /* only tell what would be removed; writes nothing */
	/* Also when nothing at all names anything in the store, so that all of it goes. */
	CAIRN_GC_EMPTY = 1 << 1,
	/* Ask no store that looks into this one (cairn_store_children()): what only they need goes. */
	CAIRN_GC_NO_CHILDREN = 1 << 2,
};

/* Something that a collection or a check wants to tell: one sentence, without a newline. */
typedef void (*cairn_note_fn)(void *arg, const char *text);

struct cairn_gc_options {
	unsigned int flags;               /* enum cairn_gc_flags */
	const struct cairn_digest *roots; /* images to keep beside those that references name */
	size_t nr_roots;
	const int *images; /* open image files elsewhere, whose objects are kept */
	size_t nr_images;
	unsigned int jobs;          /* threads; 0 or 1: only the caller's */
	unsigned int patience;      /* milliseconds to wait for tools that have the store locked */
	cairn_note_fn note;         /* may be NULL: dangling references and the like */
	void *note_arg;             /* of both */
	cairn_progress_fn progress; /* may be NULL: objects looked at, bytes removed */
};

struct cairn_gc_result {
	uint64_t objects;         /* in the store when it began */
	uint64_t removed_objects; /* or, without having been removed, garbage: see `blocked` */
	uint64_t removed_bytes;   /* what they took on disk */
	uint64_t removed_size;    /* bytes of their contents */
	uint64_t removed_images;  /* entries of images/ */
	uint64_t removed_streams; /* entries of streams/ */
	uint64_t leftovers;       /* files of writers that have died */
	uint64_t dangling;        /* references that name nothing */
	int blocked;              /* 1: others have the store locked, nothing was removed */
};

/* Removes from the store every object that no reference, image of @options, mounted image or process at
 * work on it needs, nor the same in a store that is known to look into it (cairn_store_children()), and the entries of images/ and streams/ that no reference leads to. Others may
 * read, fill and collect the store meanwhile. It can be interrupted at any moment and begun again.
 *
 * A reference that names nothing is told and skipped. An image or stream that cannot be read stops the
 * collection before anything is removed: its objects are not known.
 *
 * @ret: filled as far as it came, also on failure. Returns 0; -EBUSY: tools that know nothing of leases
 * have the store locked, @err says who, @ret what would have been removed; -ENOTEMPTY (USAGE): nothing
 * names anything, and EMPTY was not given; -EHOSTUNREACH: a child cannot be asked, nothing was removed; -EILSEQ (DIGEST), -EINVAL (FORMAT): an image that is not
 * what its name says; or another negative errno. */
CAIRN_API int cairn_store_gc(struct cairn_store *store, const struct cairn_gc_options *options,
			     struct cairn_gc_result *ret, struct cairn_error *err);

/* --- checking and mending -------------------------------------------------------------------- */

enum cairn_fsck_flags {
	CAIRN_FSCK_METADATA_ONLY = 1 << 0, /* do not read the contents of objects */
	CAIRN_FSCK_REPAIR = 1 << 1,        /* mend what can be; without it nothing is written */
	/* Only read the contents, on from where the last scrub stopped; where this one stops is noted. */
	CAIRN_FSCK_SCRUB = 1 << 2,
};

enum cairn_damage {
	CAIRN_DAMAGE_OBJECT = 1,  /* its content does not have its digest, or cannot be read */
	CAIRN_DAMAGE_MISSING = 2, /* an image or stream needs it, and it is not there */
	CAIRN_DAMAGE_VERITY = 3,  /* right, but without the fs-verity that it must have */
	CAIRN_DAMAGE_IMAGE = 4,   /* malformed, or not canonical */
	CAIRN_DAMAGE_STREAM = 5,  /* malformed */
	CAIRN_DAMAGE_NAME = 6,    /* an entry or reference that is malformed or leads nowhere */
	CAIRN_DAMAGE_STRAY = 7,   /* something that must not be where it is */
	CAIRN_DAMAGE_LEFTOVER =
		8, /* of a process that died; harmless, the next collection takes it */
};

/* What an object is needed for. */
struct cairn_use {
	const char *image; /* digest of the image, in hexadecimal; or the name of the stream */
	const char *path;  /* in the image; NULL: the image itself, or a stream */
};

struct cairn_finding {
	enum cairn_damage kind;
	const char *name;             /* digest in hexadecimal, or path below the store */
	const char *text;             /* what is wrong, a few words */
	const struct cairn_use *uses; /* of objects: what is hurt */
	size_t nr_uses;
	int repaired; /* it is right now */
};

struct cairn_fsck_options {
	unsigned int flags; /* enum cairn_fsck_flags */
	unsigned int jobs;
	struct cairn_store *const *from; /* REPAIR: where right objects may be found */
	size_t nr_from;
	const char *const
		*urls; /* REPAIR: then there, stores as `cairn_store_fetch()` takes them */
	size_t nr_urls;
	int plain_http; /* http:// from other machines too */
	uint64_t rate;  /* SCRUB: bytes a second; 0: as fast as can be */
	/* Gets every finding, objects in order of their digests. Returns 0 or a negative errno. */
	int (*finding)(void *arg, const struct cairn_finding *finding);
	void *arg;
	cairn_progress_fn progress; /* may be NULL: objects and bytes read, and all of them */
	void *progress_arg;
};

struct cairn_fsck_result {
	uint64_t objects; /* looked at */
	uint64_t bytes;   /* of them, read */
	uint64_t images, streams, refs;
	uint64_t damage;    /* findings but leftovers */
	uint64_t leftovers; /* of them harmless */
	uint64_t repaired;  /* of `damage` */
	int complete;       /* 0: a scrub that has not come to the end */
};

/* Checks everything in a store: the content of each object against its name, its fs-verity, every image,
 * stream and reference, and that everything that these need is there. Reads only, unless REPAIR is given:
 * then a bad object is put aside (STORE/cairn/quarantine), and the right one, if a store or URL of
 * @options has it, takes its place after it was verified. What an image needs that was mended itself is
 * looked for as well.
 * @ret: may be NULL. Returns 0, whatever was found: see @ret; -ECANCELED; or a negative errno when the
 * store cannot be checked, or, after all findings were told, a URL could not be asked. */
CAIRN_API int cairn_store_fsck(struct cairn_store *store, const struct cairn_fsck_options *options,
			       struct cairn_fsck_result *ret, struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
