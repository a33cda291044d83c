/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * httptool [OPTION=VALUE...] URL...: requests through src/sys/http.h, for the tests.
 *
 * The URLs are asked all at once. Of each: a line with its number, result, status, size, whether it was a
 * part, and the sum of its bytes or the words of its failure.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sys/http.h"

#define URLS_MAX 64

struct answer {
	struct http_request request;
	unsigned int number;
	uint64_t sum; /* FNV-1a of the bytes in order */
	const char *fill;
};

static struct answer answers[URLS_MAX];
static uint64_t cancel_at;

static int take(void *arg, const void *data, size_t size)
{
	struct answer *a = arg;

	for (size_t i = 0; i < size; i++)
		a->sum = (a->sum ^ ((const unsigned char *)data)[i]) * 0x100000001b3;
	return 0;
}

static int give(void *arg, uint64_t offset, void *data, size_t size)
{
	const char *text = arg;

	for (size_t i = 0; i < size; i++)
		((char *)data)[i] = text[(offset + i) % strlen(text)];
	return (int)size;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool cancelled(void *arg)
{
	(void)arg;
	return cancel_at && now() >= cancel_at;
}

static const char *value_of(const char *word, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(word, name, len) && word[len] == '=' ? word + len + 1 : NULL;
}

static bool set(struct http_options *o, struct http_request *r, const char *word)
{
	static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
	const char *v;

	if ((v = value_of(word, "ca")))
		o->ca_file = v;
	else if ((v = value_of(word, "proxy")))
		o->proxy = v;
	else if ((v = value_of(word, "insecure")))
		o->insecure = true;
	else if ((v = value_of(word, "attempts")))
		o->attempts = (unsigned int)atoi(v);
	else if ((v = value_of(word, "stall")))
		o->stall_seconds = (unsigned int)atoi(v);
	else if ((v = value_of(word, "connections")))
		o->connections = (unsigned int)atoi(v);
	else if ((v = value_of(word, "cancel")))
		cancel_at = now() + (uint64_t)atoi(v);
	else if ((v = value_of(word, "authorization")))
		r->authorization = v;
	else if ((v = value_of(word, "from")))
		r->range_from = strtoull(v, NULL, 10);
	else if ((v = value_of(word, "size")))
		r->range_size = strtoull(v, NULL, 10);
	else if ((v = value_of(word, "send")))
		r->body_size = strtoull(v, NULL, 10);
	else if ((v = value_of(word, "keep")))
		r->body_max = (size_t)atoi(v);
	else if ((v = value_of(word, "method"))) {
		for (unsigned int i = 0; i < ARRAY_SIZE(methods); i++) {
			if (!strcmp(v, methods[i]))
				r->method = (enum http_method)i;
		}
	} else {
		return false;
	}
	return true;
}

static void print(const struct answer *a)
{
	const struct http_request *r = &a->request;

	printf("%u result %d status %d size %" PRIu64 " partial %d", a->number, r->result,
	       r->status, r->size, r->partial);
	if (r->result < 0)
		printf(" error %s\n", r->error.text);
	else if (r->status >= 300)
		printf(" said %.*s\n", (int)r->ret_body.len, r->ret_body.data);
	else
		printf(" sum %016" PRIx64 "\n", a->sum);
}

int main(int argc, char **argv)
{
	struct http_options options = {.pause_ms = 20, .stall_seconds = 2};
	struct http_request model = HTTP_REQUEST_INIT, *done;
	struct cairn_error err;
	struct http *h cleanup(http) = NULL;
	unsigned int nr = 0;
	int at = 1;

	while (at < argc && set(&options, &model, argv[at]))
		at++;
	options.cancelled = cancelled;
	if (http_open(&options, &h, &err) < 0) {
		printf("%s\n", err.text);
		return 1;
	}
	for (; at < argc && nr < URLS_MAX; at++, nr++) {
		struct answer *a = &answers[nr];

		*a = (struct answer){.request = model, .number = nr, .sum = 0xcbf29ce484222325};
		a->request.url = argv[at];
		a->request.write = model.body_max ? NULL : take;
		a->request.arg = a;
		a->request.body_read = give;
		a->request.body_arg = (void *)"0123456789";
		if (http_start(h, &a->request) < 0)
			printf("%u %s\n", nr, a->request.error.text);
	}
	while ((done = http_wait(h)) != NULL) {
		print(done->arg);
		http_request_fini(done);
	}
	return 0;
}
