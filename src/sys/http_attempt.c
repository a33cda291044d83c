/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * One attempt of a request: what curl is told, what its answer means, and what comes next.
 *
 *	answer	2xx			body to the caller, what was had before is skipped
 *		301 302 303 307 308	GET, HEAD: next attempt at Location, without pause
 *		408 429 500 502 503 504	next attempt after a pause, from the request's own URL
 *		other			final
 *	broken off			next attempt after a pause, asking for the rest
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include <cairn/version.h>

#include "base/error.h"
#include "sys/http-internal.h"

#define PAUSE_MAX_MS   60000
#define PROGRESS_BYTES (1u << 20) /* an attempt that got so many is no failure */
#define RANGE_TEXT_MAX 48

static const char *const method_names[] = {
	[HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
	[HTTP_PUT] = "PUT", [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
};

void attempt_detach(struct http_attempt *a)
{
	const struct curl_functions *curl = a->h->curl;

	if (a->easy) {
		curl->curl_multi_remove_handle(a->h->multi, a->easy);
		curl->curl_easy_cleanup(a->easy);
		a->easy = NULL;
	}
	curl->curl_slist_free_all(a->list);
	a->list = NULL;
}

void attempt_end(struct http_attempt *a, int code)
{
	attempt_detach(a);
	a->request->result = code;
	a->request->final_url = a->url;
	a->url = NULL;
	a->state = ATTEMPT_DONE;
}

__printf_like(4, 5) static int fail(struct http_attempt *a, int code, enum cairn_error_kind kind,
				    const char *fmt, ...)
{
	struct cairn_error *err = &a->request->error;
	char text[URL_TEXT_MAX], words[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	a->error = error_set(err, code, kind, "%s: %s", http_url_text(a->url, text), words);
	return a->error;
}

/* --- the answer ------------------------------------------------------------------------------ */

static bool may_repeat(const struct http_request *request)
{
	switch (request->method) {
	case HTTP_POST:
	case HTTP_PATCH:
		return request->body_size == 0;
	default:
		return true;
	}
}

static bool attempts_left(const struct http_attempt *a)
{
	unsigned int max = a->request->attempts ? a->request->attempts : a->h->options.attempts;

	return a->failures + 1 < max;
}

/* 2xx of a GET: which of the bytes that come are the wanted ones? */
static int judge_range(struct http_attempt *a)
{
	struct http_request *request = a->request;
	const char *value = http_header(request, "Content-Range", 0);
	const char *length = http_header(request, "Content-Length", 0);
	uint64_t from = 0, to = 0, total = UINT64_MAX;
	bool partial = request->status == 206;

	if (partial) {
		if (!a->ranged)
			return fail(a, -EPROTO, CAIRN_ERROR_FORMAT,
				    "a part (206) was sent, all of it was asked for");
		if (!value || http_content_range(value, &from, &to, &total) < 0)
			return fail(a, -EPROTO, CAIRN_ERROR_FORMAT,
				    "answer 206 without a Content-Range of one range");
		if (from != a->asked)
			return fail(a, -EPROTO, CAIRN_ERROR_FORMAT,
				    "bytes from %llu on were sent, from %llu on were asked for",
				    (unsigned long long)from, (unsigned long long)a->asked);
		if (request->range_size && to - request->range_from >= request->range_size)
			return fail(a, -EPROTO, CAIRN_ERROR_FORMAT,
				    "more bytes were sent than asked for");
	} else if (length) {
		total = strtoull(length, NULL, 10);
	}
	if (!a->begun) {
		request->partial = partial;
	} else {
		if (request->total_known && total != UINT64_MAX && total != request->total)
			return fail(a, -ESTALE, CAIRN_ERROR_SYSTEM,
				    "its size changed while it was fetched");
		if (!partial)
			a->skip = request->size + (request->partial ? request->range_from : 0);
	}
	if (total != UINT64_MAX) {
		request->total = total;
		request->total_known = true;
	}
	return 0;
}

static int judge_body(struct http_attempt *a)
{
	struct http_request *request = a->request;
	const char *encoding = http_header(request, "Content-Encoding", 0);
	const char *etag = http_header(request, "ETag", 0);
	int r = 0;

	if (encoding && strcasecmp(encoding, "identity"))
		return fail(a, -EPROTO, CAIRN_ERROR_FORMAT,
			    "Content-Encoding %.40s, which was not asked for", encoding);
	if (request->method == HTTP_GET)
		r = judge_range(a);
	if (r < 0)
		return r;
	if (!a->begun) {
		a->begun = true;
		a->status = request->status;
		a->etag = etag ? strdup(etag) : NULL;
		if (request->begin)
			r = request->begin(request->arg, request);
		if (r < 0)
			a->error = r;
	} else if (a->etag && etag && strcmp(a->etag, etag)) {
		return fail(a, -ESTALE, CAIRN_ERROR_SYSTEM, "it changed while it was fetched");
	}
	return r;
}

/* Once an attempt, when its headers are complete. */
static void judge(struct http_attempt *a)
{
	struct http_request *request = a->request;
	long status = 0;

	if (a->verdict != VERDICT_NONE)
		return;
	a->h->curl->curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
	request->status = (int)status;
	a->verdict = VERDICT_FINAL;
	switch (status) {
	case 200 ... 299:
		a->verdict = VERDICT_BODY;
		(void)judge_body(a);
		break;
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		if (!request->no_redirects && http_header(request, "Location", 0) &&
		    (request->method == HTTP_GET || request->method == HTTP_HEAD))
			a->verdict = VERDICT_REDIRECT;
		break;
	case 408:
	case 500:
	case 502:
	case 504:
		if (!may_repeat(request))
			break;
		__attribute__((fallthrough));
	case 429:
	case 503: /* it was not begun */
		if (attempts_left(a))
			a->verdict = VERDICT_RETRY;
		break;
	}
}

static size_t on_header(char *data, size_t size, size_t nr, void *arg)
{
	struct http_attempt *a = (struct http_attempt *)arg;
	struct buf *head = &a->request->head;
	size_t len = size * nr;

	/* Each answer, also 100 Continue, begins with a status line: only the last one counts. */
	if (len >= 5 && !memcmp(data, "HTTP/", 5)) {
		head->len = 0;
		return size * nr;
	}
	while (len && (data[len - 1] == '\r' || data[len - 1] == '\n'))
		len--;
	if (!len || memchr(data, '\0', len))
		return size * nr;
	if (buf_put(head, data, len) < 0 || buf_put(head, "", 1) < 0) {
		fail(a, -EPROTO, CAIRN_ERROR_FORMAT, "its headers are longer than %u bytes",
		     HTTP_HEADERS_MAX);
		return 0;
	}
	return size * nr;
}

static int take_body(struct http_attempt *a, const char *data, size_t size)
{
	struct http_request *request = a->request;
	uint64_t skip = MIN((uint64_t)size, a->skip);
	int r;

	a->skip -= skip;
	data += skip;
	size -= skip;
	/* All of it is sent where a part was asked for, after an attempt that gave the part. */
	if (request->partial && request->range_size)
		size = MIN((uint64_t)size, request->range_size - request->size);
	if (!size)
		return 0;
	if (request->write) {
		r = request->write(request->arg, data, size);
		if (r < 0)
			a->error = r;
	} else {
		r = size > request->body_max - MIN(request->ret_body.len, request->body_max)
			    ? -EFBIG
			    : buf_put(&request->ret_body, data, size);
		if (r < 0)
			fail(a, r, CAIRN_ERROR_FORMAT, "longer than %zu bytes", request->body_max);
	}
	if (r < 0)
		return r;
	request->size += size;
	return 0;
}

static size_t on_body(char *data, size_t size, size_t nr, void *arg)
{
	struct http_attempt *a = (struct http_attempt *)arg;
	struct buf *body = &a->request->ret_body;

	judge(a);
	if (a->error < 0)
		return 0;
	if (a->verdict == VERDICT_BODY)
		return take_body(a, data, size * nr) < 0 ? 0 : size * nr;
	if (a->verdict == VERDICT_FINAL && body->len < HTTP_ERROR_BODY_MAX)
		(void)buf_put(body, data, MIN(size * nr, HTTP_ERROR_BODY_MAX - body->len));
	return size * nr;
}

static size_t on_read(char *data, size_t size, size_t nr, void *arg)
{
	struct http_attempt *a = (struct http_attempt *)arg;
	const struct http_request *request = a->request;
	uint64_t want = MIN((uint64_t)size * nr, request->body_size - a->sent);
	int r = (int)want;

	if (!want)
		return 0;
	if (request->body_read)
		r = request->body_read(request->body_arg, a->sent, data,
				       (size_t)MIN(want, (uint64_t)INT32_MAX));
	else
		memcpy(data, (const char *)request->body + a->sent, want);
	if (r <= 0) {
		a->error = r < 0 ? r : -EIO;
		return CURL_READFUNC_ABORT;
	}
	a->sent += (uint64_t)r;
	return (size_t)r;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct http_attempt *a = (struct http_attempt *)arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > a->request->body_size)
		return CURL_SEEKFUNC_FAIL;
	a->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)arg;
	(void)purpose;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct http *h = ((const struct http_attempt *)arg)->h;

	(void)a, (void)b, (void)c, (void)d;
	return h->options.cancelled && h->options.cancelled(h->options.cancelled_arg);
}

/* --- the question ---------------------------------------------------------------------------- */

static int add_header(struct http_attempt *a, const char *line)
{
	struct curl_slist *list = a->h->curl->curl_slist_append(a->list, line);

	if (!list)
		return -ENOMEM;
	a->list = list;
	return 0;
}

static int add_headers(struct http_attempt *a, const char *origin)
{
	const struct http_request *request = a->request;
	char *line cleanup_free = NULL;
	int r = add_header(a, "Accept-Encoding: identity");

	for (size_t i = 0; r == 0 && request->headers && request->headers[i]; i++)
		r = add_header(a, request->headers[i]);
	if (r == 0 && request->method == HTTP_POST && !request->body_size)
		r = add_header(a, "Content-Type:");
	if (r == 0 && request->authorization && !strcmp(origin, a->origin)) {
		if (asprintf(&line, "Authorization: %s", request->authorization) < 0)
			return -ENOMEM;
		r = add_header(a, line);
	}
	return r;
}

#define SET(option, value) curl->curl_easy_setopt(easy, option, value)

static void set_method(struct http_attempt *a)
{
	const struct curl_functions *curl = a->h->curl;
	const struct http_request *request = a->request;
	CURL *easy = a->easy;

	if (request->method == HTTP_HEAD) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (request->method == HTTP_POST) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
		if (!request->body_size)
			SET(CURLOPT_POSTFIELDS, "");
	} else if (request->method != HTTP_GET) {
		if (request->method != HTTP_DELETE) {
			SET(CURLOPT_UPLOAD, 1L);
			SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size);
		}
		SET(CURLOPT_CUSTOMREQUEST, method_names[request->method]);
	}
	SET(CURLOPT_READFUNCTION, on_read);
	SET(CURLOPT_READDATA, a);
	SET(CURLOPT_SEEKFUNCTION, on_seek);
	SET(CURLOPT_SEEKDATA, a);
}

