/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * tar: ustar, pax and what of GNU's extensions layers have (oci-layers §1-§3).
 *
 *	reading	bytes are pushed in, in pieces of any size; entries, their contents and all other bytes come
 *		out, so that a digest, a split stream and a tree are made in one pass
 *	writing	entries and contents go in, ustar with pax headers comes out
 *
 * Names, targets and attributes are bytes, as in the archive; what a path means is tar/layer.h's affair.
 */
#ifndef TAR_TAR_H
#define TAR_TAR_H

#include <cairn/error.h>

#include "base/buf.h"
#include "tree/tree.h"

#define TAR_BLOCK          512
#define TAR_SIZE_MAX       (INT64_MAX - 511) /* bytes of a content */
#define TAR_ID_MAX         (UINT32_MAX - 1)  /* uid, gid; the last one means "none" to Linux */
#define TAR_MAJOR_MAX      4095              /* Linux: 12 bits */
#define TAR_MINOR_MAX      1048575           /* and 20 */
#define TAR_EXTENSION_MAX  (1u << 20)        /* bytes of extension headers of one entry */
#define TAR_EXTENSIONS_MAX 16                /* extension headers of one entry */
#define TAR_XATTRS_MAX     256               /* extended attributes of one entry */

enum tar_type {
	TAR_FILE = '0',
	TAR_HARDLINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHARDEV = '3',
	TAR_BLOCKDEV = '4',
	TAR_DIRECTORY = '5',
	TAR_FIFO = '6',
};

enum tar_entry_flags {
	/* A file of type NUL whose name ends in a slash: to most a directory, from before there was a
	 * type for them. */
	TAR_OLD_DIRECTORY = 1 << 0,
	/* The fraction of the modification time is no number. */
	TAR_BAD_FRACTION = 1 << 1,
};

struct tar_entry {
	enum tar_type type;
	unsigned int flags; /* enum tar_entry_flags, reading only */
	const char *path;   /* as in the archive, 1 or more bytes, NUL behind, none inside */
	const char *target; /* of a link, likewise, may be "" */
	uint32_t path_len, target_len;
	uint32_t mode; /* 07777 */
	uint32_t uid, gid;
	uint32_t major, minor; /* devices */
	uint64_t size;         /* bytes of content, files only */
	int64_t mtime;         /* seconds, rounded down */
	uint32_t mtime_nsec;
	uint32_t first_nsec; /* reading: the fraction of the first of several records of the time */
	/* Writing: ACLs as text, for those who restore them from SCHILY.acl.*; may be NULL. */
	const char *acl_access, *acl_default;
	struct xattr_input *xattrs; /* in the order of the archive; of one name the last counts */
	size_t nr_xattrs;
	uint64_t offset; /* reading: of the header block in the stream */
};

/* --- reading --------------------------------------------------------------------------------- */

/* What a reader calls. Each may be NULL; each returns 0, or, to end the reading, a negative errno with
 * words in the error of the call that fed the reader. */
struct tar_handler {
	/* Bytes that are no content: headers, padding, what follows the end. A header's bytes come before
	 * its entry does. */
	int (*raw)(void *arg, const void *data, size_t size, struct cairn_error *err);

	/* An entry; what it points to is valid until the return. */
	int (*entry)(void *arg, const struct tar_entry *entry, struct cairn_error *err);

	/* The next bytes of the last entry's content; once with @size 0 and @end for an empty file, else
	 * @end comes with the last bytes. */
	int (*content)(void *arg, const void *data, size_t size, bool end, struct cairn_error *err);

	void *arg;
};

struct tar_reader;

/* Returns 0 or -ENOMEM. @handler is copied. */
int tar_reader_new(const struct tar_handler *handler, struct tar_reader **ret);
void tar_reader_free(struct tar_reader *r);

DEFINE_CLEANUP(struct tar_reader *, tar_reader, tar_reader_free)

/* Takes the next @size bytes. Returns 0; -EINVAL (kind FORMAT), naming entry and offset; -ENOTSUP (kind
 * UNSUPPORTED) for types and sparse files that layers cannot have; -EFBIG for a ceiling; -ENOMEM; or
 * what the handler returned. After an error the reader is of no more use than to be freed. */
int tar_reader_feed(struct tar_reader *r, const void *data, size_t size, struct cairn_error *err);

/* Instead of feeding the content: all @size bytes of it are somewhere else. The content handler is not
 * called. -EINVAL: no content of that size is due now. */
int tar_reader_skip(struct tar_reader *r, uint64_t size, struct cairn_error *err);

/* Bytes of content that are due before anything else is; 0: none. */
uint64_t tar_reader_due(const struct tar_reader *r);

/* The end of the stream. Returns 0, or -EINVAL where more must follow. */
int tar_reader_finish(struct tar_reader *r, struct cairn_error *err);

/* --- writing --------------------------------------------------------------------------------- */

/*
 * What is written depends on the entries alone. A pax header is written only for what ustar cannot say:
 * long names and targets, large numbers, times with fractions or before 1970, extended attributes
 * (SCHILY.xattr.*), ACLs as text (SCHILY.acl.*).
 */
struct tar_writer {
	cairn_write_fn write;
	void *arg;
	uint64_t offset; /* bytes written */
	uint64_t due;    /* bytes of content that must follow */
	uint32_t pad;    /* and zeros after them */
	struct buf pax;
};

#define TAR_WRITER_INIT(fn, fn_arg)                                                                \
	((struct tar_writer){.write = (fn), .arg = (fn_arg), .pax = BUF_INIT(TAR_EXTENSION_MAX)})

void tar_writer_fini(struct tar_writer *w);

#define cleanup_tar_writer __attribute__((__cleanup__(tar_writer_fini)))

/* The header of an entry; a directory gets the slash that its path lacks. Returns 0; -EINVAL (kind
 * UNSUPPORTED) for what tar cannot say; -EFBIG; or what the write function returned. */
int tar_write_entry(struct tar_writer *w, const struct tar_entry *entry, struct cairn_error *err);

/* The next bytes of its content: exactly the size of the entry in all. */
int tar_write_content(struct tar_writer *w, const void *data, size_t size);

/* All of its content went another way: what pads it. */
int tar_write_passed(struct tar_writer *w);

/* The two zero blocks at the end. */
int tar_write_end(struct tar_writer *w);

#endif
