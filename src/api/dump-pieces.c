/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A long dump text, parsed in pieces by several threads.
 *
 * Each thread takes the next piece, reads it and parses it; pieces are joined in order.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "api/api-internal.h"
#include "base/parallel.h"
#include "dump/parse.h"
#include "sys/io.h"

/* Fits into the second-level cache with what the parser touches. */
#define PIECE_SIZE (128u << 10)

/* Most lines are shorter: read at once behind a piece, for its last line. */
#define LINE_USUAL (4u << 10)

/* Nobody has more to parse than so many threads can. */
#define JOBS_MAX 64

struct text_buffer {
	char *data;
	size_t len, size;
};

struct pieces {
	int fd;
	off_t start, end; /* of the text, in the file */
	unsigned int jobs;
	struct dump_parser *parser[JOBS_MAX];
	struct text_buffer buffer[JOBS_MAX];
	struct dump_join *join;
	struct dump_piece *parsed[2 * JOBS_MAX]; /* by slot: not yet joined */
};

static void pieces_fini(struct pieces *p)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(p->parsed); i++)
		dump_piece_free(p->parsed[i]);
	dump_join_free(p->join);
	for (unsigned int i = 0; i < p->jobs; i++) {
		dump_parser_free(p->parser[i]);
		free(p->buffer[i].data);
	}
}

#define cleanup_pieces __attribute__((__cleanup__(pieces_fini)))

static int pieces_init(struct pieces *p, unsigned int flags)
{
	if (dump_join_new(&p->join) < 0)
		return -ENOMEM;
	for (unsigned int i = 0; i < p->jobs; i++)
		if (dump_parser_new(flags, &p->parser[i]) < 0)
			return -ENOMEM;
	return 0;
}

/* Makes room for @size bytes. */
static int grow(struct text_buffer *b, size_t size)
{
	char *bigger;

	if (size <= b->size)
		return 0;
	size = MAX(size, 2 * b->size);
	bigger = (char *)io_buffer(size);
	if (!bigger)
		return -ENOMEM;
	if (b->len)
		memcpy(bigger, b->data, b->len);
	free(b->data);
	b->data = bigger;
	b->size = size;
	return 0;
}

/* Reads on, up to @size bytes. Returns 1 when there is no more; 0, or a negative errno. */
static int read_more(const struct pieces *p, struct text_buffer *b, off_t start, size_t size)
{
	ssize_t got;

	if (grow(b, b->len + size) < 0)
		return -ENOMEM;
	got = pread_full(p->fd, b->data + b->len, size, start + (off_t)b->len);
	if (got < 0)
		return (int)got;
	b->len += (size_t)got;
	return (size_t)got < size;
}

/* The lines of piece @i, all of their bytes, in @b: those that begin behind the first byte of the
 * piece, or in the first piece there, up to the first byte of the next piece. */
static int read_piece(const struct pieces *p, size_t i, struct text_buffer *b,
		      const char **ret_text, size_t *ret_size)
{
	const off_t start = p->start + (off_t)(i * PIECE_SIZE);
	const char *lf;
	size_t text = 0;
	int r;

	*ret_size = 0;
	b->len = 0;
	r = read_more(p, b, start, PIECE_SIZE + LINE_USUAL);
	if (r < 0)
		return r;
	if (i) {
		lf = (const char *)memchr(b->data, '\n', MIN(b->len, (size_t)PIECE_SIZE));
		if (!lf)
			return 0;
		text = (size_t)(lf + 1 - b->data);
	}

	for (size_t from = PIECE_SIZE;;) {
		lf = b->len > from ? (const char *)memchr(b->data + from, '\n', b->len - from)
				   : NULL;
		if (lf || r)
			break;
		if (b->len > PIECE_SIZE + DUMP_LINE_MAX)
			return -EAGAIN;
		from = b->len;
		r = read_more(p, b, start, b->len - PIECE_SIZE);
		if (r < 0)
			return r;
	}
	*ret_text = b->data + text;
	*ret_size = (lf ? (size_t)(lf + 1 - b->data) : b->len) - text;
	/* Somebody writes to the file. */
	return start + (off_t)b->len > p->end ? -EAGAIN : 0;
}

static int parse_piece(void *arg, unsigned int worker, size_t i, unsigned int slot)
{
	struct pieces *p = (struct pieces *)arg;
	const char *text = "";
	size_t size;
	int r;

	r = read_piece(p, i, &p->buffer[worker], &text, &size);
	if (r < 0)
		return r;
	return dump_parser_piece(p->parser[worker], i == 0, text, size, &p->parsed[slot]);
}

static int join_piece(void *arg, unsigned int worker, size_t i, unsigned int slot)
{
	struct pieces *p = (struct pieces *)arg;

	(void)worker;
	(void)i;
	return dump_join_add(p->join, take_ptr(p->parsed[slot]));
}

int dump_read_pieces(int fd, unsigned int flags, unsigned int jobs, struct tree **ret)
{
	cleanup_pieces struct pieces p = {.fd = fd};
	struct stat st;
	size_t nr;
	int r;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EAGAIN;
	p.start = lseek(fd, 0, SEEK_CUR);
	p.end = st.st_size;
	if (p.start < 0 || p.end - p.start < (off_t)PIECE_SIZE)
		return -EAGAIN;
	nr = (size_t)(p.end - p.start - 1) / PIECE_SIZE + 1;
	p.jobs = MIN(jobs, (unsigned int)MIN(nr, (size_t)JOBS_MAX));

	r = pieces_init(&p, flags);
	if (!r)
		r = parallel_in_order(p.jobs, nr, 2 * p.jobs, parse_piece, join_piece, &p);
	if (!r)
		r = dump_join_finish(p.join, p.parser, p.jobs, &(struct team){p.jobs, parallel_for},
				     ret);
	if (r < 0)
		return r == -ENOMEM ? r : -EAGAIN;
	(void)lseek(fd, p.end, SEEK_SET);
	return 0;
}