/* The range that is still wanted. */
static void set_range(struct http_attempt *a)
{
	const struct curl_functions *curl = a->h->curl;
	const struct http_request *request = a->request;
	char text[RANGE_TEXT_MAX];
	CURL *easy = a->easy;
	bool part = !a->begun || request->partial;

	a->asked = request->size + (part ? request->range_from : 0);
	a->ranged = request->method == HTTP_GET && (a->asked || (part && request->range_size));
	if (!a->ranged)
		return;
	if (part && request->range_size)
		snprintf(text, sizeof(text), "%llu-%llu", (unsigned long long)a->asked,
			 (unsigned long long)(request->range_from + request->range_size - 1));
	else
		snprintf(text, sizeof(text), "%llu-", (unsigned long long)a->asked);
	SET(CURLOPT_RANGE, text);
}

static void set_tls_and_proxy(struct http_attempt *a, bool loopback)
{
	const struct curl_functions *curl = a->h->curl;
	const struct http_options *o = &a->h->options;
	CURL *easy = a->easy;

	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, o->insecure ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, o->insecure ? 0L : 2L);
	if (o->ca_data) {
		struct curl_blob blob = {(void *)o->ca_data, strlen(o->ca_data), CURL_BLOB_NOCOPY};

		SET(CURLOPT_CAINFO_BLOB, &blob);
	} else {
		SET(CURLOPT_CAINFO, o->ca_file ? o->ca_file : HTTP_SYSTEM_CA);
	}
	if (o->ca_dir)
		SET(CURLOPT_CAPATH, o->ca_dir);
	if (o->cert_file)
		SET(CURLOPT_SSLCERT, o->cert_file);
	if (o->key_file)
		SET(CURLOPT_SSLKEY, o->key_file);
	/* An empty text keeps curl from looking into the environment. */
	SET(CURLOPT_PROXY, o->proxy && !loopback ? o->proxy : "");
	SET(CURLOPT_NOPROXY, o->no_proxy ? o->no_proxy : "");
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static void set_common(struct http_attempt *a)
{
	const struct curl_functions *curl = a->h->curl;
	const struct http_options *o = &a->h->options;
	CURL *easy = a->easy;

	SET(CURLOPT_PRIVATE, a);
	SET(CURLOPT_URL, a->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_USERAGENT, o->user_agent ? o->user_agent : "cairn/" CAIRN_VERSION);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(CURLOPT_HTTPHEADER, a->list);
	SET(CURLOPT_BUFFERSIZE, 256L << 10);
	SET(CURLOPT_CONNECTTIMEOUT, (long)o->connect_seconds);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1024L);
	SET(CURLOPT_LOW_SPEED_TIME, (long)o->stall_seconds);
	SET(CURLOPT_TIMEOUT, (long)a->request->total_seconds);
	SET(CURLOPT_ERRORBUFFER, a->words);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, a);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, a);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, a);
}

