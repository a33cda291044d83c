/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Trees from dump text.
 *
 * With two jobs a second thread reads a file ahead: one buffer is parsed while the other is filled.
 * Reading from the page cache takes a fifth of the time that parsing takes.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include "api/api-internal.h"
#include "dump/parse.h"
#include "sys/io.h"

/* Fits into the second-level cache with what the parser touches. */
#define READ_SIZE (256u << 10)

struct reader {
	int fd;
	char *buffer[2];

	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t changed;
	ssize_t got[2]; /* bytes in each buffer, 0: the end, or a negative errno */
	bool full[2];   /* to be parsed; else to be filled */
	bool stop;      /* nobody will parse any more */
};

DEFINE_CLEANUP(struct dump_parser *, dump_parser, dump_parser_free)

static void *read_ahead(void *arg)
{
	struct reader *r = (struct reader *)arg;
	ssize_t got = 1;

	for (unsigned int i = 0; got > 0; i ^= 1) {
		pthread_mutex_lock(&r->lock);
		while (r->full[i] && !r->stop)
			pthread_cond_wait(&r->changed, &r->lock);
		if (r->stop)
			got = 0;
		pthread_mutex_unlock(&r->lock);
		if (got > 0)
			got = read_full(r->fd, r->buffer[i], READ_SIZE);

		pthread_mutex_lock(&r->lock);
		r->got[i] = got;
		r->full[i] = true;
		pthread_cond_signal(&r->changed);
		pthread_mutex_unlock(&r->lock);
	}
	return NULL;
}

static ssize_t take_filled(struct reader *r, unsigned int i)
{
	ssize_t got;

	pthread_mutex_lock(&r->lock);
	while (!r->full[i])
		pthread_cond_wait(&r->changed, &r->lock);
	got = r->got[i];
	pthread_mutex_unlock(&r->lock);
	return got;
}

static void give_back(struct reader *r, unsigned int i, bool stop)
{
	pthread_mutex_lock(&r->lock);
	r->full[i] = false;
	r->stop = stop;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

/* Feeds the parser to the end of the text. @ahead: a thread fills the buffers. */
static int feed(struct dump_parser *p, struct reader *r, bool ahead, struct cairn_error *err)
{
	int code = 0;

	for (unsigned int i = 0;; i ^= 1) {
		ssize_t got = ahead ? take_filled(r, i) : read_full(r->fd, r->buffer[i], READ_SIZE);

		if (got < 0)
			code = error_errno(err, (int)got, "read the dump");
		else if (got)
			code = dump_parser_feed(p, r->buffer[i], (size_t)got, err);
		if (ahead)
			give_back(r, i, code < 0);
		if (code < 0 || !got)
			return code;
	}
}

/* Who writes into a pipe may take his time: after an error nobody waits for him. */
static bool is_file(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode);
}

static int parse(struct dump_parser *p, struct reader *r, unsigned int jobs,
		 struct cairn_error *err)
{
	pthread_t thread;
	bool ahead = jobs > 1 && is_file(r->fd) && !pthread_create(&thread, NULL, read_ahead, r);
	int code = feed(p, r, ahead, err);

	if (ahead)
		pthread_join(thread, NULL);
	return code;
}

int cairn_tree_from_dump(int fd, unsigned int flags, unsigned int jobs, struct cairn_tree **ret,
			 struct cairn_error *err)
{
	struct dump_parser *p cleanup(dump_parser) = NULL;
	struct reader r = {
		.fd = fd, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	cleanup_free char *memory = NULL;
	struct tree *t;
	int code;

	memory = (char *)malloc(2 * (size_t)READ_SIZE);
	if (!memory || dump_parser_new(flags, &p) < 0)
		return error_errno(err, -ENOMEM, "parse the dump");
	r.buffer[0] = memory;
	r.buffer[1] = memory + READ_SIZE;

	code = parse(p, &r, jobs, err);
	if (!code)
		code = dump_parser_finish(p, &t, err);
	if (code < 0)
		return code;
	*ret = tree_to_public(t);
	return 0;
}
