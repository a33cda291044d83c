/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The client: which requests are under way, and waiting for them.
 *
 * libcurl's "multi" interface does the transfers of one thread; what has to wait before it is tried
 * again waits here.
 */
#include "sys/http.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/error.h"
#include "sys/http-internal.h"

#define POLL_MS 200 /* between two questions whether the user has cancelled */

uint64_t http_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int http_open(const struct http_options *options, struct http **ret, struct cairn_error *err)
{
	const struct curl_functions *curl = curl_load(err);
	struct http *h;

	if (!curl)
		return -ENOPKG;
	h = (struct http *)calloc(1, sizeof(*h));
	if (!h)
		return error_errno(err, -ENOMEM, "HTTP client");
	h->curl = curl;
	h->options = *options;
	h->multi = curl->curl_multi_init();
	if (!h->multi) {
		free(h);
		return error_errno(err, -ENOMEM, "HTTP client");
	}
	if (!h->options.connections)
		h->options.connections = 6;
	if (!h->options.attempts)
		h->options.attempts = 5;
	if (!h->options.pause_ms)
		h->options.pause_ms = 1000;
	if (!h->options.connect_seconds)
		h->options.connect_seconds = 30;
	if (!h->options.stall_seconds)
		h->options.stall_seconds = 60;
	curl->curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
				(long)h->options.connections);
	*ret = h;
	return 0;
}

static void free_attempt(struct http_attempt *a)
{
	attempt_detach(a);
	free(a->origin);
	free(a->url);
	free(a->etag);
	a->request->attempt = NULL;
	free(a);
}

static void unlink_attempt(struct http *h, struct http_attempt *a)
{
	struct http_attempt **at = &h->attempts;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
}

void http_close(struct http *h)
{
	if (!h)
		return;
	while (h->attempts) {
		struct http_attempt *a = h->attempts;

		h->attempts = a->next;
		free_attempt(a);
	}
	h->curl->curl_multi_cleanup(h->multi);
	free(h);
}

void http_request_fini(struct http_request *request)
{
	buf_fini(&request->head);
	buf_fini(&request->ret_body);
	free(request->final_url);
	request->final_url = NULL;
}

static void forget_answer(struct http_request *request)
{
	http_request_fini(request);
	request->head.ceiling = HTTP_HEADERS_MAX;
	request->ret_body.ceiling = MAX(request->body_max, (size_t)HTTP_ERROR_BODY_MAX);
	request->result = request->status = 0;
	request->size = request->total = 0;
	request->total_known = request->partial = false;
	request->error = (struct cairn_error){0};
}

int http_start(struct http *h, struct http_request *request)
{
	struct http_attempt **end = &h->attempts, *a;
	char text[URL_TEXT_MAX];

	forget_answer(request);
	a = (struct http_attempt *)calloc(1, sizeof(*a));
	if (!a)
		return error_errno(&request->error, -ENOMEM, "HTTP request");
	a->h = h;
	a->request = request;
	a->origin = http_origin(h, request->url);
	a->url = strdup(request->url);
	if (!a->origin || !a->url) {
		free(a->origin);
		free(a->url);
		free(a);
		return error_set(&request->error, -EINVAL, CAIRN_ERROR_USAGE,
				 "%s: not a URL of http or https",
				 http_url_text(request->url, text));
	}
	a->state = ATTEMPT_WAITING;
	request->attempt = a;
	while (*end)
		end = &(*end)->next;
	*end = a;
	return 0;
}

/* Milliseconds until something has to be begun; starts what is due. */
static uint64_t start_due(struct http *h)
{
	uint64_t now = http_now(), wait = POLL_MS;

	for (struct http_attempt *a = h->attempts; a; a = a->next) {
		if (a->state != ATTEMPT_WAITING)
			continue;
		if (a->not_before <= now)
			attempt_start(a);
		else
			wait = MIN(wait, a->not_before - now);
	}
	return wait;
}

static void finish_transfers(struct http *h)
{
	int left;
	CURLMsg *message;

	while ((message = h->curl->curl_multi_info_read(h->multi, &left)) != NULL) {
		struct http_attempt *a = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		h->curl->curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &a);
		attempt_finish(a, message->data.result);
	}
}