/* Whether we may go where the URL points. @ret_loopback: to this machine. */
static int check_origin(struct http_attempt *a, const char *origin, bool *ret_loopback)
{
	bool tls = !strncmp(origin, "https:", 6);
	const char *host = strstr(origin, "://") + 3;
	char name[256];

	snprintf(name, sizeof(name), "%.*s", (int)(strrchr(host, ':') - host), host);
	*ret_loopback = http_is_loopback(name);
	if (tls || *ret_loopback || a->h->options.plain_http)
		return 0;
	return fail(
		a, -EPERM, CAIRN_ERROR_USAGE,
		"unencrypted HTTP to another machine must be allowed explicitly (--plain-http)");
}

void attempt_start(struct http_attempt *a)
{
	char *origin cleanup_free = http_origin(a->h, a->url);
	bool loopback;
	int r = -ENOMEM;

	a->error = 0;
	a->verdict = VERDICT_NONE;
	a->skip = a->sent = 0;
	a->before = a->request->size;
	a->words[0] = '\0';
	a->request->head.len = 0;
	if (a->request->write || !a->begun)
		a->request->ret_body.len = 0;
	if (!origin) {
		fail(a, -EPROTO, CAIRN_ERROR_FORMAT, "not a URL of http or https");
		attempt_end(a, a->error);
		return;
	}
	if (check_origin(a, origin, &loopback) < 0) {
		attempt_end(a, a->error);
		return;
	}
	a->easy = a->h->curl->curl_easy_init();
	if (a->easy)
		r = add_headers(a, origin);
	if (r == 0) {
		set_common(a);
		set_method(a);
		set_range(a);
		set_tls_and_proxy(a, loopback);
		if (a->h->curl->curl_multi_add_handle(a->h->multi, a->easy) != CURLM_OK)
			r = -ENOMEM;
	}
	if (r < 0) {
		fail(a, r, CAIRN_ERROR_SYSTEM, "out of memory");
		attempt_end(a, r);
		return;
	}
	a->state = ATTEMPT_RUNNING;
}

