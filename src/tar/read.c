/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Reading tar (oci-layers §1-§3).
 *
 *  1. Every byte that is fed goes out once, as raw or as content, in order.
 *  2. Memory is a block, and the extension headers of one entry, which have a ceiling.
 *  3. A header has said all it says before the handler hears of its entry: what is refused is refused
 *     before any byte of content.
 */
#include <errno.h>
#include <string.h>

#include "tar/read-internal.h"

enum state {
	IN_HEADER,    /* at a block boundary, or inside of a block */
	IN_EXTENSION, /* the body of an extension header */
	IN_CONTENT,
	IN_PADDING, /* a header follows */
	AT_END,     /* two zero blocks were there */
};

/* Extension headers that wait for their entry. */
struct extensions {
	unsigned int nr;
	uint64_t size;                /* bytes of their bodies */
	struct buf pax, name, target; /* bodies */
	bool has_pax, has_name, has_target;
	struct buf *reading; /* of the one being read; NULL: one that is passed over */
};

struct tar_reader {
	struct tar_handler handler;
	enum state state;
	uint64_t offset;   /* of the next byte */
	uint64_t left;     /* IN_EXTENSION, IN_CONTENT, IN_PADDING: bytes of it to come */
	uint32_t pad;      /* and zeros after them */
	bool zero_padding; /* IN_PADDING: it must be zeros */
	bool last_padding; /* IN_PADDING: behind a content, it may be missing at the end */
	bool zero_block;   /* the last block was one */
	uint64_t header;   /* offset of the header being read */
	struct extensions ext;
	struct pax pax;
	struct buf path, target; /* of the entry, where they are not whole somewhere else */
	size_t nr_block;
	char block[TAR_BLOCK];
};

int tar_reader_new(const struct tar_handler *handler, struct tar_reader **ret)
{
	struct tar_reader *r = (struct tar_reader *)calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->handler = *handler;
	r->ext.pax = r->ext.name = r->ext.target = BUF_INIT(TAR_EXTENSION_MAX + 1);
	r->path = r->target = BUF_INIT(2 * TAR_BLOCK);
	*ret = r;
	return 0;
}

void tar_reader_free(struct tar_reader *r)
{
	if (!r)
		return;
	buf_fini(&r->ext.pax);
	buf_fini(&r->ext.name);
	buf_fini(&r->ext.target);
	buf_fini(&r->path);
	buf_fini(&r->target);
	free(r);
}

static enum cairn_error_kind kind_of(int code)
{
	return code == -ENOTSUP ? CAIRN_ERROR_UNSUPPORTED : CAIRN_ERROR_FORMAT;
}

/* Something is wrong with the header being read. */
static int bad_header(const struct tar_reader *r, struct cairn_error *err, int code,
		      const char *words)
{
	return error_set(err, code, kind_of(code), "tar header at byte %llu: %s",
			 (unsigned long long)r->header, words);
}

/* The same once its path is known. */
static int bad_entry(const struct tar_reader *r, struct cairn_error *err, int code,
		     const struct tar_entry *e, const char *words)
{
	char path[NODE_PATH_QUOTED_MAX];

	error_quote(e->path, MIN(e->path_len, 120u), path, sizeof(path));
	return error_set(err, code, kind_of(code), "%s%s (tar header at byte %llu): %s", path,
			 e->path_len > 120 ? "..." : "", (unsigned long long)r->header, words);
}

static int give_raw(struct tar_reader *r, const void *data, size_t size, struct cairn_error *err)
{
	return r->handler.raw && size ? r->handler.raw(r->handler.arg, data, size, err) : 0;
}

/* --- fields ---------------------------------------------------------------------------------- */

static int base256(const uint8_t *p, size_t size, int64_t *ret)
{
	bool negative = p[0] & 0x40;
	uint64_t v = negative ? UINT64_MAX : 0;

	for (size_t i = 0; i < size; i++) {
		uint8_t byte = i ? p[i] : (uint8_t)(negative ? p[0] : p[0] & 0x7f);

		/* What is shifted out may only be the sign. */
		if (v >> 55 != (negative ? 0x1ff : 0))
			return -ERANGE;
		v = v << 8 | byte;
	}
	*ret = (int64_t)v;
	return (*ret < 0) == negative ? 0 : -ERANGE;
}

