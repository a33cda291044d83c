/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * HTTP: requests that are tried again, resumed and redirected under our control.
 *
 *	struct http *h;
 *	http_open(&options, &h, err);           loads libcurl, which nothing else does
 *	http_do(h, &request, err);              one request to its end, or
 *	http_start(h, &a); http_start(h, &b);   many at once, and
 *	while ((done = http_wait(h)) != NULL)   each as it comes to its end
 *
 *  1. libcurl is loaded by the first http_open() of the process: a command that needs no network
 *     starts without it, and runs where it is not installed.
 *  2. A client belongs to one thread at a time; different clients are independent. It keeps its
 *     connections for later requests. All callbacks run in that thread, inside http_do() or
 *     http_wait(); one that blocks slows the sender down (TCP), nothing is queued in memory.
 *  3. Nothing is read from the environment, ~/.netrc or files that the options do not name.
 *     Only http and https are spoken; http to another machine only where plain_http allows it.
 *  4. Authorization is sent to the scheme, host and port of the request's own URL alone: a redirect to
 *     another origin is followed without it. Redirects never go from https to http.
 *  5. What may work the second time is tried again (408, 429, 5xx but 501, broken connections), with growing
 *     pauses or as Retry-After says. A body that broke off goes on where it stopped; request->write sees
 *     each byte once and in order.
 *  6. Contents are not decoded: what write() gets are the bytes of the resource.
 */
#ifndef SYS_HTTP_H
#define SYS_HTTP_H

#include <cairn/error.h>

#include "base/buf.h"

#define HTTP_REDIRECTS_MAX   10
#define HTTP_SYSTEM_CA       "/etc/ssl/certs/ca-certificates.crt"
#define HTTP_HEADERS_MAX     (256u << 10) /* bytes of all header lines of one answer */
#define HTTP_ERROR_BODY_MAX  (64u << 10)  /* bytes of an error's body that are kept */
#define HTTP_RETRY_AFTER_MAX 120          /* seconds that a server can make us wait */

enum http_method { HTTP_GET = 0, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE };

/* Zero is the default of every field. Texts are borrowed until http_close(). */
struct http_options {
	const char *user_agent;           /* default cairn/VERSION */
	const char *proxy;                /* URL for all but loopback hosts; NULL: none */
	const char *no_proxy;             /* hosts without it, as curl's --noproxy; NULL: none */
	const char *ca_file, *ca_dir;     /* instead of the system's certificates */
	const char *ca_data;              /* the same as PEM text */
	const char *cert_file, *key_file; /* PEM, to show to the server */
	bool insecure;                    /* accept any certificate */
	bool plain_http;                  /* http:// also to other machines */
	unsigned int connections;         /* to one host at once; default 6 */
	unsigned int attempts;            /* of a request that makes no progress; default 5 */
	unsigned int pause_ms;        /* before the second attempt, then doubled; default 1000 */
	unsigned int connect_seconds; /* default 30 */
	unsigned int stall_seconds;   /* with less than 1 KiB/s; default 60 */
	bool (*cancelled)(void *arg); /* asked at least five times a second; may be NULL */
	void *cancelled_arg;
};

/* One request and what came of it. The caller owns it and what it points to, and leaves all of it alone
 * between http_start() and the http_wait() that gives it back. */
struct http_request {
	/* --- asked --- */
	enum http_method method;
	const char *url;
	const char *const *headers; /* "Name: value", ends with NULL; may be NULL */
	const char *authorization;  /* value of that header, see 4.; NULL: none */
	uint64_t range_from;        /* GET: bytes from here to … */
	uint64_t range_size;    /* … 0: the end; with range_from 0 as well: no range is asked */
	uint64_t total_seconds; /* for each attempt; 0: no limit (stalls are still noticed) */
	unsigned int attempts;  /* instead of the client's; 0: the client's */
	bool no_redirects;      /* 3xx is a final answer */