/* --- what comes next ------------------------------------------------------------------------- */

static void wait_then_retry(struct http_attempt *a)
{
	const char *after = http_header(a->request, "Retry-After", 0);
	uint64_t pause = a->h->options.pause_ms;
	int seconds = a->verdict == VERDICT_RETRY && after
			      ? http_retry_after(after, (int64_t)time(NULL))
			      : -1;
	uint16_t noise = 0;
	char *url;

	if (a->request->size - a->before >= PROGRESS_BYTES)
		a->failures = 0;
	else
		a->failures++;
	for (unsigned int i = 1; i < a->failures && pause < PAUSE_MAX_MS; i++)
		pause *= 2;
	pause = MIN(pause, (uint64_t)PAUSE_MAX_MS);
	(void)!getrandom(&noise, sizeof(noise), 0);
	pause = pause / 2 + pause * noise / UINT16_MAX;
	if (seconds >= 0)
		pause = (uint64_t)seconds * 1000;

	url = strdup(a->request->url);
	if (url) {
		free(a->url);
		a->url = url;
	}
	a->redirects = 0;
	a->not_before = http_now() + pause;
	a->state = ATTEMPT_WAITING;
}

static void redirect(struct http_attempt *a)
{
	const char *location = http_header(a->request, "Location", 0);
	char *url = http_resolve(a->h, a->url, location), text[URL_TEXT_MAX];

	if (!url || (!strncasecmp(a->url, "https:", 6) && strncasecmp(url, "https:", 6))) {
		fail(a, -EPROTO, CAIRN_ERROR_FORMAT, "redirected to '%s', which is not %s",
		     http_url_text(location, text), url ? "https as this is" : "a URL");
	} else if (a->redirects++ == HTTP_REDIRECTS_MAX) {
		fail(a, -ELOOP, CAIRN_ERROR_FORMAT, "redirected more than %u times",
		     HTTP_REDIRECTS_MAX);
	} else {
		free(a->url);
		a->url = url;
		a->not_before = 0;
		a->state = ATTEMPT_WAITING;
		return;
	}
	free(url);
	attempt_end(a, a->error);
}

