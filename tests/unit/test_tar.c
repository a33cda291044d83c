/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * tar: what every oddity of the format is read as (oci-layers §1-§3), what is refused and with which
 * words, and that what is written reads the same. Long, because it is one table of one reader's answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tar/format-internal.h"
#include "tar/tar.h"

#define ARCHIVE_MAX (8 << 20)

/* --- making archives ------------------------------------------------------------------------- */

static struct tar_header header(char type, const char *name)
{
	struct tar_header h;

	memset(&h, 0, sizeof(h));
	memcpy(h.name, name, MIN(strlen(name), sizeof(h.name)));
	strcpy(h.mode, "0000644");
	strcpy(h.uid, "0000001");
	strcpy(h.gid, "0000002");
	strcpy(h.size, "00000000000");
	strcpy(h.mtime, "00000000003");
	memcpy(h.magic, "ustar\00000", 8);
	h.type = type;
	return h;
}

static void set_sum(struct tar_header *h)
{
	unsigned int sum = 0;

	memset(h->checksum, ' ', 8);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += ((unsigned char *)h)[i];
	snprintf(h->checksum, 8, "%06o", sum);
}

static void put_raw(struct buf *b, const void *data, size_t size)
{
	assert_int_equal(buf_put(b, data, size), 0);
}

/* The header with its checksum, and a body, padded. */
static void put_entry(struct buf *b, struct tar_header h, const void *body, size_t size)
{
	static const char zeros[TAR_BLOCK];

	if (size)
		snprintf(h.size, sizeof(h.size), "%011o", (unsigned int)size);
	set_sum(&h);
	put_raw(b, &h, sizeof(h));
	put_raw(b, body, size);
	put_raw(b, zeros, -size % TAR_BLOCK);
}

static void put_text(struct buf *b, char type, const char *text)
{
	put_entry(b, header(type, "extension"), text, strlen(text));
}

static void put_zeros(struct buf *b, size_t size)
{
	assert_int_equal(buf_reserve(b, size), 0);
	memset(b->data + b->len, 0, size);
	b->len += size;
}

/* A pax record with the right length in front. */
static void put_record(struct buf *b, const char *key, const void *value, size_t len)
{
	char digits[24];
	size_t rest = strlen(key) + len + 3, total = rest + 1;
	int n;

	while ((n = snprintf(digits, sizeof(digits), "%zu", total)) > 0 &&
	       rest + (size_t)n != total)
		total = rest + (size_t)n;
	put_raw(b, digits, (size_t)n);
	put_raw(b, " ", 1);
	put_raw(b, key, strlen(key));
	put_raw(b, "=", 1);
	put_raw(b, value, len);
	put_raw(b, "\n", 1);
}

static void put_pax(struct buf *b, const char *key, const char *value)
{
	struct buf body = BUF_INIT(ARCHIVE_MAX);

	put_record(&body, key, value, strlen(value));
	put_entry(b, header('x', "pax"), body.data, body.len);
	buf_fini(&body);
}

/* --- reading them ---------------------------------------------------------------------------- */

/* What came out, as text, and all bytes in their order. */
struct seen {
	struct buf text;
	struct buf bytes;
	uint64_t content;
};

static int on_raw(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct seen *s = arg;

	(void)err;
	put_raw(&s->bytes, data, size);
	return 0;
}

static void __printf_like(2, 3) say(struct seen *s, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	put_raw(&s->text, line, (size_t)MIN(n, 1023));
}