static void fail_all(struct http *h, int code, const char *words)
{
	for (struct http_attempt *a = h->attempts; a; a = a->next) {
		if (a->state == ATTEMPT_DONE)
			continue;
		error_set(&a->request->error, code, CAIRN_ERROR_SYSTEM, "%s", words);
		attempt_end(a, code);
	}
}

static bool is_done(const struct http *h, const struct http_request *wanted)
{
	if (wanted)
		return wanted->attempt->state == ATTEMPT_DONE;
	for (const struct http_attempt *a = h->attempts; a; a = a->next) {
		if (a->state == ATTEMPT_DONE)
			return true;
	}
	return !h->attempts;
}

/* Until @wanted is done, or any if it is NULL. */
static void run(struct http *h, const struct http_request *wanted)
{
	int running;

	while (!is_done(h, wanted)) {
		uint64_t wait;

		if (h->options.cancelled && h->options.cancelled(h->options.cancelled_arg)) {
			fail_all(h, -ECANCELED, "cancelled");
			return;
		}
		wait = start_due(h);
		if (h->curl->curl_multi_perform(h->multi, &running) != CURLM_OK) {
			fail_all(h, -EIO, "libcurl failed");
			return;
		}
		finish_transfers(h);
		if (is_done(h, wanted))
			return;
		/* What was redirected a moment ago waits for nothing. */
		wait = MIN(wait, start_due(h));
		h->curl->curl_multi_poll(h->multi, NULL, 0, (int)wait, NULL);
	}
}

/* TLS writes with write(2): a connection that was closed must not kill the process. */
static void run_without_sigpipe(struct http *h, const struct http_request *wanted)
{
	const struct timespec none = {0};
	sigset_t pipe, before, pending;
	bool was_pending;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE) == 1;
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	run(h, wanted);
	if (!was_pending)
		(void)sigtimedwait(&pipe, NULL, &none);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct http_request *http_wait(struct http *h)
{
	run_without_sigpipe(h, NULL);
	for (struct http_attempt *a = h->attempts; a; a = a->next) {
		struct http_request *request = a->request;

		if (a->state != ATTEMPT_DONE)
			continue;
		unlink_attempt(h, a);
		free_attempt(a);
		return request;
	}
	return NULL;
}

void http_cancel(struct http *h, struct http_request *request)
{
	struct http_attempt *a = request->attempt;

	if (!a)
		return;
	unlink_attempt(h, a);
	free_attempt(a);
}

int http_do(struct http *h, struct http_request *request, struct cairn_error *err)
{
	int r = http_start(h, request);

	if (r == 0) {
		run_without_sigpipe(h, request);
		http_cancel(h, request);
		r = request->result;
	}
	if (r < 0 && err)
		*err = request->error;
	return r;
}

/* --- URLs ------------------------------------------------------------------------------------ */

static char *url_part(const struct http *h, CURLU *u, CURLUPart part, unsigned int flags)
{
	char *text = NULL, *copy;

	if (h->curl->curl_url_get(u, part, &text, flags) != CURLUE_OK || !text)
		return NULL;
	copy = strdup(text);
	h->curl->curl_free(text);
	return copy;
}

char *http_origin(struct http *h, const char *url)
{
	CURLU *u = h->curl->curl_url();
	char *scheme cleanup_free = NULL, *host cleanup_free = NULL, *port cleanup_free = NULL;
	char *origin = NULL;

	if (!u)
		return NULL;
	if (h->curl->curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
		scheme = url_part(h, u, CURLUPART_SCHEME, 0);
		host = url_part(h, u, CURLUPART_HOST, 0);
		port = url_part(h, u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	}
	h->curl->curl_url_cleanup(u);
	if (!scheme || !host || !port || (strcmp(scheme, "https") && strcmp(scheme, "http")))
		return NULL;
	for (char *p = host; *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	if (asprintf(&origin, "%s://%s:%s", scheme, host, port) < 0)
		return NULL;
	return origin;
}

char *http_resolve(struct http *h, const char *base, const char *reference)
{
	CURLU *u = h->curl->curl_url();
	char *url = NULL;

	if (!u)
		return NULL;
	if (h->curl->curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
	    h->curl->curl_url_set(u, CURLUPART_URL, reference, 0) == CURLUE_OK)
		url = url_part(h, u, CURLUPART_URL, 0);
	h->curl->curl_url_cleanup(u);
	return url;
}
