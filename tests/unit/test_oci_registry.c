/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Texts around registries: challenges, credentials, registries.conf. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "oci/auth.h"
#include "oci/registries.h"

static void test_challenges(void **state)
{
	struct challenge c[CHALLENGES_MAX];
	char long_value[3000] = "Bearer realm=\"";

	(void)state;
	assert_int_equal(challenge_parse("Basic realm=\"here\"", c), 1);
	assert_int_equal(c[0].scheme, CHALLENGE_BASIC);
	assert_string_equal(c[0].realm, "here");

	assert_int_equal(
		challenge_parse(
			"bearer Realm = \"https://a/t?x=y\" , SERVICE=s.io,scope=\"a:b:pull,push "
			"c:d:pull\",error=\"insufficient_scope\"",
			c),
		1);
	assert_int_equal(c[0].scheme, CHALLENGE_BEARER);
	assert_string_equal(c[0].realm, "https://a/t?x=y");
	assert_string_equal(c[0].service, "s.io");
	assert_string_equal(c[0].scope, "a:b:pull,push c:d:pull");
	assert_string_equal(c[0].error, "insufficient_scope");

	/* Several in one field, one of them unknown, one with a token68. */
	assert_int_equal(
		challenge_parse(
			"Negotiate abc==, Digest a=b, Bearer realm=\"x\\\"y\",Basic realm=z", c),
		4);
	assert_int_equal(c[0].scheme, CHALLENGE_OTHER);
	assert_int_equal(c[1].scheme, CHALLENGE_OTHER);
	assert_string_equal(c[2].realm, "x\"y");
	assert_int_equal(c[3].scheme, CHALLENGE_BASIC);
	assert_string_equal(c[3].realm, "z");

	/* Malformed ones are left out. */
	assert_int_equal(challenge_parse("", c), 0);
	assert_int_equal(challenge_parse("Bearer realm=\"x", c), 0);
	assert_int_equal(challenge_parse("=,;", c), 0);
	memset(long_value + 14, 'x', 2000);
	strcpy(long_value + 2014, "\"");
	assert_int_equal(challenge_parse(long_value, c), 0);
}

static int look(const char *text, const char *host, const char *name, struct credentials *c,
		char **helper)
{
	*helper = NULL;
	return credentials_in_text(text, strlen(text), false, host, name, c, helper, NULL);
}

/* "user:password" of whom: as the place of the entry says. */
#define ENTRY(auth) "{\"auth\":\"" auth "\"}"
#define A           "YTpw"     /* a:p */
#define B           "YjpwOnE=" /* b:p:q */

static void test_credentials(void **state)
{
	static const struct {
		const char *text, *host, *name, *user; /* NULL: none */
	} cases[] = {
		{"{}", "h", "n", NULL},
		{"{\"auths\":{\"h\":" ENTRY(A) "}}", "h", "n", "a"},
		{"{\"auths\":{\"h\":" ENTRY(A) "}}", "H", "n", "a"},
		{"{\"auths\":{\"h\":" ENTRY(A) "}}", "h:5000", "n", NULL},
		{"{\"auths\":{\"h\":" ENTRY(A) ",\"h/n\":" ENTRY(B) "}}", "h", "n/m", "b"},
		{"{\"auths\":{\"h\":" ENTRY(A) ",\"h/n\":" ENTRY(B) "}}", "h", "nn", "a"},
		{"{\"auths\":{\"https://h/v1/\":" ENTRY(A) "}}", "h", "n", "a"},
		{"{\"auths\":{\"https://index.docker.io/v1/\":" ENTRY(A) "}}", "docker.io", "n",
		 "a"},
		{"{\"auths\":{\"registry-1.docker.io\":" ENTRY(A) "}}", "docker.io", "n", "a"},
		{"{\"auths\":{\"h\":{}}}", "h", "n", NULL},
		{"{\"auths\":{\"h\":{\"auth\":\"\",\"username\":\"a\",\"password\":\"p\"}}}", "h",
		 "n", "a"},
	};
	struct credentials c;
	char *helper;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		c = (struct credentials){0};
		assert_int_equal(look(cases[i].text, cases[i].host, cases[i].name, &c, &helper), 0);
		assert_null(helper);
		assert_int_equal(!c.user, !cases[i].user);
		if (c.user)
			assert_string_equal(c.user, cases[i].user);
		credentials_fini(&c);
	}
	c = (struct credentials){0};
	assert_int_equal(look("{\"auths\":{\"h\":{\"auth\":\"" B "\"}}}", "h", "n", &c, &helper),
			 0);
	assert_string_equal(c.password, "p:q");
	credentials_fini(&c);
	assert_int_equal(
		look("{\"auths\":{\"h\":{\"identitytoken\":\"t\"}}}", "h", "n", &c, &helper), 0);
	assert_string_equal(c.identity, "t");
	credentials_fini(&c);

	assert_int_equal(
		look("{\"credHelpers\":{\"h\":\"x\"},\"credsStore\":\"y\"}", "h", "n", &c, &helper),
		0);
	assert_string_equal(helper, "x");
	free(helper);
	assert_int_equal(
		look("{\"credHelpers\":{\"h\":\"x\"},\"credsStore\":\"y\"}", "g", "n", &c, &helper),
		0);
	assert_string_equal(helper, "y");
	free(helper);

	assert_int_equal(look("{\"auths\":{\"h\":{\"auth\":\"%%\"}}}", "h", "n", &c, &helper),
			 -EINVAL);
	assert_int_equal(look("{\"auths\":{\"h\":{\"auth\":\"YQ==\"}}}", "h", "n", &c, &helper),
			 -EINVAL);
	assert_int_equal(look("{\"auths\":{\"h\":3}}", "h", "n", &c, &helper), -EINVAL);
	assert_int_equal(look("{\"credsStore\":\"../x\"}", "h", "n", &c, &helper), -EINVAL);
}