int tar_number(const char *field, size_t size, int64_t *ret)
{
	const char *end = (const char *)memchr(field, '\0', size);
	const char *p = field;
	uint64_t v = 0;

	if (field[0] & (char)0x80)
		return base256((const uint8_t *)field, size, ret);
	if (!end)
		end = field + size;
	while (p < end && *p == ' ')
		p++;
	while (end > p && end[-1] == ' ')
		end--;
	/* Twelve octal digits are 36 bits. */
	for (; p < end; p++) {
		if (*p < '0' || *p > '7')
			return -EINVAL;
		v = v << 3 | (uint64_t)(*p - '0');
	}
	*ret = (int64_t)v;
	return 0;
}

/* A number from 0 to @max. */
static int get_number(const struct tar_reader *r, const char *field, size_t size, uint64_t max,
		      uint64_t *ret, const char *what, struct cairn_error *err)
{
	int64_t v = 0;

	if (tar_number(field, size, &v) < 0 || v < 0 || (uint64_t)v > max)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "tar header at byte %llu: the %s is no number from 0 to %llu",
				 (unsigned long long)r->header, what, (unsigned long long)max);
	*ret = (uint64_t)v;
	return 0;
}

#define GET_NUMBER(r, field, max, ret, what, err)                                                  \
	get_number(r, field, sizeof(field), max, ret, what, err)

/* Either sum is in use: of bytes as unsigned, and as signed ones. */
static int check_sum(const struct tar_reader *r, const struct tar_header *h,
		     struct cairn_error *err)
{
	const uint8_t *bytes = (const uint8_t *)h;
	uint32_t sum = 8 * ' ';
	int32_t high = 0;
	int64_t stated;

	for (size_t i = 0; i < TAR_BLOCK; i++) {
		sum += bytes[i];
		high += bytes[i] >> 7;
	}
	for (size_t i = 0; i < sizeof(h->checksum); i++) {
		sum -= (uint8_t)h->checksum[i];
		high -= (uint8_t)h->checksum[i] >> 7;
	}
	if (tar_number(h->checksum, sizeof(h->checksum), &stated) < 0)
		return bad_header(r, err, -EINVAL, "the checksum is no number");
	if (stated != (int64_t)sum && stated != (int64_t)sum - 256 * high)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "tar header at byte %llu: the checksum is %llo, expected %llo",
				 (unsigned long long)r->header, (unsigned long long)stated,
				 (unsigned long long)sum);
	return 0;
}

static bool has_magic(const struct tar_header *h)
{
	return !memcmp(h->magic, "ustar", 5);
}

/* Readers do not agree on what is neither POSIX's magic nor GNU's, but almost: whether there is a prefix,
 * say. */
static bool is_odd_magic(const struct tar_header *h)
{
	return has_magic(h) && h->magic[5] != '\0' && h->magic[5] != ' ';
}

static size_t text_len(const char *field, size_t size)
{
	const char *end = (const char *)memchr(field, '\0', size);

	return end ? (size_t)(end - field) : size;
}

/* --- extension headers ----------------------------------------------------------------------- */

static int begin_extension(struct tar_reader *r, const struct tar_header *h,
			   struct cairn_error *err)
{
	struct extensions *x = &r->ext;
	bool *has = NULL;
	uint64_t size;
	int code;

	x->reading = NULL;
	switch (h->type) {
	case TAR_PAX:
		x->reading = &x->pax;
		has = &x->has_pax;
		break;
	case TAR_GNU_LONG_NAME:
		x->reading = &x->name;
		has = &x->has_name;
		break;
	case TAR_GNU_LONG_LINK:
		x->reading = &x->target;
		has = &x->has_target;
		break;
	default: /* global: layers are read without it */
		break;
	}
	if (has && *has)
		return bad_header(r, err, -EINVAL, "a second extension header of one type");
	code = GET_NUMBER(r, h->size, TAR_SIZE_MAX, &size, "size", err);
	if (code < 0)
		return code;
	if (++x->nr > TAR_EXTENSIONS_MAX)
		return bad_header(r, err, -EFBIG, "more than 16 extension headers for one entry");
	if (size > TAR_EXTENSION_MAX - x->size)
		return bad_header(r, err, -EFBIG,
				  "more than 1 MiB of extension headers for one entry");
	x->size += size;
	if (has)
		*has = true;
	r->left = size;
	r->pad = (uint32_t)(-size % TAR_BLOCK);
	r->state = IN_EXTENSION;
	return 0;
}

