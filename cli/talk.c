/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Words of failure on standard error, and the exit status that goes with them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli.h"

const struct command *command_running;

static void talk_prefix(void)
{
	out_puts(&out_talk, "cairn: ");
	if (command_running)
		out_printf(&out_talk, "%s: ", command_running->name);
}

/* One line. What stands in it may come from the command line, so it is made harmless. */
static void __printf_like(1, 0) talk_line(const char *fmt, va_list ap)
{
	char text[2 * CAIRN_ERROR_TEXT_MAX];

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	talk_prefix();
	out_words(&out_talk, text);
	out_puts(&out_talk, "\n");
}

void talk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	talk_line(fmt, ap);
	va_end(ap);
	out_flush(&out_talk);
}

int talk_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	talk_line(fmt, ap);
	va_end(ap);
	if (command_running)
		out_printf(&out_talk, "Try 'cairn %s -h'.\n", command_running->name);
	else
		out_puts(&out_talk, "Try 'cairn -h'.\n");
	out_flush(&out_talk);
	return EXIT_USAGE;
}

int talk_error(int code, const struct cairn_error *err, const char *name)
{
	talk_prefix();
	if (name) {
		out_words(&out_talk, name);
		out_puts(&out_talk, ": ");
	}
	out_words(&out_talk, err && err->code ? err->text : strerror(-code));
	out_puts(&out_talk, "\n");
	out_flush(&out_talk);
	return exit_status_of(code, err);
}

int exit_status_of(int code, const struct cairn_error *err)
{
	if (!err || !err->code)
		return code == -EOPNOTSUPP || code == -ENOSYS ? EXIT_UNSUPPORTED : EXIT_FAILED;

	switch (err->kind) {
	case CAIRN_ERROR_USAGE:
		return EXIT_USAGE;
	case CAIRN_ERROR_DIGEST:
		return EXIT_UNVERIFIED;
	case CAIRN_ERROR_UNSUPPORTED:
		return EXIT_UNSUPPORTED;
	case CAIRN_ERROR_SYSTEM:
	case CAIRN_ERROR_FORMAT:
		break;
	}
	return EXIT_FAILED;
}