static const char conf[] = "# comment\n"
			   "unqualified-search-registries = ['a', \"b\",\n  # inside\n \"c\", ]\r\n"
			   "number = -3\n"
			   "[aliases]\n\"x.y\" = 'z'\n"
			   "[[registry]]\n"
			   "prefix = \"q.io/a\" # behind\n"
			   "location = \"w\\u00e9.io\\t\"\n"
			   "insecure = true\n"
			   "  [[registry.mirror]]\n"
			   "  location = 'm1'\n"
			   "  [[registry.mirror]]\n"
			   "  location = 'm2'\n"
			   "  pull-from-mirror = 'digest-only'\n"
			   "[[registry]]\n"
			   "location = 'q.io'\n"
			   "mirror = [{location = 'm3', insecure = true}, { location = 'm4' }]\n"
			   "[[registry]]\n"
			   "prefix = '*.w.io'\n"
			   "location = 'v.io/x'\n";

static void test_registries(void **state)
{
	struct registries r cleanup_registries = {0};
	struct cairn_error err = {0};
	const struct registry_rule *rule;
	char *place;

	(void)state;
	if (registries_parse(&r, conf, strlen(conf), &err))
		fail_msg("%s", err.text);
	assert_int_equal(r.nr_rules, 3);
	rule = registries_find(&r, "q.io", "a/b");
	assert_ptr_equal(rule, &r.rules[0]);
	assert_string_equal(rule->location, "w\xc3\xa9.io\t");
	assert_true(rule->insecure && !rule->blocked);
	assert_int_equal(rule->nr_mirrors, 2);
	assert_int_equal(rule->mirrors[1].use, MIRROR_DIGEST_ONLY);
	place = registry_rule_apply(rule, "m.io/z", "q.io", "a/b");
	assert_string_equal(place, "m.io/z/b");
	free(place);

	/* A prefix ends with a component. */
	rule = registries_find(&r, "q.io", "ab");
	assert_ptr_equal(rule, &r.rules[1]);
	assert_int_equal(rule->nr_mirrors, 2);
	assert_true(rule->mirrors[0].insecure && !rule->mirrors[1].insecure);
	assert_null(registries_find(&r, "q.io:5000", "a"));

	rule = registries_find(&r, "x.w.io", "a");
	assert_ptr_equal(rule, &r.rules[2]);
	place = registry_rule_apply(rule, rule->location, "x.w.io", "a");
	assert_string_equal(place, "v.io/x/a");
	free(place);
	assert_null(registries_find(&r, "w.io", "a"));
}

static void test_bad_registries(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"a", "line 1: '=' is missing"},
		{"\n\na = ", "line 3: a value"},
		{"a = 1 b = 2", "more on the line"},
		{"a = \"x", "without its end"},
		{"a = \"\\q\"", "unknown escape"},
		{"a = \"\\ud800\"", "no character"},
		{"a = \"\"\"x\"\"\"", "several lines"},
		{"a = 1979-05-27", "neither string"},
		{"a = 1.5", "neither string"},
		{"a = [1, 2", "without its end"},
		{"a = {b = 1", "without its end"},
		{"a = [[[[[[[[[[1]]]]]]]]]]", "too deep"},
		{"[a", "']' is missing"},
		{"[[a]", "']' is missing"},
		{"a = \"\xff\"", "not UTF-8"},
		{"[[registry]]\nlocation = 1", "line 2: location is not a string"},
		{"[[registry]]\nlocation = 'x'\ninsecure = 'no'", "true or false"},
		{"[[registry]]\n", "without prefix and location"},
		{"[[registry]]\nlocation='x'\n[[registry.mirror]]\n", "without location"},
		{"[[registry]]\nlocation='x'\n[[registry.mirror]]\nlocation='y'\npull-from-mirror='x'",
		 "line 5: pull-from-mirror is not"},
		{"[registries.search]\nregistries = ['a']", "version 1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct registries r cleanup_registries = {0};
		struct cairn_error err = {0};

		assert_true(registries_parse(&r, cases[i].text, strlen(cases[i].text), &err) < 0);
		if (!strstr(err.text, cases[i].words))
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_challenges),
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_registries),
		cmocka_unit_test(test_bad_registries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
