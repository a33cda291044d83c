/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Texts around registries: challenges, registries.conf, auth.json, headers. Oracles: refusals have words; what
 * is accepted is whole; base64 that was read is written the same.
 */
#include <string.h>

#include "fuzz.h"
#include "oci/auth.h"
#include "oci/registries.h"
#include "sys/http.h"

static void conf(const char *text, size_t size)
{
	struct registries r cleanup_registries = {0};
	struct cairn_error err = {0};
	int code = registries_parse(&r, text, size, &err);

	must(code == 0 || (code == err.code && err.text[0]));
	if (code < 0)
		return;
	must(r.nr_rules <= REGISTRIES_MAX);
	for (size_t i = 0; i < r.nr_rules; i++) {
		must(r.rules[i].prefix || r.rules[i].location);
		for (size_t k = 0; k < r.rules[i].nr_mirrors; k++)
			must(r.rules[i].mirrors[k].location != NULL);
	}
	(void)registries_find(&r, "q.io", "a/b");
}

static void auth(const char *text, size_t size)
{
	struct credentials c cleanup_credentials = {0};
	char *helper cleanup_free = NULL;
	struct cairn_error err = {0};
	int code = credentials_in_text(text, size, false, "h", "n", &c, &helper, &err);

	must(code == 0 || (code == err.code && err.text[0]));
	must(!c.user == !c.password || code < 0);
	must(!helper || !strchr(helper, '/'));
}

static void base64(const char *text)
{
	size_t size;
	char *data cleanup_free = base64_decode(text, strlen(text), &size),
		   *again cleanup_free = NULL;

	if (!data)
		return;
	again = base64_encode(data, size);
	must(strlen(again) == strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct challenge challenges[CHALLENGES_MAX];
	char *text cleanup_free = malloc(size + 1);
	uint64_t from, to, total;

	memcpy(text, data, size);
	text[size] = '\0';
	must(challenge_parse(text, challenges) <= CHALLENGES_MAX);
	conf(text, size);
	auth(text, size);
	base64(text);
	if (http_content_range(text, &from, &to, &total) == 0)
		must(from <= to && to < total);
	must(http_retry_after(text, 0) <= HTTP_RETRY_AFTER_MAX);
	(void)http_is_loopback(text);
	return 0;
}
