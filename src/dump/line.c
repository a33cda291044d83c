/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * One line of dump text to a node.
 *
 * The checks of a line come in the order of dump-format §6, so that the first complaint is the
 * reference's.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <xxhash.h>

#include "base/hex.h"
#include "dump/parse-internal.h"

enum field { PATH, SIZE, MODE, NLINK, UID, GID, RDEV, MTIME, PAYLOAD, CONTENT, DIGEST, NR_FIELDS };

static const char *const field_name[] = {"PATH", "SIZE",  "MODE",    "NLINK",   "UID",    "GID",
					 "RDEV", "MTIME", "PAYLOAD", "CONTENT", "DIGEST", "XATTR"};

struct line {
	struct span field[NR_FIELDS];
	struct span xattrs;
	bool known; /* the numbers are in value[] already */
	uint64_t value[MTIME + 1];
	uint32_t mtime_nsec;
};

/* --- complaints ------------------------------------------------------------------------------ */

/* Puts in front of the sentence where it was found; the reference says nothing. */
static int complain(struct dump_parser *p, int field, struct cairn_error *err)
{
	if (err && !(p->flags & CAIRN_DUMP_COMPAT)) {
		if (field < 0)
			error_prepend(err, "line %llu", (unsigned long long)p->line);
		else
			error_prepend(err, "line %llu, %s", (unsigned long long)p->line,
				      field_name[field]);
	}
	return err ? err->code : -EINVAL;
}

int dump_fail(struct dump_parser *p, int field, struct cairn_error *err, const char *fmt, ...)
{
	char text[CAIRN_ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s", text);
	complain(p, field, err);
	return -EINVAL;
}

static int out_of_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "parse the dump");
}

/* --- one line -------------------------------------------------------------------------------- */

/* Plain digits of @base, so few that they cannot overflow; @text moves behind them. */
static bool plain_number(const char **text, const char *end, unsigned int base, uint64_t *ret)
{
	const char *p = *text;
	const char *stop = end - p > 19 ? p + 19 : end;
	uint64_t value = 0;

	for (; p < stop; p++) {
		unsigned int digit = (unsigned char)*p - (unsigned int)'0';

		if (digit >= base)
			break;
		value = value * base + digit;
	}
	*ret = value;
	if (p == *text || p == end)
		return false;
	*text = p;
	return true;
}

/* SIZE to MTIME when they are as they mostly are: numbers without signs, a space behind each. Returns
 * what is behind them; NULL: those who want a number have to look at its field. */
static const char *split_numbers(const char *text, const char *end, struct line *l)
{
	uint64_t nsec;

	for (int i = SIZE; i <= MTIME; i++) {
		const char *start = text;

		text += i == MODE && text < end && *text == '@';
		if (!plain_number(&text, end, i == MODE ? 8 : 10, &l->value[i]))
			return NULL;
		if (i == MTIME) {
			if (*text++ != '.' || !plain_number(&text, end, 10, &nsec))
				return NULL;
			l->mtime_nsec = (uint32_t)nsec;
		}
		if (*text != ' ')
			return NULL;
		l->field[i] = (struct span){start, (size_t)(text - start)};
		text++;
	}
	l->known = true;
	return text;
}

/* Fields that are missing are empty (dump-format §1). */
static void split_line(const char *text, size_t len, struct line *l)
{
	const char *end = text + len;

	l->known = false;
	for (int i = 0; i < NR_FIELDS; i++) {
		const char *space;

		if (i == SIZE) {
			const char *next = split_numbers(text, end, l);

			if (next) {
				text = next;
				i = PAYLOAD;
			}
		}
		space = (const char *)memchr(text, ' ', (size_t)(end - text));
		space = space ? space : end;
		l->field[i] = (struct span){text, (size_t)(space - text)};
		text = space < end ? space + 1 : end;
	}
	l->xattrs = (struct span){text, (size_t)(end - text)};
}

/* @f without escapes, cut at the first NUL if @text; in @b when it had any, else as it is. */
static int decode(struct dump_parser *p, int field, struct span f, bool text, struct buf *b,
		  struct span *ret, struct cairn_error *err)
{
	const char *nul;
	ssize_t n;

	if (!field_is_escaped(f)) {
		*ret = f;
		return 0;
	}
	b->len = 0;
	if (buf_reserve(b, f.len) < 0)
		return out_of_memory(err);
	n = field_unescape(f, b->data, err);
	if (n < 0) {
		complain(p, field, err);
		return -EINVAL;
	}
	nul = text ? (const char *)memchr(b->data, '\0', (size_t)n) : NULL;
	*ret = (struct span){b->data, nul ? (size_t)(nul - b->data) : (size_t)n};
	return 0;
}

