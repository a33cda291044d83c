/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Tree to text.
 *
 * Invariants:
 *  1. path holds the escaped path of the name being printed, so that a parent's is escaped once.
 *  2. first[inode index] is 1 + the index of the first name printed of it; only kept when the tree
 *     has hard links.
 *  3. Before a line is begun the buffer has room for its fixed fields; what can be long reserves for
 *     itself.
 */
#include "dump/print.h"

#include <errno.h>

#include "base/buf.h"
#include "base/hex.h"

#define BUFFER_SIZE (256u << 10)
#define FIXED_ROOM  512u /* all numbers, modes and a digest of a line */

/* How much of the escaping of dump-format §7 a field takes. */
enum escape {
	ESCAPE_PATH = 0,
	ESCAPE_SPACE_KEPT = 1 << 0,
	ESCAPE_EQUALS = 1 << 1,
	ESCAPE_LONE_DASH = 1 << 2,
};

struct level {
	const struct node *dir;
	uint32_t next;   /* child */
	size_t path_len; /* of the directory's path, 0 for the root */
};

struct printer {
	const struct tree *tree;
	enum cairn_print how;
	cairn_write_fn write;
	void *arg;
	struct buf out;
	struct buf path;
	struct buf levels; /* struct level */
	uint32_t *first;
	struct buf *xattrs; /* text of each list, made when it is first needed */
};

static int flush(struct printer *p)
{
	int r = 0;

	if (p->out.len)
		r = p->write(p->arg, p->out.data, p->out.len);
	p->out.len = 0;
	return MIN(r, 0);
}

static inline void put_char(struct buf *b, char c)
{
	b->data[b->len++] = c;
}

static inline void put_text(struct buf *b, const char *text, size_t len)
{
	memcpy(b->data + b->len, text, len);
	b->len += len;
}

static void put_number(struct buf *b, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	/* Two at a time: times have nineteen. */
	for (; value > 99; value /= 100) {
		unsigned int pair = (unsigned int)(value % 100);

		digits[--at] = (char)('0' + pair % 10);
		digits[--at] = (char)('0' + pair / 10);
	}
	if (value > 9) {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	}
	digits[--at] = (char)('0' + value);
	put_text(b, digits + at, sizeof(digits) - at);
}

static void put_octal(struct buf *b, uint32_t value)
{
	int shift = 30;

	while (shift && !(value >> shift))
		shift -= 3;
	for (; shift >= 0; shift -= 3)
		put_char(b, (char)('0' + (value >> shift & 7)));
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* The high bit of some byte is set when any byte of @v is zero. */
static uint64_t zero_byte(uint64_t v)
{
	return (v - EACH_BYTE(1)) & ~v & EACH_BYTE(0x80);
}

/* How many bytes at the start, in steps of eight, are printable and escaped nowhere. */
static size_t plain_run(const char *text, size_t len)
{
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		uint64_t v;

		memcpy(&v, text + i, sizeof(v));
		/* Below '!' or above 0x7f, DEL, or one of these two. */
		if ((((v - EACH_BYTE('!')) | v) & EACH_BYTE(0x80)) |
		    zero_byte(v ^ EACH_BYTE(0x7f)) | zero_byte(v ^ EACH_BYTE('\\')) |
		    zero_byte(v ^ EACH_BYTE('=')))
			break;
	}
	return i;
}

/* Up to four bytes for each of @text. */
static int put_escaped(struct buf *b, const char *text, size_t len, unsigned int how)
{
	char *o;
	int r = buf_reserve(b, 4 * len);

	if (r < 0)
		return r;
	o = b->data + b->len;
	for (size_t i = 0; i < len; i++) {
		size_t run = plain_run(text + i, len - i);
		unsigned char c;
		bool plain;

		if (run) {
			memcpy(o, text + i, run);
			o += run;
			i += run;
			if (i == len)
				break;
		}
		c = (unsigned char)text[i];
		plain = (c > ' ' && c < 0x7f) || (c == ' ' && how & ESCAPE_SPACE_KEPT);

		if (likely(plain && c != '\\' && !(c == '=' && how & ESCAPE_EQUALS) &&
			   !(c == '-' && len == 1 && how & ESCAPE_LONE_DASH))) {
			*o++ = (char)c;
			continue;
		}
		*o++ = '\\';
		switch (c) {
		case '\\':
			*o++ = '\\';
			break;
		case '\n':
			*o++ = 'n';
			break;
		case '\r':
			*o++ = 'r';
			break;
		case '\t':
			*o++ = 't';
			break;
		default:
			*o++ = 'x';
			o = hex_put(o, &c, 1);
		}
	}
	b->len = (size_t)(o - b->data);
	return 0;
}