/* Its body is complete. A NUL goes behind it. */
static int end_extension(struct tar_reader *r, struct cairn_error *err)
{
	struct extensions *x = &r->ext;
	const char *wrong;
	int code;

	if (!x->reading)
		return 0;
	if (buf_put(x->reading, "", 1) < 0)
		return error_errno(err, -ENOMEM, "read the tar");
	x->reading->len--;
	if (x->reading != &x->pax) {
		x->reading->len = text_len(x->reading->data, x->reading->len);
		return 0;
	}
	wrong = pax_parse(x->pax.data, x->pax.len, &r->pax, &code);
	return wrong ? bad_header(r, err, code, wrong) : 0;
}

static void drop_extensions(struct extensions *x)
{
	x->nr = 0;
	x->size = 0;
	x->has_pax = x->has_name = x->has_target = false;
	x->pax.len = x->name.len = x->target.len = 0;
}

/* --- entries --------------------------------------------------------------------------------- */

static int find_path(struct tar_reader *r, const struct tar_header *h, struct tar_entry *e)
{
	size_t prefix = 0;

	if (r->ext.has_pax && r->pax.known & PAX_PATH) {
		e->path = r->pax.path;
		e->path_len = (uint32_t)r->pax.path_len;
		return 0;
	}
	if (r->ext.has_name) {
		e->path = r->ext.name.data;
		e->path_len = (uint32_t)r->ext.name.len;
		return 0;
	}
	r->path.len = 0;
	if (!memcmp(h->magic, "ustar", 6))
		prefix = text_len(h->prefix, sizeof(h->prefix));
	if (buf_put(&r->path, h->prefix, prefix) < 0 || buf_put(&r->path, "/", prefix > 0) < 0 ||
	    buf_put(&r->path, h->name, text_len(h->name, sizeof(h->name))) < 0 ||
	    buf_put(&r->path, "", 1) < 0)
		return -ENOMEM;
	e->path = r->path.data;
	e->path_len = (uint32_t)r->path.len - 1;
	return 0;
}

static int find_target(struct tar_reader *r, const struct tar_header *h, struct tar_entry *e)
{
	if (e->type != TAR_HARDLINK && e->type != TAR_SYMLINK) {
		e->target = "";
		return 0;
	}
	if (r->ext.has_pax && r->pax.known & PAX_TARGET) {
		e->target = r->pax.target;
		e->target_len = (uint32_t)r->pax.target_len;
		return 0;
	}
	if (r->ext.has_target) {
		e->target = r->ext.target.data;
		e->target_len = (uint32_t)r->ext.target.len;
		return 0;
	}
	r->target.len = 0;
	if (buf_put(&r->target, h->target, text_len(h->target, sizeof(h->target))) < 0 ||
	    buf_put(&r->target, "", 1) < 0)
		return -ENOMEM;
	e->target = r->target.data;
	e->target_len = (uint32_t)r->target.len - 1;
	return 0;
}

static int find_numbers(const struct tar_reader *r, const struct tar_header *h, struct tar_entry *e,
			struct cairn_error *err)
{
	uint64_t mode = 0, uid = 0, gid = 0, size = 0;
	int64_t mtime = 0;
	int code;

	code = GET_NUMBER(r, h->mode, INT64_MAX, &mode, "mode", err);
	if (!code)
		code = GET_NUMBER(r, h->uid, TAR_ID_MAX, &uid, "owner", err);
	if (!code)
		code = GET_NUMBER(r, h->gid, TAR_ID_MAX, &gid, "group", err);
	if (!code)
		code = GET_NUMBER(r, h->size, TAR_SIZE_MAX, &size, "size", err);
	if (!code && tar_number(h->mtime, sizeof(h->mtime), &mtime) < 0)
		code = bad_header(r, err, -EINVAL, "the modification time is no number");
	if (code < 0)
		return code;
	e->mode = (uint32_t)(mode & 07777);
	e->uid = (uint32_t)uid;
	e->gid = (uint32_t)gid;
	e->size = size;
	e->mtime = mtime;
	return 0;
}

static void use_pax(struct tar_reader *r, struct tar_entry *e)
{
	const struct pax *p = &r->pax;

	if (!r->ext.has_pax)
		return;
	if (p->known & PAX_UID)
		e->uid = p->uid;
	if (p->known & PAX_GID)
		e->gid = p->gid;
	if (p->known & PAX_SIZE)
		e->size = p->size;
	if (p->known & PAX_MTIME) {
		e->mtime = p->mtime;
		e->mtime_nsec = p->mtime_nsec;
		e->first_nsec = p->first_nsec;
	}
	if (p->known & PAX_BAD_FRACTION)
		e->flags |= TAR_BAD_FRACTION;
	e->xattrs = r->pax.xattrs;
	e->nr_xattrs = p->nr_xattrs;
}