static int bad_number(struct dump_parser *p, int field, struct span f, struct cairn_error *err)
{
	return dump_fail(p, field, err, "Invalid integer %.*s", (int)MIN(f.len, (size_t)200), f.p);
}

static int number(struct dump_parser *p, int field, const struct line *l, uint64_t *ret,
		  struct cairn_error *err)
{
	if (likely(l->known))
		*ret = l->value[field];
	else if (!field_number(l->field[field], 10, ret))
		return bad_number(p, field, l->field[field], err);
	return 0;
}

/* SEC.NSEC: two integers, not a fraction. */
static int parse_mtime(struct dump_parser *p, const struct line *l, struct node *n,
		       struct cairn_error *err)
{
	struct span f = l->field[MTIME];
	const char *dot = (const char *)memchr(f.p, '.', f.len);
	struct span sec = {f.p, dot ? (size_t)(dot - f.p) : f.len};
	struct span nsec = {dot ? dot + 1 : f.p + f.len, dot ? f.len - sec.len - 1 : 0};
	uint64_t value;

	if (!field_number(sec, 10, &value))
		return bad_number(p, MTIME, sec, err);
	n->mtime = (int64_t)value;
	if (!field_number(nsec, 10, &value))
		return bad_number(p, MTIME, nsec, err);
	n->mtime_nsec = (uint32_t)value;
	return 0;
}

static int parse_xattr(struct dump_parser *p, struct span token, struct buf *decoded,
		       struct xattr_input *ret, struct cairn_error *err)
{
	const char *equals = (const char *)memchr(token.p, '=', token.len);
	const char *nul;
	struct span key, value;
	ssize_t key_len, value_len;
	char *out;

	if (!equals)
		return dump_fail(p, NR_FIELDS, err, "Missing = in xattr");
	key = (struct span){token.p, (size_t)(equals - token.p)};
	value = (struct span){equals + 1, token.len - key.len - 1};

	/* Reserved for the whole section at once, so that it does not move. */
	out = decoded->data + decoded->len;
	key_len = field_unescape(key, out, err);
	value_len = key_len < 0 ? key_len : field_unescape(value, out + key_len, err);
	if (value_len < 0) {
		complain(p, NR_FIELDS, err);
		return -EINVAL;
	}
	decoded->len += (size_t)(key_len + value_len);
	nul = (const char *)memchr(out, '\0', (size_t)key_len);
	ret->name = out;
	ret->name_len = (uint32_t)(nul ? nul - out : key_len);
	ret->value = out + key_len;
	ret->value_len = (uint32_t)value_len;
	ret->shared = false;
	return 0;
}

static int parse_xattr_list(struct dump_parser *p, struct span text, const struct xattr_list **ret,
			    struct cairn_error *err)
{
	struct buf inputs cleanup_buf = BUF_INIT(XATTR_TEXT_MAX * sizeof(struct xattr_input));
	int r;

	p->scratch2.len = 0;
	if (buf_reserve(&p->scratch2, text.len) < 0)
		return out_of_memory(err);
	while (text.len) {
		const char *space = (const char *)memchr(text.p, ' ', text.len);
		size_t len = space ? (size_t)(space - text.p) : text.len;
		struct xattr_input in;

		r = parse_xattr(p, (struct span){text.p, len}, &p->scratch2, &in, err);
		if (r < 0)
			return r;
		if (buf_put(&inputs, &in, sizeof(in)) < 0)
			return out_of_memory(err);
		len += space ? 1 : 0;
		text.p += len;
		text.len -= len;
	}
	r = tree_xattrs(&p->shard, (struct xattr_input *)(void *)inputs.data,
			inputs.len / sizeof(struct xattr_input), ret);
	if (r == -ENOMEM)
		return out_of_memory(err);
	return r < 0 ? dump_fail(p, NR_FIELDS, err, "Can't set xattr") : 0;
}

/* Most files have the same xattrs as some file before: their text is looked up unparsed. */
static int parse_xattrs(struct dump_parser *p, struct span text, const struct xattr_list **ret,
			struct cairn_error *err)
{
	uint64_t hash = XXH3_64bits(text.p, text.len);
	struct cached_xattrs *c = &p->cache[hash & (XATTR_CACHE - 1)];
	char *copy;
	int r;