static int on_entry(void *arg, const struct tar_entry *e, struct cairn_error *err)
{
	struct seen *s = arg;

	(void)err;
	assert_int_equal(strlen(e->path), e->path_len);
	assert_int_equal(strlen(e->target), e->target_len);
	say(s, "%c %.300s", e->type, e->path);
	if (e->type == TAR_HARDLINK || e->type == TAR_SYMLINK)
		say(s, "->%.300s", e->target);
	say(s, " %o %u:%u %lld", e->mode, e->uid, e->gid, (long long)e->mtime);
	if (e->mtime_nsec || e->first_nsec)
		say(s, ".%09u/%09u", e->mtime_nsec, e->first_nsec);
	if (e->size)
		say(s, " size=%llu", (unsigned long long)e->size);
	if (e->type == TAR_CHARDEV || e->type == TAR_BLOCKDEV)
		say(s, " dev=%u,%u", e->major, e->minor);
	if (e->flags)
		say(s, " flags=%u", e->flags);
	for (size_t i = 0; i < e->nr_xattrs; i++)
		say(s, " %.*s=%.*s", (int)e->xattrs[i].name_len, e->xattrs[i].name,
		    (int)MIN(e->xattrs[i].value_len, 20u), e->xattrs[i].value);
	say(s, "\n");
	return 0;
}

static int on_content(void *arg, const void *data, size_t size, bool end, struct cairn_error *err)
{
	struct seen *s = arg;

	(void)err;
	assert_true(size || end);
	put_raw(&s->bytes, data, size);
	s->content += size;
	if (end)
		say(s, "[%llu]\n", (unsigned long long)s->content);
	if (end)
		s->content = 0;
	return 0;
}

static int read_archive(const struct buf *b, size_t piece, struct seen *s, struct cairn_error *err)
{
	const struct tar_handler handler = {on_raw, on_entry, on_content, s};
	struct tar_reader *r cleanup(tar_reader) = NULL;
	int code = 0;

	*s = (struct seen){.text = BUF_INIT(ARCHIVE_MAX), .bytes = BUF_INIT(ARCHIVE_MAX)};
	*err = (struct cairn_error){0};
	assert_int_equal(tar_reader_new(&handler, &r), 0);
	for (size_t at = 0; at < b->len && !code; at += piece)
		code = tar_reader_feed(r, b->data + at, MIN(piece, b->len - at), err);
	if (!code)
		code = tar_reader_finish(r, err);
	put_raw(&s->text, "", 1);
	return code;
}

static void seen_fini(struct seen *s)
{
	buf_fini(&s->text);
	buf_fini(&s->bytes);
}

static const size_t pieces[] = {1, 511, 512, 700, ARCHIVE_MAX};

/* Reads to the end, however it is cut; all bytes come back. Frees the archive. */
static void expect(struct buf *b, const char *want)
{
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct cairn_error err;
		struct seen s;
		int r = read_archive(b, pieces[i], &s, &err);

		assert_string_equal(err.text, "");
		assert_int_equal(r, 0);
		assert_string_equal(s.text.data, want);
		assert_int_equal(s.bytes.len, b->len);
		assert_true(!b->len || !memcmp(s.bytes.data, b->data, b->len));
		seen_fini(&s);
	}
	buf_fini(b);
	*b = BUF_INIT(ARCHIVE_MAX);
}

static void expect_error(struct buf *b, int code, const char *words)
{
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct cairn_error err;
		struct seen s;
		int r = read_archive(b, pieces[i], &s, &err);

		assert_string_equal(err.text, words);
		assert_int_equal(r, code);
		assert_int_equal(err.kind,
				 code == -ENOTSUP ? CAIRN_ERROR_UNSUPPORTED : CAIRN_ERROR_FORMAT);
		seen_fini(&s);
	}
	buf_fini(b);
	*b = BUF_INIT(ARCHIVE_MAX);
}

/* One entry whose header is @h. */
static void expect_entry(struct tar_header h, const char *want)
{
	struct buf b = BUF_INIT(ARCHIVE_MAX);

	put_entry(&b, h, NULL, 0);
	expect(&b, want);
}

static void refuse_entry(struct tar_header h, int code, const char *words)
{
	struct buf b = BUF_INIT(ARCHIVE_MAX);

	put_entry(&b, h, NULL, 0);
	expect_error(&b, code, words);
}

/* One pax record, and a file `f`. */
static void expect_pax(const char *key, const char *value, const char *want)
{
	struct buf b = BUF_INIT(ARCHIVE_MAX);

	put_pax(&b, key, value);
	put_entry(&b, header('0', "f"), NULL, 0);
	expect(&b, want);
}

