/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What a table of contents says that the entries of the archive are. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "oci/auth.h"
#include "oci/json_scan.h"
#include "oci/toc.h"

#define NAME_SIZE       256
#define VALUE_TEXT_SIZE (128u << 10) /* base64 of the 64 KiB that Linux allows, and more */

struct walk {
	struct json_scan scan;
	const char *error;
	char type[16], name[TOC_NAME_MAX], link[TOC_NAME_MAX], time[64];
	size_t name_len, link_len;
	uint64_t mode, size, uid, gid, major, minor;

	/* Attributes: names and values in @bytes, and until it grows no more, where they are there. */
	struct buf bytes;
	struct xattr_input xattrs[TAR_XATTRS_MAX];
	size_t at[TAR_XATTRS_MAX];
	size_t nr_xattrs;
	char xattr_name[NAME_SIZE], text[VALUE_TEXT_SIZE];
};

static int bad(struct walk *w, const char *why)
{
	w->error = why;
	return -EINVAL;
}

/* --- times ----------------------------------------------------------------------------------- */

/* @nr digits and what follows them, or NULL. */
static const char *digits(const char *text, unsigned int nr, int *ret)
{
	*ret = 0;
	for (unsigned int i = 0; i < nr; i++, text++) {
		if (*text < '0' || *text > '9')
			return NULL;
		*ret = *ret * 10 + (*text - '0');
	}
	return text;
}

/* A number of @nr digits with @behind behind it. */
static const char *part(const char *text, unsigned int nr, char behind, int *ret)
{
	text = text ? digits(text, nr, ret) : NULL;
	return text && (!behind || *text++ == behind) ? text : NULL;
}

static const char *fraction(const char *text, uint32_t *ret)
{
	uint32_t unit = 100000000;

	*ret = 0;
	if (*text != '.')
		return text;
	for (text++; *text >= '0' && *text <= '9' && unit; text++, unit /= 10)
		*ret += unit * (uint32_t)(*text - '0');
	return unit == 100000000 ? NULL : text;
}

/* "Z" or "+01:00", in seconds. */
static const char *zone(const char *text, int *ret)
{
	int hours = 0, minutes = 0, sign = *text == '-' ? -1 : 1;

	*ret = 0;
	if (*text == 'Z')
		return text + 1;
	if (*text != '+' && *text != '-')
		return NULL;
	text = part(part(text + 1, 2, ':', &hours), 2, '\0', &minutes);
	*ret = sign * (hours * 3600 + minutes * 60);
	return hours < 24 && minutes < 60 ? text : NULL;
}

static bool is_date(const struct tm *tm)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 &&
	       tm->tm_mday <= days[tm->tm_mon] && tm->tm_hour < 24 && tm->tm_min < 60 &&
	       tm->tm_sec <= 60;
}

int toc_time(const char *text, int64_t *ret_seconds, uint32_t *ret_nsec)
{
	struct tm tm = {0};
	uint32_t nsec = 0;
	int offset = 0, year = 0;

	text = part(text, 4, '-', &year);
	text = part(text, 2, '-', &tm.tm_mon);
	text = part(text, 2, 'T', &tm.tm_mday);
	text = part(text, 2, ':', &tm.tm_hour);
	text = part(text, 2, ':', &tm.tm_min);
	text = part(text, 2, '\0', &tm.tm_sec);
	text = text ? fraction(text, &nsec) : NULL;
	text = text ? zone(text, &offset) : NULL;
	tm.tm_year = year - 1900;
	tm.tm_mon--;
	if (!text || *text || !is_date(&tm))
		return -EINVAL;
	*ret_seconds = (int64_t)timegm(&tm) - offset;
	*ret_nsec = nsec;
	if (*ret_seconds == -62135596800) /* how Go says that there is none */
		*ret_seconds = 0;
	return 0;
}

/* --- attributes ------------------------------------------------------------------------------ */

static int add_xattr(struct walk *w, const char *value, size_t size)
{
	struct xattr_input *x = &w->xattrs[w->nr_xattrs];
	size_t len = strlen(w->xattr_name);

	if (w->nr_xattrs == TAR_XATTRS_MAX)
		return bad(w, "more than 256 extended attributes");
	w->at[w->nr_xattrs] = w->bytes.len;
	if (buf_put(&w->bytes, w->xattr_name, len) < 0 ||
	    (size && buf_put(&w->bytes, value, size) < 0))
		return bad(w, "more than 1 MiB of extended attributes");
	*x = (struct xattr_input){.name_len = (uint32_t)len, .value_len = (uint32_t)size};
	w->nr_xattrs++;
	return 0;
}

static int read_xattrs(struct walk *w)
{
	struct json_scan *s = &w->scan;
	int r = json_scan_object(s);

	while (r == 0 && (r = json_scan_name(s, w->xattr_name, sizeof(w->xattr_name))) == 1) {
		char *value cleanup_free = NULL;
		size_t len, size;

		if (!*w->xattr_name)
			return bad(w, "an extended attribute's name that Linux cannot have");
		r = json_scan_text(s, w->text, sizeof(w->text), &len);
		if (r < 0)
			return r;
		value = base64_decode(w->text, len, &size);
		r = value ? add_xattr(w, value, size)
			  : bad(w, "an extended attribute that is not base64");
	}
	return r;
}

/* --- entries --------------------------------------------------------------------------------- */