	if (c->list && c->hash == hash && c->text.len == text.len &&
	    !memcmp(c->text.p, text.p, text.len)) {
		*ret = c->list;
		return 0;
	}
	if (text.len > XATTR_TEXT_MAX)
		return dump_fail(p, NR_FIELDS, err, "Too many xattrs");
	r = parse_xattr_list(p, text, ret, err);
	if (r < 0 || !*ret || text.len > 512 || c->list)
		return r;

	copy = arena_dup(&p->shard.arena, text.p, text.len);
	if (!copy)
		return out_of_memory(err);
	*c = (struct cached_xattrs){hash, {copy, text.len}, *ret};
	return 0;
}

/* PAYLOAD and DIGEST of a regular file whose content is elsewhere. */
static int set_object(struct dump_parser *p, struct node *n, struct span payload,
		      struct span digest, struct cairn_error *err)
{
	char path[OBJECT_PATH_MAX];
	uint8_t *bytes;
	size_t size;
	int r;

	if (!field_is_unset(digest)) {
		r = decode(p, DIGEST, digest, true, &p->scratch2, &digest, err);
		if (r < 0)
			return r;
		size = digest.len / 2;
		if (digest.len != 64 && (digest.len != 128 || p->flags & CAIRN_DUMP_COMPAT))
			goto bad_digest;
		bytes = (uint8_t *)arena_alloc_aligned(&p->shard.arena, size, 1);
		if (!bytes)
			return out_of_memory(err);
		if (hex_get(digest.p, bytes, size) < 0)
			goto bad_digest;
		n->file.digest = bytes;
		n->flags |= size == 32 ? NODE_SHA256 : NODE_SHA512;
		if (payload.len == digest.len + 1) {
			object_path(path, bytes, size);
			if (!memcmp(path, payload.p, payload.len)) {
				n->flags |= NODE_OBJECT_PATH;
				return 0;
			}
		}
	}
	if (payload.len) {
		n->file.payload = arena_dup(&p->shard.arena, payload.p, payload.len);
		if (!n->file.payload)
			return out_of_memory(err);
	}
	return 0;

bad_digest:
	return dump_fail(p, DIGEST, err, "Invalid digest %.*s, must be 64 hex characters",
			 (int)MIN(digest.len, (size_t)200), digest.p);
}

/* Whether PAYLOAD is the path of the object that DIGEST names, both as they mostly are: without
 * escapes, digits in lower case. If so, sets both. Returns 1 or 0, or -ENOMEM. */
static int set_usual_object(struct dump_parser *p, struct node *n, struct span payload,
			    struct span digest, struct cairn_error *err)
{
	size_t size = digest.len / 2;
	uint8_t *bytes;

	if (payload.len != digest.len + 1 ||
	    (digest.len != 64 && (digest.len != 128 || p->flags & CAIRN_DUMP_COMPAT)) ||
	    payload.p[2] != '/' || memcmp(payload.p, digest.p, 2) != 0 ||
	    memcmp(payload.p + 3, digest.p + 2, digest.len - 2) != 0)
		return 0;
	for (size_t i = 0; i < digest.len; i += sizeof(uint64_t)) {
		uint64_t digits;

		/* Letters have bit 6, and those in lower case bit 5 too. */
		memcpy(&digits, digest.p + i, sizeof(digits));
		if ((digits >> 1 & ~digits) & UINT64_C(0x2020202020202020))
			return 0;
	}
	bytes = (uint8_t *)arena_alloc_aligned(&p->shard.arena, size, 1);
	if (!bytes)
		return out_of_memory(err);
	if (hex_get(digest.p, bytes, size) < 0)
		return 0;
	n->file.digest = bytes;
	n->flags |= NODE_OBJECT_PATH | (size == 32 ? NODE_SHA256 : NODE_SHA512);
	return 1;
}

static int set_symlink(struct dump_parser *p, struct node *n, struct span target,
		       struct span content, struct cairn_error *err)
{
	if (!target.len || target.len > TREE_PATH_MAX)
		return dump_fail(p, PAYLOAD, err, "Invalid symlink");
	if (p->flags & CAIRN_DUMP_STRICT) {
		if (n->size != target.len)
			return dump_fail(p, SIZE, err,
					 "Invalid symlink size %zu, must match size %llu",
					 target.len, (unsigned long long)n->size);
		if (content.len)
			return dump_fail(p, CONTENT, err, "Symlink cannot have content");
	}
	n->size = target.len;
	n->symlink.target = arena_dup(&p->shard.arena, target.p, target.len);
	return n->symlink.target ? 0 : out_of_memory(err);
}