static void refuse_pax(const char *text, size_t len, int code, const char *words)
{
	struct buf b = BUF_INIT(ARCHIVE_MAX);
	char line[300];

	snprintf(line, sizeof(line), "tar header at byte 0: %s", words);
	put_entry(&b, header('x', "pax"), text, len);
	put_entry(&b, header('0', "f"), NULL, 0);
	expect_error(&b, code, line);
}

/* --- §1: blocks, numbers --------------------------------------------------------------------- */

static void test_ends(void **state)
{
	struct buf b = BUF_INIT(ARCHIVE_MAX);

	(void)state;
	expect(&b, "");
	put_zeros(&b, 1024);
	expect(&b, "");
	put_entry(&b, header('0', "f"), "x", 1);
	expect(&b, "0 f 644 1:2 3 size=1\n[1]\n"); /* no end blocks */
	put_entry(&b, header('0', "f"), "x", 1);
	put_zeros(&b, 512);
	expect(&b, "0 f 644 1:2 3 size=1\n[1]\n"); /* one of them */
	put_entry(&b, header('0', "f"), "x", 1);
	put_zeros(&b, 10240);
	put_raw(&b, "and anything", 12);
	expect(&b, "0 f 644 1:2 3 size=1\n[1]\n");

	put_zeros(&b, 512);
	put_entry(&b, header('0', "f"), NULL, 0);
	expect_error(&b, -EINVAL,
		     "tar header at byte 512: something follows a single zero block, which is "
		     "neither an end nor an entry");
	put_zeros(&b, 600);
	expect_error(&b, -EINVAL, "tar at byte 600: the archive ends inside of a header");
	put_entry(&b, header('0', "f"), "x", 1);
	b.len--;
	expect(&b, "0 f 644 1:2 3 size=1\n[1]\n"); /* all of the content, at least */
	put_entry(&b, header('0', "f"), "x", 1);
	b.len = 513;
	expect(&b, "0 f 644 1:2 3 size=1\n[1]\n");
	put_entry(&b, header('x', "f"), "8 uid=1\n", 8);
	b.len--;
	expect_error(&b, -EINVAL,
		     "tar at byte 1023: the archive ends inside of the padding of a block");
	put_entry(&b, header('0', "f"), "xyz", 3);
	b.len = 514;
	expect_error(&b, -EINVAL, "tar at byte 514: the archive ends inside of a content");
	put_entry(&b, header('x', "f"), "xyz", 3);
	b.len = 514;
	expect_error(&b, -EINVAL,
		     "tar at byte 514: the archive ends inside of an extension header");
}

static void test_checksums(void **state)
{
	struct buf b = BUF_INIT(ARCHIVE_MAX);
	struct tar_header h = header('0', "\xff\xfe");
	int sum = 0;

	(void)state;
	set_sum(&h);
	put_raw(&b, &h, sizeof(h));
	h.mode[0] = '1';
	put_raw(&b, &h, sizeof(h));
	expect_error(&b, -EINVAL, "tar header at byte 512: the checksum is 6740, expected 6741");

	/* Bytes as signed numbers. */
	h = header('0', "\xff\xfe");
	memset(h.checksum, ' ', 8);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += ((signed char *)&h)[i];
	snprintf(h.checksum, 8, "%06o", (unsigned int)sum);
	put_raw(&b, &h, sizeof(h));
	expect(&b, "0 \xff\xfe 644 1:2 3\n[0]\n");
	memcpy(h.checksum, "99      ", 8);
	put_raw(&b, &h, sizeof(h));
	expect_error(&b, -EINVAL, "tar header at byte 0: the checksum is no number");
}

