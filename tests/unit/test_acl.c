/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* ACLs as text: vectors by getfacl(1) of files that the kernel has shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "export/export-internal.h"

static void test_text(void **state)
{
	static const struct {
		const char *hex, *text; /* NULL: refused */
	} rows[] = {
		{"02000000"
		 "01000700ffffffff"
		 "02000400e8030000"
		 "04000500ffffffff"
		 "10000500ffffffff"
		 "20000000ffffffff",
		 "user::rwx,user:1000:r--,group::r-x,mask::r-x,other::---"},
		{"02000000"
		 "01000600ffffffff"
		 "04000400ffffffff"
		 "0800070063000000"
		 "10000700ffffffff"
		 "20000400ffffffff",
		 "user::rw-,group::r--,group:99:rwx,mask::rwx,other::r--"},
		{"02000000", NULL}, /* no entry */
		{"01000000"
		 "01000700ffffffff",
		 NULL}, /* another version */
		{"02000000"
		 "01000700ffffff",
		 NULL}, /* cut short */
		{"02000000"
		 "01000800ffffffff",
		 NULL}, /* a right that there is not */
		{"02000000"
		 "03000700ffffffff",
		 NULL}, /* a tag that there is not */
	};
	static char text[ACL_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t value[64];
		size_t size = strlen(rows[i].hex) / 2;

		assert_int_equal(hex_get(rows[i].hex, value, size), 0);
		assert_int_equal(acl_to_text(value, size, text), rows[i].text ? 0 : -EINVAL);
		if (rows[i].text)
			assert_string_equal(text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