/* PAYLOAD, CONTENT and DIGEST, by file type. */
static int set_content(struct dump_parser *p, struct node *n, const struct line *l,
		       struct cairn_error *err)
{
	struct span payload = {"", 0}, content = {"", 0};
	int r;

	if (S_ISREG(n->mode) && n->size && field_is_unset(l->field[CONTENT])) {
		r = set_usual_object(p, n, l->field[PAYLOAD], l->field[DIGEST], err);
		if (r)
			return MIN(r, 0);
	}
	if (!field_is_unset(l->field[PAYLOAD])) {
		r = decode(p, PAYLOAD, l->field[PAYLOAD], true, &p->scratch, &payload, err);
		if (r < 0)
			return r;
	}
	if (!field_is_unset(l->field[CONTENT])) {
		r = decode(p, CONTENT, l->field[CONTENT], false, &p->scratch2, &content, err);
		if (r < 0)
			return r;
		if (content.len != n->size)
			return dump_fail(p, CONTENT, err,
					 "Invalid content size %zu, must match size %llu",
					 content.len, (unsigned long long)n->size);
	}

	if (S_ISLNK(n->mode))
		return set_symlink(p, n, payload, content, err);
	if (payload.len > TREE_PATH_MAX)
		return dump_fail(p, PAYLOAD, err, "Invalid payload");
	if (content.len > TREE_CONTENT_MAX)
		return dump_fail(p, CONTENT, err, "Inline content size %zu exceeds maximum %d",
				 content.len, TREE_CONTENT_MAX);
	if (!S_ISREG(n->mode) || !n->size)
		return 0;
	if (content.len) {
		n->flags |= NODE_INLINE;
		n->inl.content = (uint8_t *)arena_dup(&p->shard.arena, content.p, content.len);
		return n->inl.content ? 0 : out_of_memory(err);
	}
	return set_object(p, n, payload, l->field[DIGEST], err);
}

/* The fields after PATH and MODE. */
static int fill_node(struct dump_parser *p, struct node *n, const struct line *l,
		     struct cairn_error *err)
{
	uint64_t nlink, uid, gid, rdev;
	bool lax;
	int r;

	r = number(p, SIZE, l, &n->size, err);
	if (r < 0)
		return r;
	r = number(p, NLINK, l, &nlink, err);
	if (r < 0)
		return r;
	r = number(p, UID, l, &uid, err);
	if (r < 0)
		return r;

	/* dump-format §2: the reference looks at the result of these two only when UID is 0. */
	lax = (uint32_t)uid &&
	      (p->flags & (CAIRN_DUMP_STRICT | CAIRN_DUMP_COMPAT)) != CAIRN_DUMP_STRICT;
	if (lax) {
		if (!field_number(l->field[GID], 10, &gid))
			gid = 0;
		if (!field_number(l->field[RDEV], 10, &rdev))
			rdev = 0;
	} else {
		r = number(p, GID, l, &gid, err);
		if (r < 0)
			return r;
		r = number(p, RDEV, l, &rdev, err);
		if (r < 0)
			return r;
	}
	if (likely(l->known)) {
		n->mtime = (int64_t)l->value[MTIME];
		n->mtime_nsec = l->mtime_nsec;
	} else {
		r = parse_mtime(p, l, n, err);
		if (r < 0)
			return r;
	}

	n->nlink = (uint32_t)nlink;
	n->uid = (uint32_t)uid;
	n->gid = (uint32_t)gid;
	if (S_ISCHR(n->mode) || S_ISBLK(n->mode))
		n->device.rdev = (uint32_t)rdev;
	else if (p->flags & CAIRN_DUMP_STRICT && rdev)
		return dump_fail(p, RDEV, err, "Non-zero devnum on non-device");

	r = set_content(p, n, l, err);
	if (r < 0)
		return r;
	return l->xattrs.len ? parse_xattrs(p, l->xattrs, &n->xattrs, err) : 0;
}

/* The target is resolved when every name is known. */
static int fill_link(struct dump_parser *p, struct node *n, const struct line *l,
		     struct cairn_error *err)
{
	struct span target;
	int r;

	n->flags |= NODE_HARDLINK;
	if (!field_is_unset(l->field[PAYLOAD])) {
		r = decode(p, PAYLOAD, l->field[PAYLOAD], true, &p->scratch, &target, err);
		if (r < 0)
			return r;
		n->link.path = arena_dup(&p->shard.arena, target.p, target.len);
		if (!n->link.path)
			return out_of_memory(err);
	}
	if (p->last_link)
		p->last_link->link.target = n;
	else
		p->first_link = n;
	p->last_link = n;
	return 0;
}