static int find_device(const struct tar_reader *r, const struct tar_header *h, struct tar_entry *e,
		       struct cairn_error *err)
{
	uint64_t major = 0, minor = 0;
	int code;

	if (e->type != TAR_CHARDEV && e->type != TAR_BLOCKDEV)
		return 0;
	if (!has_magic(h))
		return bad_entry(r, err, -EINVAL, e, "a device in a header that has no numbers");
	code = GET_NUMBER(r, h->major, TAR_MAJOR_MAX, &major, "major device number", err);
	if (!code)
		code = GET_NUMBER(r, h->minor, TAR_MINOR_MAX, &minor, "minor device number", err);
	if (code < 0)
		return code;
	e->major = (uint32_t)major;
	e->minor = (uint32_t)minor;
	return 0;
}

/* The type letter of an entry. Returns 0, -ENOTSUP. */
static int find_type(char letter, struct tar_entry *e)
{
	if (letter == '\0' || letter == '7')
		e->type = TAR_FILE;
	else if (letter >= '0' && letter <= '6')
		e->type = (enum tar_type)letter;
	else
		return -ENOTSUP;
	return 0;
}

static int take_entry(struct tar_reader *r, const struct tar_header *h, struct cairn_error *err)
{
	struct tar_entry e = {.offset = r->header};
	int code;

	if (h->type == 'S')
		return bad_header(r, err, -ENOTSUP, "a sparse file, which layers cannot have");
	if (find_type(h->type, &e) < 0) {
		char letter[8];

		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "tar header at byte %llu: entries of type '%s' are not supported",
				 (unsigned long long)r->header,
				 error_quote(&h->type, 1, letter, sizeof(letter)));
	}
	code = find_numbers(r, h, &e, err);
	if (code < 0)
		return code;
	if (find_path(r, h, &e) < 0 || find_target(r, h, &e) < 0)
		return error_errno(err, -ENOMEM, "read the tar");
	if (!e.path_len)
		return bad_header(r, err, -EINVAL, "an entry without a name");
	use_pax(r, &e);
	code = find_device(r, h, &e, err);
	if (code < 0)
		return code;
	if (e.type != TAR_FILE && e.size)
		return bad_entry(r, err, -EINVAL, &e, "only files have content, this has a size");
	if (h->type == '\0' && e.path[e.path_len - 1] == '/')
		e.flags |= TAR_OLD_DIRECTORY;

	r->left = e.size;
	r->pad = (uint32_t)(-e.size % TAR_BLOCK);
	r->state = e.size ? IN_CONTENT : IN_HEADER;
	if (r->handler.entry)
		code = r->handler.entry(r->handler.arg, &e, err);
	if (!code && e.type == TAR_FILE && !e.size && r->handler.content)
		code = r->handler.content(r->handler.arg, NULL, 0, true, err);
	drop_extensions(&r->ext);
	return code;
}

/* --- blocks ---------------------------------------------------------------------------------- */

static bool is_zero(const char *block)
{
	static const char zeros[TAR_BLOCK];

	return !block[0] && !memcmp(block, zeros, TAR_BLOCK);
}

static int take_block(struct tar_reader *r, const char *block, struct cairn_error *err)
{
	const struct tar_header *h = (const struct tar_header *)block;
	int code;

	r->header = r->offset - TAR_BLOCK;
	code = give_raw(r, block, TAR_BLOCK, err);
	if (code < 0)
		return code;
	if (is_zero(block)) {
		if (r->ext.has_pax || r->ext.has_name || r->ext.has_target)
			return bad_header(r, err, -EINVAL,
					  "the archive ends behind an extension header");
		if (r->zero_block)
			r->state = AT_END;
		r->zero_block = true;
		return 0;
	}
	if (r->zero_block)
		return bad_header(r, err, -EINVAL,
				  "something follows a single zero block, which is neither an end "
				  "nor an entry");
	code = check_sum(r, h, err);
	if (code < 0)
		return code;
	if (is_odd_magic(h))
		return bad_header(r, err, -EINVAL, "its magic is neither POSIX's nor GNU's");
	switch (h->type) {
	case TAR_PAX:
	case TAR_GLOBAL_PAX:
	case TAR_GNU_LONG_NAME:
	case TAR_GNU_LONG_LINK:
		if (has_magic(h))
			return begin_extension(r, h, err);
	}
	return take_entry(r, h, err);
}