static int read_field(struct walk *w, const char *name)
{
	struct json_scan *s = &w->scan;

	if (!strcmp(name, "type"))
		return json_scan_text(s, w->type, sizeof(w->type), NULL);
	if (!strcmp(name, "name"))
		return json_scan_text(s, w->name, sizeof(w->name), &w->name_len);
	if (!strcmp(name, "linkName"))
		return json_scan_text(s, w->link, sizeof(w->link), &w->link_len);
	if (!strcmp(name, "modtime"))
		return json_scan_text(s, w->time, sizeof(w->time), NULL);
	if (!strcmp(name, "mode"))
		return json_scan_size(s, &w->mode);
	if (!strcmp(name, "size"))
		return json_scan_size(s, &w->size);
	if (!strcmp(name, "uid"))
		return json_scan_size(s, &w->uid);
	if (!strcmp(name, "gid"))
		return json_scan_size(s, &w->gid);
	if (!strcmp(name, "devMajor"))
		return json_scan_size(s, &w->major);
	if (!strcmp(name, "devMinor"))
		return json_scan_size(s, &w->minor);
	return !strcmp(name, "xattrs") ? read_xattrs(w) : json_scan_skip(s);
}

static void clear(struct walk *w)
{
	w->type[0] = w->name[0] = w->link[0] = w->time[0] = '\0';
	w->name_len = w->link_len = w->nr_xattrs = w->bytes.len = 0;
	w->mode = w->size = w->uid = w->gid = w->major = w->minor = 0;
}

static int read_type(struct walk *w, enum tar_type *ret)
{
	static const struct {
		const char *name;
		enum tar_type type;
	} types[] = {
		{"reg", TAR_FILE},          {"dir", TAR_DIRECTORY}, {"symlink", TAR_SYMLINK},
		{"hardlink", TAR_HARDLINK}, {"char", TAR_CHARDEV},  {"block", TAR_BLOCKDEV},
		{"fifo", TAR_FIFO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(w->type, types[i].name)) {
			*ret = types[i].type;
			return 0;
		}
	}
	return bad(w, "an entry of an unknown type");
}

/* What @w holds as an entry of an archive, valid until the next one is read. */
static int make_entry(struct walk *w, struct tar_entry *ret)
{
	struct tar_entry e = {0};

	if (read_type(w, &e.type) < 0)
		return -EINVAL;
	if (memchr(w->name, '\0', w->name_len) || memchr(w->link, '\0', w->link_len))
		return bad(w, "a name with a NUL in it");
	if (!w->name_len && e.type != TAR_DIRECTORY)
		return bad(w, "an entry without a name");
	if (w->uid > TAR_ID_MAX || w->gid > TAR_ID_MAX || w->major > TAR_MAJOR_MAX ||
	    w->minor > TAR_MINOR_MAX || w->size > TAR_SIZE_MAX)
		return bad(w, "a number that no file can have");
	if (*w->time && toc_time(w->time, &e.mtime, &e.mtime_nsec) < 0)
		return bad(w, "a modification time that is none");
	e.path = w->name_len ? w->name : "./";
	e.path_len = w->name_len ? (uint32_t)w->name_len : 2;
	e.target = w->link;
	e.target_len = (uint32_t)w->link_len;
	e.mode = (uint32_t)(w->mode & 07777);
	e.uid = (uint32_t)w->uid;
	e.gid = (uint32_t)w->gid;
	e.major = (uint32_t)w->major;
	e.minor = (uint32_t)w->minor;
	e.size = e.type == TAR_FILE ? w->size : 0;
	for (size_t i = 0; i < w->nr_xattrs; i++) {
		w->xattrs[i].name = w->bytes.data + w->at[i];
		w->xattrs[i].value = w->xattrs[i].name + w->xattrs[i].name_len;
	}
	e.xattrs = w->xattrs;
	e.nr_xattrs = w->nr_xattrs;
	*ret = e;
	return 0;
}

typedef int (*walk_fn)(void *arg, const struct tar_entry *entry, struct cairn_error *err);

/* Returns 0; -EINVAL without words in @err, which are in @w; or what @fn returned, with words. */
static int walk_entries(struct walk *w, walk_fn fn, void *arg, struct cairn_error *err)
{
	struct json_scan *s = &w->scan;
	struct tar_entry entry;
	char name[32];
	int r = json_scan_array(s);

	while (r == 0 && (r = json_scan_element(s)) == 1) {
		clear(w);
		r = json_scan_object(s);
		while (r == 0 && (r = json_scan_name(s, name, sizeof(name))) == 1)
			r = read_field(w, name);
		if (r < 0 || !strcmp(w->type, "chunk"))
			continue;
		r = make_entry(w, &entry);
		if (r == 0)
			r = fn(arg, &entry, err);
	}
	return r;
}

static int walk_toc(struct walk *w, walk_fn fn, void *arg, struct cairn_error *err)
{
	struct json_scan *s = &w->scan;
	char name[32];
	int r = json_scan_object(s);

	while (r == 0 && (r = json_scan_name(s, name, sizeof(name))) == 1)
		r = !strcmp(name, "entries") ? walk_entries(w, fn, arg, err) : json_scan_skip(s);
	return r == 0 ? json_scan_end(s) : r;
}

int toc_walk(const void *data, size_t size, walk_fn fn, void *arg, struct cairn_error *err)
{
	struct walk *w cleanup_free = (struct walk *)calloc(1, sizeof(*w));
	struct cairn_error own = {0};
	int r;

	if (!w)
		return error_errno(err, -ENOMEM, "table of contents");
	json_scan_init(&w->scan, data, size);
	w->bytes = BUF_INIT(TAR_EXTENSION_MAX);
	r = walk_toc(w, fn, arg, &own);
	buf_fini(&w->bytes);
	if (r == 0)
		return 0;
	if (own.code) {
		if (err)
			*err = own;
		return r;
	}
	return error_set(err, r, CAIRN_ERROR_FORMAT, "table of contents, byte %zu: %s",
			 (size_t)(w->scan.at - w->scan.start),
			 w->error        ? w->error
			 : w->scan.error ? w->scan.error
					 : "malformed");
}
