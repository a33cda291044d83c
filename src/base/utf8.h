/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* UTF-8, as RFC 3629 has it: shortest forms only, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the @len bytes at @text are whole characters. NUL is one. */
bool utf8_valid(const char *text, size_t len);

#endif
