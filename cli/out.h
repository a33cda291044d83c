/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Output: what goes to standard output (the result) and to standard error (talk).
 *
 * A result is a row: cells in the order of a table's keys. As text it fills a template ("{digest}  {path}\n";
 * "{size:9}" is a number in at least nine columns, "{refs} ref{refs:s}" 1 ref, or 2 refs); as JSON it is
 * one object on a line with every key. Both come from the same cells, so they cannot drift.
 */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <string.h>

#include <cairn/tree.h>

#include "base/macro.h"

/* A buffered descriptor. */
struct out {
	int fd;
	int error;   /* the first failure to write, a negative errno; what follows it is dropped */
	size_t len;  /* bytes that wait in @data */
	size_t size; /* bytes of @data */
	char *data;
};

extern struct out out_result; /* standard output */
extern struct out out_talk;   /* standard error */
extern bool out_json;         /* --json was given */

void out_put(struct out *o, const void *data, size_t size);
void out_puts(struct out *o, const char *text);
void out_printf(struct out *o, const char *fmt, ...) __printf_like(2, 3);

/* A decimal number, right-aligned in at least @width columns (at most 20). */
void out_number(struct out *o, uint64_t number, unsigned int width);

/* A name from outside, harmless for a terminal: backslashes, control characters and what is not
 * UTF-8 as in dump text (\\ \n \r \t \xhh). */
void out_name(struct out *o, const void *name, size_t len);

/* The same for a sentence, where backslashes stay: names in it may be escaped already. */
void out_words(struct out *o, const char *text);

/* A JSON string; bytes that are not UTF-8 become U+FFFD. */
void out_json_string(struct out *o, const void *text, size_t len);

/* Whether @text is UTF-8 from end to end. */
bool out_is_utf8(const void *text, size_t len);

/* "0 B", "1023 B", "1.5 KiB" … */
void out_size(struct out *o, uint64_t bytes);

/* Writes what waits. Returns 0 or the first error of this output. */
int out_flush(struct out *o);

/* A cairn_write_fn; @arg: a struct out. */
int out_write(void *arg, const void *data, unsigned long size);

/* --- rows ------------------------------------------------------------------------------------ */

enum cell_type {
	CELL_NONE = 0, /* text "-", JSON null */
	CELL_WORD,     /* words; what is in them from outside is escaped already */
	CELL_NAME, /* bytes from outside; JSON: KEY, and KEY_hex as well when they are not UTF-8 */
	CELL_NUMBER,
	CELL_SIZE,    /* bytes; text "1.5 KiB", JSON a number */
	CELL_SECONDS, /* text "1.50 s", JSON a number */
	CELL_BOOL,    /* text yes or no */
	CELL_MODE,    /* st_mode; text "drwxr-xr-x", JSON octal in a string */
	CELL_TIME,    /* seconds since 1970; text in UTC, JSON a number */
	CELL_DIGEST,  /* hexadecimal */
	CELL_XATTRS,  /* JSON: array of {"name", "value"} */
	CELL_NAMES,   /* text parted by commas; JSON: array of strings */
};

struct cell {
	enum cell_type type;
	size_t len; /* NAME: bytes; XATTRS, NAMES: their number */
	union {
		const char *text;
		uint64_t number;
		int64_t time;
		double seconds;
		const struct cairn_digest *digest;
		const struct cairn_xattr *xattrs;
		const char *const *names;
	};
};

static inline struct cell cell_none(void)
{
	return (struct cell){.type = CELL_NONE};
}

static inline struct cell cell_word(const char *word)
{
	return (struct cell){.type = word ? CELL_WORD : CELL_NONE, .text = word};
}

static inline struct cell cell_data(const void *data, size_t len)
{
	return (struct cell){.type = data ? CELL_NAME : CELL_NONE, .len = len, .text = data};
}

static inline struct cell cell_name(const char *name)
{
	return cell_data(name, name ? strlen(name) : 0);
}

static inline struct cell cell_number(uint64_t number)
{
	return (struct cell){.type = CELL_NUMBER, .number = number};
}

static inline struct cell cell_size(uint64_t bytes)
{
	return (struct cell){.type = CELL_SIZE, .number = bytes};
}

static inline struct cell cell_seconds(double seconds)
{
	return (struct cell){.type = CELL_SECONDS, .seconds = seconds};
}

static inline struct cell cell_bool(bool yes)
{
	return (struct cell){.type = CELL_BOOL, .number = yes};
}

static inline struct cell cell_mode(uint32_t mode)
{
	return (struct cell){.type = CELL_MODE, .number = mode};
}

static inline struct cell cell_time(int64_t seconds)
{
	return (struct cell){.type = CELL_TIME, .time = seconds};
}

static inline struct cell cell_digest(const struct cairn_digest *digest)
{
	return (struct cell){.type = digest && digest->alg ? CELL_DIGEST : CELL_NONE,
			     .digest = digest};
}

static inline struct cell cell_xattrs(const struct cairn_xattr *xattrs, size_t nr)
{
	return (struct cell){.type = CELL_XATTRS, .len = nr, .xattrs = xattrs};
}

static inline struct cell cell_names(const char *const *names, size_t nr)
{
	return (struct cell){.type = CELL_NAMES, .len = nr, .names = names};
}

/* One row of the result: fills template @text on standard output, or with --json prints an object.
 * @keys: names of the cells, ending with NULL. */
void out_row(const char *const *keys, const char *text, const struct cell *cells);

/* Fills template @text with the cells on output @o, whatever --json says. */
void out_text(struct out *o, const char *const *keys, const char *text, const struct cell *cells);

#endif