	/* The body to send: @size bytes by read(), which may be asked again for any part of it. */
	uint64_t body_size;
	int (*body_read)(void *arg, uint64_t offset, void *data, size_t size); /* bytes or -errno */
	const void *body; /* or all of it in memory, when body_read is NULL */
	void *body_arg;

	/* The body of an answer that is 2xx goes to write(); where that is NULL it goes to @ret_body, at
	 * most @body_max bytes of it (more is -EFBIG). begin() is called once before that, after the
	 * headers. A negative errno of either ends the request and is its result. */
	int (*begin)(void *arg, const struct http_request *request);
	int (*write)(void *arg, const void *data, size_t size);
	void *arg; /* of begin() and write(), and for the caller */
	size_t body_max;

	/* --- answered: valid when the request is done, freed by http_request_fini() --- */
	int result;       /* 0: @status is the server's answer, whatever it is; or negative errno */
	int status;       /* of the last answer; 0: there was none */
	uint64_t size;    /* bytes given to write() or put into ret_body */
	uint64_t total;   /* of the whole resource as told by Content-Range or Content-Length */
	bool total_known; /* … if it was */
	bool partial;     /* 206: the range was honoured. Else write() got the whole resource */
	char *final_url;  /* after redirects */
	struct buf head;  /* header lines of the final answer, each ends with NUL */
	struct buf ret_body;      /* see write(); of other answers the beginning of their body */
	struct cairn_error error; /* filled when @result is negative */
	struct http_attempt *attempt; /* the client's own */
};

#define HTTP_REQUEST_INIT                                                                          \
	((struct http_request){.head = BUF_INIT(HTTP_HEADERS_MAX), .ret_body = BUF_INIT(0)})

struct http;

/* Returns 0; -ENOPKG (kind UNSUPPORTED): there is no libcurl here; or another negative errno. */
int http_open(const struct http_options *options, struct http **ret, struct cairn_error *err);

/* Ends what is still going on and frees; NULL is allowed. */
void http_close(struct http *h);

/* Runs one request to its end (others that were started go on meanwhile, and are still to be waited
 * for). Returns request->result, with its words in @err. */
int http_do(struct http *h, struct http_request *request, struct cairn_error *err);

/* Adds a request. Returns 0, or a negative errno: then it was not added, and request->error tells why. */
int http_start(struct http *h, struct http_request *request);

/* Waits for any started request to be done and returns it; NULL when there is none left. */
struct http_request *http_wait(struct http *h);

/* Drops a request that was started and is not done: it will not be returned. */
void http_cancel(struct http *h, struct http_request *request);

/* Value of the @nth (from 0) header @name (any case) of the final answer, or NULL. */
const char *http_header(const struct http_request *request, const char *name, unsigned int nth);

/* Frees what the answer holds; the request can be asked again then. */
void http_request_fini(struct http_request *request);

/* "https://host:port" of @url in lower case, the port always there. On the heap; NULL: not such a URL. */
char *http_origin(struct http *h, const char *url);

/* @reference, absolute or relative, as seen from @base. On the heap; NULL: not a URL. */
char *http_resolve(struct http *h, const char *base, const char *reference);

/* Whether @host is this machine: localhost, 127.0.0.0/8, ::1 (in brackets or not). */
bool http_is_loopback(const char *host);

/* Seconds that a Retry-After header asks for, a number or a date, seen at @now; -1: it says nothing. */
int http_retry_after(const char *value, int64_t now);

/* Reads "bytes A-B/T" (or "bytes A-B/ *"). Returns 0 or -EINVAL; total is UINT64_MAX when not told. */
int http_content_range(const char *value, uint64_t *ret_from, uint64_t *ret_to,
		       uint64_t *ret_total);

#define cleanup_http_request __attribute__((__cleanup__(http_request_fini)))

DEFINE_CLEANUP(struct http *, http, http_close)

#endif
