/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Names in a store: images/ and streams/, and the references to what is in them (repository §1, §7).
 *
 *	images/ID           -> ../objects/XX/YYYY…
 *	images/refs/A/B     -> ../../ID
 *	streams/NAME        -> ../objects/XX/YYYY…
 *	streams/refs/A/B    -> ../../NAME
 *
 *  1. A name is there whole, with its target, or not at all; a name that moves does so in one step.
 *  2. What a name points to is durable before the name appears; the name, and the directories above
 *     it, are durable when the function returns.
 *  3. Nothing below these directories is opened through a symbolic link, and a link is never followed
 *     by the kernel: its text is read, and must have exactly the shape above.
 */
#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include "store/store.h"

enum store_kind { STORE_IMAGES, STORE_STREAMS };

#define STORE_NAME_MAX 255  /* bytes of a component */
#define STORE_REF_MAX  1024 /* bytes of a reference's name: deeper than that nobody sorts */
#define STORE_TARGET_MAX                                                                           \
	2048 /* bytes of a link's text: "../" for each part of a name, and an entry */

/* Whether @name may be given to a reference: components of 1 to 255 bytes of UTF-8 without control
 * characters, parted by single slashes, none of them . or ..; no digest, and not "ref:…". Returns 0 or
 * -EINVAL (USAGE) and says why. Others may have made other names: those can be read and dropped. */
int store_check_name(const char *name, struct cairn_error *err);

/* The name of an entry of @kind that a digest has. */
int store_check_entry(const char *name, struct cairn_error *err);

/* Makes the entry @name of @kind point to object @id, which must be durable. An entry that is there is
 * replaced. Returns 0 or a negative errno. */
int store_set_entry(struct cairn_store *s, enum store_kind kind, const char *name,
		    const struct cairn_digest *id, struct cairn_error *err);

/* The object that entry @name points to. Returns 0; -ENOENT; -EINVAL (FORMAT): not such a link. */
int store_entry(const struct cairn_store *s, enum store_kind kind, const char *name,
		struct cairn_digest *ret, struct cairn_error *err);

/* Makes reference @name point to entry @target. With @replace, whatever it pointed to before; else
 * -EEXIST (USAGE) if it points elsewhere. Returns 0 or a negative errno. */
int store_set_ref(struct cairn_store *s, enum store_kind kind, const char *name, const char *target,
		  bool replace, struct cairn_error *err);

/* The entry that reference @name points to, into @ret[STORE_NAME_MAX + 1]. Whether it is there is not
 * asked. Returns 0; -ENOENT; -EINVAL (FORMAT): not such a link. */
int store_ref(const struct cairn_store *s, enum store_kind kind, const char *name, char *ret,
	      struct cairn_error *err);

/* Removes reference @name, and directories that it leaves empty. Returns 0, -ENOENT, … */
int store_drop_ref(struct cairn_store *s, enum store_kind kind, const char *name,
		   struct cairn_error *err);

/* Removes the entry @name itself; references to it then point nowhere. */
int store_drop_entry(struct cairn_store *s, enum store_kind kind, const char *name,
		     struct cairn_error *err);

/* Names that are given together: objects are made durable first, then the entries, then the references, with one
 * wait for each of the three. Nothing is there before names_batch_commit(). The arguments are those of
 * store_set_entry() and store_set_ref() with @replace. */
struct names_batch;
int names_batch_new(struct cairn_store *s, struct names_batch **ret);
void names_batch_free(struct names_batch *b);
DEFINE_CLEANUP(struct names_batch *, names_batch, names_batch_free)
int names_batch_entry(struct names_batch *b, enum store_kind kind, const char *name,
		      const struct cairn_digest *id, struct cairn_error *err);
int names_batch_ref(struct names_batch *b, enum store_kind kind, const char *name,
		    const char *target, struct cairn_error *err);
int names_batch_copy(const struct names_batch *b, struct names_batch **ret);
/* Does nothing if it is empty. Includes store_sync(). Returns 0 or a negative errno; some of the names may have been given then. */
int names_batch_commit(const struct names_batch *b, struct cairn_error *err);

/* One name of a list. */
struct store_name {
	enum store_kind kind;
	const char *name;       /* of the entry, or of the reference without "refs/" */
	const char *target;     /* reference: the entry; "" when it is malformed */
	struct cairn_digest id; /* entry: the object; alg 0 when it is malformed */
	const char *problem;    /* NULL, or why it is malformed */
};

typedef int (*store_name_fn)(void *arg, const struct store_name *name);

/* Calls @fn for every entry of @kind, or every reference, in the order of the bytes of their names.
 * Malformed ones are told, not refused. Returns 0, what @fn returned, or a negative errno. */
int store_list_entries(const struct cairn_store *s, enum store_kind kind, store_name_fn fn,
		       void *arg, struct cairn_error *err);
int store_list_refs(const struct cairn_store *s, enum store_kind kind, store_name_fn fn, void *arg,
		    struct cairn_error *err);

/* "images" */
const char *store_kind_name(enum store_kind kind);

/* --- container images (repository §9) -------------------------------------------------------- */

#define STORE_MANIFEST_PREFIX "oci-manifest-"

/* The reference below streams/refs that @tag has: "oci/" and the tag, '/' and '%' escaped. Returns 0 or -EINVAL
 * (USAGE): there can be none. */
int store_tag_entry(const char *tag, char out[STORE_REF_MAX + 1], struct cairn_error *err);

/* The tag that @ref, a reference to a stream, is: it names the stream of a manifest. Returns whether it is one. */
bool store_tag_of(const struct store_name *ref, char out[STORE_REF_MAX + 1]);

/* --- images ---------------------------------------------------------------------------------- */

/* As cairn_store_resolve() and cairn_store_open_image(). */
int store_resolve(const struct cairn_store *s, const char *text, struct cairn_digest *ret,
		  struct cairn_error *err);
/* Lets nothing collect the image @id, nor anything that it needs, until the store is closed; all of it
 * must be there. Returns 0; -ENOENT: something is missing; or another negative errno. */
int store_use_image(struct cairn_store *s, const struct cairn_digest *id, struct cairn_error *err);

/* The same of a split stream and the objects that it refers to. */
int store_use_stream(struct cairn_store *s, const struct cairn_digest *id, struct cairn_error *err);

int store_open_image(const struct cairn_store *s, const struct cairn_digest *id,
		     struct cairn_error *err);

#endif