static void finish_answer(struct http_attempt *a)
{
	struct http_request *request = a->request;
	uint64_t have = request->size, end = UINT64_MAX;

	if (request->partial) {
		have += request->range_from;
		if (request->range_size)
			end = request->range_from + request->range_size;
	}
	if (request->total_known)
		end = MIN(end, request->total);

	/* A server may send less of a range than was asked for. */
	if (a->verdict == VERDICT_BODY && request->status == 206 && end != UINT64_MAX &&
	    request->size > a->before && have < end) {
		a->not_before = 0;
		a->redirects = 0;
		a->state = ATTEMPT_WAITING;
		return;
	}
	/* That the rest came as a part (206) is our affair. */
	if (a->verdict == VERDICT_BODY)
		request->status = a->status;
	attempt_end(a, 0);
}

/* Whether the same may work a moment later, and the errno for it. */
static bool is_passing(CURLcode code, int *ret_errno)
{
	*ret_errno = -EIO;
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		*ret_errno = -EHOSTUNREACH;
		return true;
	case CURLE_COULDNT_CONNECT:
		*ret_errno = -ECONNREFUSED;
		return true;
	case CURLE_OPERATION_TIMEDOUT:
		*ret_errno = -ETIMEDOUT;
		return true;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		*ret_errno = -ECONNRESET;
		return true;
	case CURLE_PEER_FAILED_VERIFICATION:
		*ret_errno = -EKEYREJECTED;
		return false;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		*ret_errno = -EPROTO;
		return false;
	default:
		return false;
	}
}

static void finish_broken(struct http_attempt *a, CURLcode code)
{
	const struct http_request *request = a->request;
	const char *words = a->words[0] ? a->words : a->h->curl->curl_easy_strerror(code);
	bool passing, refused = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
	bool progress = request->size - a->before >= PROGRESS_BYTES;
	int number;

	passing = is_passing(code, &number);
	/* Nobody there: a second look, but no minute of them. */
	if (passing && (progress || (attempts_left(a) && (!refused || !a->failures))) &&
	    (refused || may_repeat(request))) {
		wait_then_retry(a);
		return;
	}
	fail(a, number, CAIRN_ERROR_SYSTEM, "%s", words);
	attempt_end(a, number);
}

void attempt_finish(struct http_attempt *a, CURLcode code)
{
	if (!a->error && code == CURLE_OK)
		judge(a);
	attempt_detach(a);
	if (!a->error && code == CURLE_ABORTED_BY_CALLBACK)
		a->error =
			error_set(&a->request->error, -ECANCELED, CAIRN_ERROR_SYSTEM, "cancelled");
	if (a->error < 0) {
		if (!a->request->error.code)
			error_errno(&a->request->error, a->error, "taking an answer");
		attempt_end(a, a->error);
		return;
	}
	/* Of an answer that is not wanted the headers are enough. */
	if (a->verdict == VERDICT_REDIRECT)
		redirect(a);
	else if (a->verdict == VERDICT_RETRY)
		wait_then_retry(a);
	else if (code == CURLE_OK)
		finish_answer(a);
	else
		finish_broken(a, code);
}
