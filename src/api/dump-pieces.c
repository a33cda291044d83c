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
#include "base/buf.h"
#include "base/parallel.h"
#include "dump/parse.h"
#include "sys/io.h"

/* Fits into the second-level cache with what the parser touches. */
#define PIECE_SIZE (128u << 10)

/* Most lines are shorter: read at once behind a piece, for its last line. */
#define LINE_USUAL (4u << 10)

/* Nobody has more to parse than so many threads can. */
#define JOBS_MAX 64

struct pieces {
	int fd;
	off_t start, end; /* of the text, in the file */
	unsigned int jobs;
	struct dump_parser *parser[JOBS_MAX];
	struct buf buffer[JOBS_MAX];
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
		buf_fini(&p->buffer[i]);
	}
}

#define cleanup_pieces __attribute__((__cleanup__(pieces_fini)))

static int pieces_init(struct pieces *p, unsigned int flags)
{
	if (dump_join_new(&p->join) < 0)
		return -ENOMEM;
	for (unsigned int i = 0; i < p->jobs; i++) {
		p->buffer[i] = BUF_INIT(PIECE_SIZE + 2 * (size_t)DUMP_LINE_MAX);
		if (dump_parser_new(flags, &p->parser[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Reads on, up to @size bytes. Returns 1 when there is no more; 0, or a negative errno. */
static int read_more(const struct pieces *p, struct buf *b, off_t start, size_t size)
{
	ssize_t got;

	if (buf_reserve(b, size) < 0)
		return -ENOMEM;
	got = pread_full(p->fd, b->data + b->len, size, start + (off_t)b->len);
	if (got < 0)
		return (int)got;
	b->len += (size_t)got;
	return (size_t)got < size;
}

/* The lines that begin in piece @i, all of their bytes, in @b: from *@ret_text on. */
static int read_piece(const struct pieces *p, size_t i, struct buf *b, const char **ret_text,
		      size_t *ret_size)
{
	/* With the byte before it, which says whether a line begins there. */
	size_t before = i ? 1 : 0;
	off_t start = p->start + (off_t)(i * PIECE_SIZE) - (off_t)before;
	const size_t piece_end = before + PIECE_SIZE;
	const char *lf = NULL;
	size_t text = 0, size;
	int r;

	b->len = 0;
	r = read_more(p, b, start, piece_end + LINE_USUAL);
	if (r < 0)
		return r;
	size = MIN(b->len, piece_end);
	if (before) {
		lf = (const char *)memchr(b->data, '\n', size);
		text = lf ? (size_t)(lf - b->data) + 1 : size;
	}
	*ret_size = 0;
	if (text == size)
		return 0;

	for (size_t from = size - 1;;) {
		lf = (const char *)memchr(b->data + from, '\n', b->len - from);
		if (lf || r)
			break;
		if (b->len > piece_end + DUMP_LINE_MAX)
			return -EAGAIN;
		from = b->len;
		r = read_more(p, b, start, b->len - size + LINE_USUAL);
		if (r < 0)
			return r;
	}
	*ret_text = b->data + text;
	*ret_size = (lf ? (size_t)(lf - b->data) + 1 : b->len) - text;
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