static int parse_mode(struct dump_parser *p, const struct line *l, uint32_t *ret_mode,
		      bool *ret_link, struct cairn_error *err)
{
	struct span f = l->field[MODE];
	uint64_t value = l->value[MODE];

	*ret_link = f.len && f.p[0] == '@';
	if (*ret_link)
		f = (struct span){f.p + 1, f.len - 1};
	if (unlikely(!l->known) && !field_number(f, 8, &value))
		return bad_number(p, MODE, f, err);

	switch (value & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		*ret_mode = (uint32_t)value;
		return 0;
	default:
		return dump_fail(p, MODE, err, "Invalid mode %o", (uint32_t)value);
	}
}

/* The directory that the name at the end of @path goes into. */
static int find_parent(struct dump_parser *p, struct span path, size_t dir_len, struct node **ret,
		       struct cairn_error *err)
{
	int r = dirs_find(&p->dirs, p->root, (struct span){path.p, dir_len}, ret);

	switch (r) {
	case -ENOENT:
		return dump_fail(p, PATH, err, "Parent directory missing for %.*s", (int)path.len,
				 path.p);
	case -ENOTDIR:
		return dump_fail(p, PATH, err, "Parent must be a directory for %.*s", (int)path.len,
				 path.p);
	case -ENOMEM:
		return out_of_memory(err);
	default:
		return r;
	}
}

/* The node that @path names, added to its parent. */
static int add_node(struct dump_parser *p, struct span path, bool is_dir, struct node **ret,
		    struct cairn_error *err)
{
	const char *slash = (const char *)memrchr(path.p, '/', path.len);
	size_t dir_len = slash ? (size_t)(slash - path.p) : 0;
	size_t name_at = slash ? dir_len + 1 : 0;
	struct span name = {path.p + name_at, path.len - name_at};
	struct node *parent = NULL;
	int r;

	if (path.len == 1 && slash) {
		if (!is_dir)
			return dump_fail(p, MODE, err, "Root must be a directory");
		if (p->root)
			return dump_fail(p, PATH, err, "Can't have multiple roots");
	} else {
		if (!p->root)
			return dump_fail(p, PATH, err, "Root node not present");
		r = find_parent(p, path, dir_len, &parent, err);
		if (r < 0)
			return r;
		if (name.len && name.len < 3 && name.p[0] == '.' && name.p[name.len - 1] == '.')
			return dump_fail(p, PATH, err, "Invalid . or .. in path: %.*s",
					 (int)path.len, path.p);
		if (!name.len || name.len > TREE_NAME_MAX)
			return dump_fail(
				p, PATH, err, "Can't add child%s",
				p->flags & CAIRN_DUMP_COMPAT ? "" : ": a name has 1 to 255 bytes");
	}

	*ret = tree_add(&p->shard, parent, name.p, name.len);
	if (!*ret)
		return out_of_memory(err);
	if (!parent)
		p->root = *ret;
	else if (parent->dir.nr == 1 && dir_is_outside(parent))
		((struct outside *)parent)->oldest = *ret;
	return 0;
}

int dump_parse_line(struct dump_parser *p, const char *text, size_t len, struct cairn_error *err)
{
	const char *nul = p->has_nul ? (const char *)memchr(text, '\0', len) : NULL;
	struct span path;
	struct line l;
	struct node *n = NULL;
	uint32_t mode;
	bool link;
	int r;

	p->line++;
	if (nul)
		return dump_fail(p, FIELD_NONE, err,
				 "Invalid embedded NUL character at position %zu",
				 (size_t)(nul - text));
	split_line(text, len, &l);
	r = decode(p, PATH, l.field[PATH], true, &p->scratch, &path, err);
	if (r < 0)
		return r;
	if (!path.len)
		return dump_fail(p, PATH, err, "Invalid empty path");
	r = parse_mode(p, &l, &mode, &link, err);
	if (r < 0)
		return r;
	r = add_node(p, path, S_ISDIR(mode), &n, err);
	if (r < 0)
		return r;

	n->mode = (uint16_t)mode;
	if (link && S_ISDIR(mode))
		return dump_fail(p, MODE, err, "Directories can't be hardlinked");
	if (S_ISDIR(mode) && n->parent && dirs_add(&p->dirs, n) < 0)
		return out_of_memory(err);
	return link ? fill_link(p, n, &l, err) : fill_node(p, n, &l, err);
}
