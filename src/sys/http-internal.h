/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The inside of a client: http.c runs attempts, http_attempt.c makes one and judges its answer. */
#ifndef SYS_HTTP_INTERNAL_H
#define SYS_HTTP_INTERNAL_H

#include "sys/curl-internal.h"
#include "sys/http.h"

enum attempt_state {
	ATTEMPT_WAITING = 1, /* until @not_before */
	ATTEMPT_RUNNING,     /* curl has it */
	ATTEMPT_DONE,        /* request->result is set */
};

enum verdict {
	VERDICT_NONE = 0, /* the headers are not complete */
	VERDICT_BODY,     /* 2xx: the body is wanted */
	VERDICT_REDIRECT,
	VERDICT_RETRY,
	VERDICT_FINAL, /* the answer is no, and that is the result */
};

/* A request under way: one attempt after the other. */
struct http_attempt {
	struct http *h;
	struct http_request *request;
	struct http_attempt *next; /* in the client's list */
	enum attempt_state state;
	uint64_t not_before;     /* WAITING: milliseconds of the monotonic clock */
	unsigned int failures;   /* attempts without progress so far */
	unsigned int redirects;  /* of this attempt */
	char *origin;            /* of the request's own URL */
	char *url;               /* where the attempt goes */
	char *etag;              /* of the first answer with a body; NULL: it had none */
	bool begun;              /* begin() was called */
	int status;              /* … for an answer with this status */
	CURL *easy;              /* NULL between attempts */
	struct curl_slist *list; /* header lines of the attempt */
	char words[CURL_ERROR_SIZE];

	/* The attempt's answer. */
	enum verdict verdict;
	int error;       /* of a callback or a check: ends the request */
	uint64_t asked;  /* first byte that was asked for */
	bool ranged;     /* … with a Range header */
	uint64_t skip;   /* bytes that come and were had before */
	uint64_t sent;   /* bytes of the request's body that curl has taken */
	uint64_t before; /* request->size when it began */
};

struct http {
	const struct curl_functions *curl;
	struct http_options options;
	CURLM *multi;
	struct http_attempt *attempts; /* all that are not returned yet, oldest first */
};

/* Hands the next attempt of @a to curl. On failure the request is done. */
void attempt_start(struct http_attempt *a);

/* What to do after curl is done with it: DONE, or WAITING (perhaps for no time) for the next attempt. */
void attempt_finish(struct http_attempt *a, CURLcode code);

/* Ends the request with @code and the words that are in request->error. */
void attempt_end(struct http_attempt *a, int code);

/* Takes it back from curl. */
void attempt_detach(struct http_attempt *a);

/* @url without its query, which may hold secrets. Into @out. */
#define URL_TEXT_MAX 300
const char *http_url_text(const char *url, char out[URL_TEXT_MAX]);

/* Milliseconds of the monotonic clock. */
uint64_t http_now(void);

#endif