static void test_numbers(void **state)
{
	struct tar_header h = header('0', "f");

	(void)state;
	memcpy(h.uid, " 17 \0junk", 8); /* trimmed, and cut at the NUL */
	memset(h.gid, 0, 8);
	memcpy(h.mode, "17777777", 8); /* to the end of the field */
	expect_entry(h, "0 f 7777 15:0 3\n[0]\n");
	memcpy(h.uid, "\x80\0\0\0\xff\xff\xff\xfe", 8);
	expect_entry(h, "0 f 7777 4294967294:0 3\n[0]\n");
	memcpy(h.uid, "\x80\0\0\0\xff\xff\xff\xff", 8);
	refuse_entry(h, -EINVAL,
		     "tar header at byte 0: the owner is no number from 0 to 4294967294");
	memcpy(h.uid, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	refuse_entry(h, -EINVAL,
		     "tar header at byte 0: the owner is no number from 0 to 4294967294");
	memcpy(h.uid, "12x", 4);
	refuse_entry(h, -EINVAL,
		     "tar header at byte 0: the owner is no number from 0 to 4294967294");
	h = header('0', "f");
	memcpy(h.gid, "8", 2);
	refuse_entry(h, -EINVAL,
		     "tar header at byte 0: the group is no number from 0 to 4294967294");

	h = header('0', "f");
	memcpy(h.mtime, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12);
	expect_entry(h, "0 f 644 1:2 -2\n[0]\n");
	memcpy(h.mtime, "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12);
	expect_entry(h, "0 f 644 1:2 9223372036854775807\n[0]\n");
	memcpy(h.mtime, "\x80\0\0\0\x80\0\0\0\0\0\0\0", 12);
	refuse_entry(h, -EINVAL, "tar header at byte 0: the modification time is no number");
	memcpy(h.mtime, "\xff\xff\xff\xfe\xff\xff\xff\xff\xff\xff\xff\xfe", 12);
	refuse_entry(h, -EINVAL, "tar header at byte 0: the modification time is no number");

	h = header('0', "f");
	memcpy(h.size, "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12);
	refuse_entry(h, -EINVAL,
		     "tar header at byte 0: the size is no number from 0 to 9223372036854775296");
}

/* --- §1, §2: names --------------------------------------------------------------------------- */

static void test_names(void **state)
{
	char long_name[101], want[300];
	struct buf b = BUF_INIT(ARCHIVE_MAX);
	struct tar_header h;

	(void)state;
	memset(long_name, 'n', 100);
	long_name[100] = '\0';
	h = header('0', long_name);
	memcpy(h.prefix, "a/b", 3);
	snprintf(want, sizeof(want), "0 a/b/%s 644 1:2 3\n[0]\n", long_name);
	expect_entry(h, want);
	/* GNU has something else in that place, and before POSIX there was nothing. */
	memcpy(h.magic, "ustar  ", 8);
	snprintf(want, sizeof(want), "0 %s 644 1:2 3\n[0]\n", long_name);
	expect_entry(h, want);
	memset(h.magic, 0, 8);
	expect_entry(h, want);
	memcpy(h.magic, "ustarX", 6);
	refuse_entry(h, -EINVAL, "tar header at byte 0: its magic is neither POSIX's nor GNU's");
	refuse_entry(header('0', ""), -EINVAL, "tar header at byte 0: an entry without a name");

	/* pax before GNU before the header. */
	put_text(&b, 'L', "gnu");
	put_text(&b, 'K', "gnutarget");
	put_entry(&b, header('2', "short"), NULL, 0);
	put_pax(&b, "path", "p=a\nx");
	put_text(&b, 'L', "gnu");
	put_entry(&b, header('2', "short"), NULL, 0);
	put_pax(&b, "linkpath", "t");
	put_text(&b, 'K', "gnutarget");
	put_entry(&b, header('1', "short"), NULL, 0);
	put_entry(&b, header('L', "x"), "cut\0here", 8);
	put_entry(&b, header('0', "short"), NULL, 0);
	expect(&b, "2 gnu->gnutarget 644 1:2 3\n2 p=a\nx-> 644 1:2 3\n1 short->t 644 1:2 3\n"
		   "0 cut 644 1:2 3\n[0]\n");

	put_entry(&b, header('L', "x"), "name", 4);
	b.data[b.len - 1] = 'x';
	put_entry(&b, header('0', "short"), NULL, 0);
	expect_error(&b, -EINVAL,
		     "tar header at byte 0: bytes behind a long name, which some readers take for "
		     "its end");

	/* Only in archives that have a magic. */
	h = header('L', "x");
	memset(h.magic, 0, 8);
	refuse_entry(h, -ENOTSUP, "tar header at byte 0: entries of type 'L' are not supported");
}

/* --- §2: extensions -------------------------------------------------------------------------- */

static void test_pax_values(void **state)
{
	struct buf b = BUF_INIT(ARCHIVE_MAX);
	struct buf body = BUF_INIT(ARCHIVE_MAX);

	(void)state;
	expect_pax("mtime", "5", "0 f 644 1:2 5\n[0]\n");
	expect_pax("mtime", "5.", "0 f 644 1:2 5\n[0]\n");
	expect_pax("mtime", "5.25", "0 f 644 1:2 5.250000000/250000000\n[0]\n");
	expect_pax("mtime", "5.1234567891", "0 f 644 1:2 5.123456789/123456789\n[0]\n");
	expect_pax("mtime", "-1.25", "0 f 644 1:2 -2.750000000/750000000\n[0]\n");
	expect_pax("mtime", "-0", "0 f 644 1:2 0\n[0]\n");
	expect_pax("mtime", "5.1x", "0 f 644 1:2 5 flags=2\n[0]\n");
	expect_pax("mtime", "5.123456789x", "0 f 644 1:2 5.123456789/123456789 flags=2\n[0]\n");
	expect_pax("uid", "4294967294", "0 f 644 4294967294:2 3\n[0]\n");
	expect_pax("gid", "7", "0 f 644 1:7 3\n[0]\n");
	expect_pax("SCHILY.xattr.user.a", "v=1", "0 f 644 1:2 3 user.a=v=1\n[0]\n");
	expect_pax("LIBARCHIVE.xattr.user.a", "djE=", "0 f 644 1:2 3\n[0]\n");
	expect_pax("RHT.security.selinux", "x", "0 f 644 1:2 3\n[0]\n");
	expect_pax("SCHILY.acl.access", "user::rw-", "0 f 644 1:2 3\n[0]\n");
	expect_pax("uname", "nobody", "0 f 644 1:2 3\n[0]\n");
	expect_pax("comment", "", "0 f 644 1:2 3\n[0]\n");

	/* The last record of a key counts, but the first fraction is told as well. */
	put_record(&body, "mtime", "7.5", 3);
	put_record(&body, "uid", "4", 1);
	put_record(&body, "uid", "5", 1);
	put_record(&body, "mtime", "8.25", 4);
	put_entry(&b, header('x', "pax"), body.data, body.len);
	put_entry(&b, header('0', "f"), NULL, 0);
	/* It belongs to one entry. */
	put_entry(&b, header('0', "g"), NULL, 0);
	expect(&b, "0 f 644 5:2 8.250000000/500000000\n[0]\n0 g 644 1:2 3\n[0]\n");
	buf_fini(&body);

	/* The size is known before the content is read. */
	put_pax(&b, "size", "600");
	put_entry(&b, header('0', "f"), NULL, 0);
	put_zeros(&b, 1024);
	put_entry(&b, header('0', "g"), NULL, 0);
	expect(&b, "0 f 644 1:2 3 size=600\n[600]\n0 g 644 1:2 3\n[0]\n");
}

static void test_pax_refused(void **state)
{
	static const char malformed[] = "a malformed pax record";
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"x", malformed},
		{"10 path=ab", malformed},   /* no newline */
		{"12 path=ab\n", malformed}, /* too long */
		{"10 path=ab\n", malformed}, /* too short */
		{"-11 path=ab\n", malformed},
		{" 11 path=ab\n", malformed},
		{"9 pathab\n", malformed},
		{"6 =ab\n", malformed},
		{"4 a\n", malformed},
		{"99999999999999999999 a=b\n", malformed},
		{"8 path=\n", "a pax record with a name that is empty or has a NUL"},
		{"13 linkpath=\n", "a pax record with a name that is empty or has a NUL"},
		{"7 uid=\n", "a pax record with an owner that is none"},
		{"9 uid=-1\n", "a pax record with an owner that is none"},
		{"18 gid=4294967295\n", "a pax record with an owner that is none"},
		{"11 size=-1\n", "a pax record with a size that is none"},
		{"12 size=1.0\n", "a pax record with a size that is none"},
		{"28 size=9223372036854775807\n", "a pax record with a size that is none"},
		{"9 mtime=\n", "a pax record with a time that is none"},
		{"12 mtime=+1\n", "a pax record with a time that is none"},
		{"12 mtime=.5\n", "a pax record with a time that is none"},
		{"30 mtime=99999999999999999999\n", "a pax record with a time that is none"},
		{"9 \xff\xfe\xfd=ab\n", "a pax record whose key is not UTF-8"},
		{"19 SCHILY.xattr.=a\n", "an extended attribute without a name"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refuse_pax(cases[i].text, strlen(cases[i].text), -EINVAL, cases[i].words);
	refuse_pax("11 path=a\0\n", 11, -EINVAL,
		   "a pax record with a name that is empty or has a NUL");
	refuse_pax("22 GNU.sparse.major=1\n", 22, -ENOTSUP,
		   "a sparse file, which layers cannot have");
}

static void test_xattr_ceilings(void **state)
{
	struct buf b = BUF_INIT(ARCHIVE_MAX);
	char *value = calloc(1, 65537);
	char key[300];

	(void)state;
	memset(value, 'v', 65536);
	snprintf(key, sizeof(key), "SCHILY.xattr.%s", "u.a");
	put_pax(&b, key, value);
	expect_error(&b, -EFBIG,
		     "tar header at byte 0: the value of an extended attribute has more than 65535 "
		     "bytes");
	memset(key + 13, 'n', 256);
	key[13 + 256] = '\0';
	put_pax(&b, key, "");
	expect_error(&b, -EFBIG,
		     "tar header at byte 0: the name of an extended attribute has 1 to 255 bytes, "
		     "and no NUL");
	for (int nr = 256; nr <= 257; nr++) {
		struct buf body = BUF_INIT(ARCHIVE_MAX);

		for (int i = 0; i < nr; i++)
			put_record(&body, "SCHILY.xattr.u", "v", 1);
		put_entry(&b, header('x', "pax"), body.data, body.len);
		put_entry(&b, header('0', "f"), NULL, 0);
		buf_fini(&body);
		if (nr == 257)
			expect_error(&b, -EFBIG,
				     "tar header at byte 0: more than 256 extended attributes");
		else
			buf_fini(&b);
		b = BUF_INIT(ARCHIVE_MAX);
	}
	free(value);
}

static void test_extensions(void **state)
{
	struct buf b = BUF_INIT(ARCHIVE_MAX);
	struct tar_header h;

	(void)state;
	/* Global headers say nothing about layers; even a bad one. */
	put_text(&b, 'g', "14 path=evil\n...");
	put_entry(&b, header('0', "f"), NULL, 0);
	put_text(&b, 'g', "9 uid=77\n");
	put_entry(&b, header('g', "empty"), NULL, 0);
	put_zeros(&b, 1024);
	expect(&b, "0 f 644 1:2 3\n[0]\n");

	put_text(&b, 'x', "11 path=ab\n");
	put_text(&b, 'L', "n");
	put_text(&b, 'L', "m");
	expect_error(&b, -EINVAL, "tar header at byte 2048: a second extension header of one type");
	put_pax(&b, "path", "a");
	put_pax(&b, "path", "b");
	expect_error(&b, -EINVAL, "tar header at byte 1024: a second extension header of one type");
	put_pax(&b, "path", "a");
	expect_error(&b, -EINVAL,
		     "tar header at byte 0: the archive ends behind an extension header");
	put_text(&b, 'L', "n");
	put_zeros(&b, 1024);
	expect_error(&b, -EINVAL,
		     "tar header at byte 1024: the archive ends behind an extension header");

	for (int i = 0; i < 17; i++)
		put_text(&b, 'g', "x");
	expect_error(&b, -EFBIG,
		     "tar header at byte 16384: more than 16 extension headers for one entry");
	h = header('x', "big");
	memcpy(h.size, "00004000001", 12);
	refuse_entry(h, -EFBIG,
		     "tar header at byte 0: more than 1 MiB of extension headers for one entry");
}

/* --- §3: types ------------------------------------------------------------------------------- */

static void test_types(void **state)
{
	struct tar_header h;

	(void)state;
	expect_entry(header('0', "f/"), "0 f/ 644 1:2 3\n[0]\n");
	expect_entry(header('\0', "f"), "0 f 644 1:2 3\n[0]\n");
	expect_entry(header('\0', "f/"), "0 f/ 644 1:2 3 flags=1\n[0]\n");
	expect_entry(header('7', "f"), "0 f 644 1:2 3\n[0]\n");
	expect_entry(header('1', "f"), "1 f-> 644 1:2 3\n");
	expect_entry(header('2', "f"), "2 f-> 644 1:2 3\n");
	expect_entry(header('5', "d"), "5 d 644 1:2 3\n");
	expect_entry(header('6', "p"), "6 p 644 1:2 3\n");
	h = header('3', "c");
	strcpy(h.major, "0007777");
	strcpy(h.minor, "3777777");
	expect_entry(h, "3 c 644 1:2 3 dev=4095,1048575\n");
	h.type = '4';
	expect_entry(h, "4 c 644 1:2 3 dev=4095,1048575\n");
	strcpy(h.minor, "4000000");
	refuse_entry(
		h, -EINVAL,
		"tar header at byte 0: the minor device number is no number from 0 to 1048575");
	strcpy(h.major, "0010000");
	refuse_entry(h, -EINVAL,
		     "tar header at byte 0: the major device number is no number from 0 to 4095");
	memset(h.magic, 0, 8);
	refuse_entry(h, -EINVAL,
		     "c (tar header at byte 0): a device in a header that has no numbers");

	for (const char *type = "123456"; *type; type++) {
		h = header(*type, "sized");
		strcpy(h.size, "00000000001");
		refuse_entry(h, -EINVAL,
			     "sized (tar header at byte 0): only files have content, this has a "
			     "size");
	}
	refuse_entry(header('S', "s"), -ENOTSUP,
		     "tar header at byte 0: a sparse file, which layers cannot have");
	for (const char *type = "DMNVAI89Zz"; *type; type++) {
		char words[100];

		snprintf(words, sizeof(words),
			 "tar header at byte 0: entries of type '%c' are not supported", *type);
		refuse_entry(header(*type, "t"), -ENOTSUP, words);
	}
}

/* --- skipping -------------------------------------------------------------------------------- */

static void test_skip(void **state)
{
	struct seen s = {.text = BUF_INIT(ARCHIVE_MAX), .bytes = BUF_INIT(ARCHIVE_MAX)};
	const struct tar_handler handler = {on_raw, on_entry, on_content, &s};
	struct buf b = BUF_INIT(ARCHIVE_MAX);
	struct tar_reader *r;
	struct cairn_error err;

	(void)state;
	put_entry(&b, header('0', "f"), "abc", 3);
	assert_int_equal(tar_reader_new(&handler, &r), 0);
	assert_int_equal(tar_reader_due(r), 0);
	assert_int_equal(tar_reader_skip(r, 3, &err), -EINVAL);
	assert_int_equal(tar_reader_feed(r, b.data, 512, &err), 0);
	assert_int_equal(tar_reader_due(r), 3);
	assert_int_equal(tar_reader_skip(r, 4, &err), -EINVAL);
	assert_string_equal(err.text, "tar at byte 512: a content of 4 bytes where 3 are due");
	assert_int_equal(tar_reader_skip(r, 3, &err), 0);
	assert_int_equal(tar_reader_feed(r, b.data + 515, 509, &err), 0);
	assert_int_equal(tar_reader_finish(r, &err), 0);
	assert_int_equal(s.bytes.len, 1024 - 3);
	tar_reader_free(r);
	seen_fini(&s);
	buf_fini(&b);
}

/* --- writing --------------------------------------------------------------------------------- */

static int collect(void *arg, const void *data, unsigned long size)
{
	return buf_put(arg, data, size);
}

static void test_write(void **state)
{
	static struct xattr_input xattrs[] = {
		{.name = "user.a", .name_len = 6, .value = "1\n\0=", .value_len = 4},
		{.name = "security.capability", .name_len = 19, .value = "", .value_len = 0},
	};
	char long_path[300], deep[200], want[2000];
	struct buf b = BUF_INIT(ARCHIVE_MAX);
	struct tar_writer w cleanup_tar_writer = TAR_WRITER_INIT(collect, &b);
	struct cairn_error err = {0};

	(void)state;
	memset(long_path, 'l', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	memset(deep, 'd', sizeof(deep) - 1);
	deep[120] = '/'; /* fits as prefix and name */
	deep[sizeof(deep) - 1] = '\0';
	const struct tar_entry entries[] = {
		{.type = TAR_DIRECTORY, .path = "d", .mode = 01755, .mtime = 1},
		{.type = TAR_FILE,
		 .path = "d/f",
		 .mode = 0644,
		 .uid = 2097152,
		 .gid = 2097151,
		 .size = 600,
		 .mtime = 2},
		{.type = TAR_FILE, .path = "d/empty", .mtime = (int64_t)1 << 40},
		{.type = TAR_SYMLINK, .path = long_path, .target = long_path},
		{.type = TAR_HARDLINK, .path = deep, .target = "d/f"},
		{.type = TAR_CHARDEV, .path = "c", .major = 4095, .minor = 1048575, .mtime = -1},
		{.type = TAR_FIFO, .path = "p", .mtime = -3, .mtime_nsec = 250000000},
		{.type = TAR_FILE, .path = "x", .mtime_nsec = 1, .xattrs = xattrs, .nr_xattrs = 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		struct tar_entry e = entries[i];
		char content[600] = "c";

		e.path_len = (uint32_t)strlen(e.path);
		e.target = e.target ? e.target : "";
		e.target_len = (uint32_t)strlen(e.target);
		assert_int_equal(tar_write_entry(&w, &e, &err), 0);
		if (e.size) {
			assert_int_equal(tar_write_end(&w), -EINVAL);
			assert_int_equal(tar_write_content(&w, content, 100), 0);
			assert_int_equal(tar_write_content(&w, content, 500), 0);
		}
		assert_int_equal(tar_write_content(&w, content, 1), -EINVAL);
	}
	assert_int_equal(tar_write_end(&w), 0);
	assert_int_equal(b.len, w.offset);
	snprintf(want, sizeof(want),
		 "5 d/ 1755 0:0 1\n0 d/f 644 2097152:2097151 2 size=600\n[600]\n"
		 "0 d/empty 0 0:0 1099511627776\n[0]\n2 %s->%s 0 0:0 0\n1 %s->d/f 0 0:0 0\n"
		 "3 c 0 0:0 -1 dev=4095,1048575\n6 p 0 0:0 -3.250000000/250000000\n"
		 "0 x 0 0:0 0.000000001/000000001 user.a=1\n "
		 "security.capability=\n[0]\n",
		 long_path, long_path, deep);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct seen s;

		assert_int_equal(read_archive(&b, pieces[i], &s, &err), 0);
		assert_string_equal(s.text.data, want);
		seen_fini(&s);
	}
	/* Only where ustar says less: the link in two fields has none. */
	assert_null(memmem(b.data, b.len, "path=d", 6));
	buf_fini(&b);

	xattrs[0].name = "user=a";
	assert_int_equal(tar_write_entry(&w,
					 &(struct tar_entry){.type = TAR_FILE,
							     .path = "x",
							     .path_len = 1,
							     .xattrs = xattrs,
							     .nr_xattrs = 1},
					 &err),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),           cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_numbers),        cmocka_unit_test(test_names),
		cmocka_unit_test(test_pax_values),     cmocka_unit_test(test_pax_refused),
		cmocka_unit_test(test_xattr_ceilings), cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_types),          cmocka_unit_test(test_skip),
		cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