/* --- one line ------------------------------------------------------------------------------------- */

/* First those with the inode, then the shared ones: the order in which the image has them. */
static int make_xattr_text(const struct xattr_list *l, struct buf *b)
{
	*b = BUF_INIT((size_t)1 << 20);
	for (int shared = 0; shared < 2; shared++) {
		for (uint32_t i = 0; i < l->nr; i++) {
			const struct xattr *x = l->xattr[i];
			int r;

			if (xattr_is_shared(l, i) != (bool)shared)
				continue;
			r = buf_put(b, " ", 1);
			if (!r)
				r = put_escaped(b, x->name, x->name_len, ESCAPE_EQUALS);
			if (!r)
				r = buf_put(b, "=", 1);
			if (!r)
				r = put_escaped(b, x->value, x->value_len, ESCAPE_EQUALS);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int put_xattrs(struct printer *p, const struct xattr_list *l)
{
	struct buf *text = &p->xattrs[l->id];

	if (!text->data) {
		int r = make_xattr_text(l, text);

		if (r < 0)
			return r;
	}
	return buf_put(&p->out, text->data, text->len);
}

static enum cairn_alg digest_alg(const struct node *n)
{
	return n->flags & NODE_SHA256 ? CAIRN_SHA256 : CAIRN_SHA512;
}

/* The name that was printed first of the same file, as PAYLOAD; the root's is empty. */
static int put_primary(struct printer *p, const struct node *inode)
{
	const struct node *n = p->tree->entries[p->first[inode->index] - 1];
	cleanup_free char *path = NULL;

	if (!n->parent)
		return 0;
	path = (char *)malloc(node_path_len(n) + 1);
	if (!path)
		return -ENOMEM;
	node_path(n, path);
	return put_escaped(&p->out, path, strlen(path), ESCAPE_LONE_DASH);
}

static int put_payload(struct printer *p, const struct node *n, bool is_link, bool dash)
{
	char buf[OBJECT_PATH_MAX];
	const char *payload = NULL;

	if (is_link)
		return put_primary(p, n);
	if (S_ISLNK(n->mode))
		payload = n->symlink.target;
	else if (node_is_external(n))
		payload = node_payload(n, digest_alg(n), buf);
	if (payload)
		return put_escaped(&p->out, payload, strlen(payload),
				   dash ? ESCAPE_LONE_DASH : ESCAPE_PATH);
	return dash ? buf_put(&p->out, "-", 1) : 0;
}

/* Fixed fields, then the room for them again: every long one has reserved only for itself. */
static int end_field(struct printer *p)
{
	int r = buf_reserve(&p->out, FIXED_ROOM);

	if (!r)
		put_char(&p->out, ' ');
	return r;
}

static void put_facts(struct printer *p, const struct node *n, bool is_link)
{
	struct buf *b = &p->out;
	bool device = S_ISCHR(n->mode) || S_ISBLK(n->mode);
	bool sized = S_ISREG(n->mode) || S_ISLNK(n->mode) || S_ISDIR(n->mode);

	put_number(b, sized ? n->size : 0);
	put_char(b, ' ');
	if (is_link)
		put_char(b, '@');
	put_octal(b, n->mode);
	put_char(b, ' ');
	put_number(b, n->nlink);
	put_char(b, ' ');
	put_number(b, n->uid);
	put_char(b, ' ');
	put_number(b, n->gid);
	put_char(b, ' ');
	put_number(b, device ? n->device.rdev : 0);
	put_char(b, ' ');
	if (n->mtime < 0)
		put_char(b, '-');
	put_number(b, n->mtime < 0 ? -(uint64_t)n->mtime : (uint64_t)n->mtime);
	put_char(b, '.');
	put_number(b, n->mtime_nsec);
	put_char(b, ' ');
}

static int print_dump(struct printer *p, const struct node *n, bool is_link)
{
	const uint8_t *digest = NULL;
	int r;

	r = buf_put(&p->out, p->path.len ? p->path.data : "/", MAX(p->path.len, (size_t)1));
	if (!r)
		r = end_field(p);
	if (r < 0)
		return r;
	put_facts(p, n, is_link);
	r = put_payload(p, n, is_link, true);
	if (!r)
		r = end_field(p);
	if (r < 0)
		return r;
	if (S_ISREG(n->mode) && n->flags & NODE_INLINE)
		r = put_escaped(&p->out, (const char *)n->inl.content, (size_t)n->size,
				ESCAPE_LONE_DASH);
	else
		put_char(&p->out, '-');
	if (!r)
		r = end_field(p);
	if (r < 0)
		return r;
	if (node_is_external(n))
		digest = node_digest(n, digest_alg(n));
	if (digest)
		p->out.len = (size_t)(hex_put(p->out.data + p->out.len, digest,
					      cairn_digest_size(digest_alg(n))) -
				      p->out.data);
	else
		put_char(&p->out, '-');
	if (n->xattrs)
		r = put_xattrs(p, n->xattrs);
	return r < 0 ? r : buf_put(&p->out, "\n", 1);
}

static int print_ls(struct printer *p, const struct node *n, bool is_link)
{
	int r;

	if (!p->path.len)
		return 0;
	r = buf_put(&p->out, p->path.data, p->path.len);
	if (!r && !is_link) {
		if (S_ISDIR(n->mode))
			r = buf_put(&p->out, "/\t", 2);
		else if (S_ISLNK(n->mode))
			r = buf_put(&p->out, "\t-> ", 4);
		else if (node_is_external(n) && (n->flags & NODE_OBJECT_PATH || n->file.payload))
			r = buf_put(&p->out, "\t@ ", 3);
		if (!r)
			r = put_payload(p, n, false, false);
	}
	return r < 0 ? r : buf_put(&p->out, "\n", 1);
}

/* --- the walk ------------------------------------------------------------------------------------- */

static int print_name(struct printer *p, const struct node *n, bool *ret_descend)
{
	const struct node *inode = node_inode(n);
	bool is_link = false;
	int r;

	if (p->first) {
		is_link = p->first[inode->index];
		if (!is_link)
			p->first[inode->index] = n->index + 1;
	}
	*ret_descend = !is_link && S_ISDIR(inode->mode) && inode->dir.nr;
	r = p->how == CAIRN_PRINT_LS ? print_ls(p, inode, is_link) : print_dump(p, inode, is_link);
	if (!r && p->out.len >= BUFFER_SIZE)
		r = flush(p);
	return r;
}

static int push(struct printer *p, const struct node *n)
{
	struct level level = {.dir = node_inode(n), .path_len = p->path.len};

	return buf_put(&p->levels, &level, sizeof(level));
}

static int walk(struct printer *p, const struct node *start)
{
	unsigned int how = p->how == CAIRN_PRINT_LS ? ESCAPE_SPACE_KEPT : ESCAPE_PATH;
	cleanup_free char *path = NULL;
	bool descend;
	int r;

	if (start->parent) {
		path = (char *)malloc(node_path_len(start) + 1);
		if (!path)
			return -ENOMEM;
		node_path(start, path);
		r = put_escaped(&p->path, path, strlen(path), how);
		if (r < 0)
			return r;
	}
	r = print_name(p, start, &descend);
	if (!r && descend)
		r = push(p, start);

	while (!r && p->levels.len) {
		struct level *l = (struct level *)(void *)(p->levels.data + p->levels.len) - 1;
		const struct node *n;

		if (l->next == l->dir->dir.nr) {
			p->levels.len -= sizeof(*l);
			continue;
		}
		n = p->tree->entries[l->dir->dir.first + l->next++];
		p->path.len = l->path_len;
		r = buf_put(&p->path, "/", 1);
		if (!r)
			r = put_escaped(&p->path, n->name, n->name_len, how);
		if (!r)
			r = print_name(p, n, &descend);
		if (!r && descend)
			r = push(p, n);
	}
	return r < 0 ? r : flush(p);
}

int dump_print(const struct tree *t, enum cairn_print how, const struct node *start,
	       cairn_write_fn write, void *arg)
{
	struct printer p = {.tree = t,
			    .how = how,
			    .write = write,
			    .arg = arg,
			    .out = BUF_INIT(SIZE_MAX / 4),
			    .path = BUF_INIT(SIZE_MAX / 4),
			    .levels = BUF_INIT(SIZE_MAX / 4)};
	int r = -ENOMEM;

	p.xattrs = (struct buf *)calloc(MAX(t->nr_lists, 1u), sizeof(*p.xattrs));
	if (t->nr_inodes != t->nr_entries)
		p.first = (uint32_t *)calloc(t->nr_entries, sizeof(*p.first));
	if (p.xattrs && (p.first || t->nr_inodes == t->nr_entries) &&
	    !buf_reserve(&p.out, 2 * (size_t)BUFFER_SIZE))
		r = walk(&p, start);

	for (uint32_t i = 0; p.xattrs && i < t->nr_lists; i++)
		buf_fini(&p.xattrs[i]);
	free(p.xattrs);
	free(p.first);
	buf_fini(&p.out);
	buf_fini(&p.path);
	buf_fini(&p.levels);
	return r;
}