/* Takes up to a block, without a copy when all of it is there. Returns the bytes taken. */
static ssize_t feed_header(struct tar_reader *r, const char *data, size_t size,
			   struct cairn_error *err)
{
	size_t n = MIN(TAR_BLOCK - r->nr_block, size);
	const char *block = data;
	int code;

	if (n < TAR_BLOCK) {
		memcpy(r->block + r->nr_block, data, n);
		block = r->block;
	}
	r->nr_block += n;
	r->offset += n;
	if (r->nr_block < TAR_BLOCK)
		return (ssize_t)n;
	r->nr_block = 0;
	code = take_block(r, block, err);
	return code < 0 ? code : (ssize_t)n;
}

static bool all_zero(const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i])
			return false;
	return true;
}

/* What has a length: extension, content, padding. */
static ssize_t feed_body(struct tar_reader *r, const char *data, size_t size,
			 struct cairn_error *err)
{
	size_t n = (size_t)MIN(r->left, (uint64_t)size);
	bool end = n == r->left;
	int code = 0;

	if (r->state == IN_PADDING && r->zero_padding && !all_zero(data, n))
		return bad_header(r, err, -EINVAL,
				  "bytes behind a long name, which some readers take for its end");
	if (r->state == IN_CONTENT) {
		if (r->handler.content && n)
			code = r->handler.content(r->handler.arg, data, n, end, err);
	} else {
		code = give_raw(r, data, n, err);
		if (!code && r->state == IN_EXTENSION && r->ext.reading &&
		    buf_put(r->ext.reading, data, n) < 0)
			code = error_errno(err, -ENOMEM, "read the tar");
	}
	if (code < 0)
		return code;
	r->left -= n;
	r->offset += n;
	if (!end)
		return (ssize_t)n;

	r->last_padding = r->state == IN_CONTENT;
	r->zero_padding = r->state == IN_EXTENSION &&
			  (r->ext.reading == &r->ext.name || r->ext.reading == &r->ext.target);
	if (r->state == IN_EXTENSION) {
		code = end_extension(r, err);
		if (code < 0)
			return code;
	}
	r->state = r->state != IN_PADDING && r->pad ? IN_PADDING : IN_HEADER;
	r->left = r->state == IN_PADDING ? r->pad : 0;
	return (ssize_t)n;
}

int tar_reader_feed(struct tar_reader *r, const void *data, size_t size, struct cairn_error *err)
{
	const char *next = (const char *)data;

	/* The body of an extension may have no bytes. */
	while (size || (r->state == IN_EXTENSION && !r->left)) {
		ssize_t n;

		if (r->state == AT_END) {
			r->offset += size;
			return give_raw(r, next, size, err);
		}
		n = r->state == IN_HEADER ? feed_header(r, next, size, err)
					  : feed_body(r, next, size, err);
		if (n < 0)
			return (int)n;
		next += n;
		size -= (size_t)n;
	}
	return 0;
}

uint64_t tar_reader_due(const struct tar_reader *r)
{
	return r->state == IN_CONTENT ? r->left : 0;
}

int tar_reader_skip(struct tar_reader *r, uint64_t size, struct cairn_error *err)
{
	if (r->state != IN_CONTENT || r->left != size)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "tar at byte %llu: a content of %llu bytes where %llu are due",
				 (unsigned long long)r->offset, (unsigned long long)size,
				 (unsigned long long)tar_reader_due(r));
	r->offset += size;
	r->last_padding = true;
	r->state = r->pad ? IN_PADDING : IN_HEADER;
	r->left = r->pad;
	return 0;
}

int tar_reader_finish(struct tar_reader *r, struct cairn_error *err)
{
	/* umoci 0.4.7 inserts layers that end with the bytes of the last content; nothing of it is missing. */
	const bool whole = r->state == IN_HEADER || r->state == AT_END ||
			   (r->state == IN_PADDING && r->last_padding);

	if (r->nr_block || !whole)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "tar at byte %llu: the archive ends inside of %s",
				 (unsigned long long)r->offset,
				 r->nr_block                ? "a header"
				 : r->state == IN_EXTENSION ? "an extension header"
				 : r->state == IN_CONTENT   ? "a content"
							    : "the padding of a block");
	if (r->ext.has_pax || r->ext.has_name || r->ext.has_target)
		return bad_header(r, err, -EINVAL, "the archive ends behind an extension header");
	return 0;
}
