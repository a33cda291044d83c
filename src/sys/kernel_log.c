/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * /dev/kmsg (Linux 3.5): every read gives one record, "LEVEL,NUMBER,TIME,FLAGS;TEXT\n KEY=VALUE\n…".
 * It needs CAP_SYSLOG where kernel.dmesg_restrict is set.
 */
#include "sys/kernel_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RECORD_MAX   8192 /* the kernel's own limit */
#define LEVEL_MASK   7
#define LEVEL_NOTICE 5 /* this and higher is no complaint */

int kernel_log_open(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	kernel_log_skip(log);
	return log;
}

void kernel_log_skip(int log)
{
	if (log >= 0)
		(void)lseek(log, 0, SEEK_END);
}

/* The text of a record when it is a complaint, cut at its end; NULL: it is none. */
static const char *complaint(char *record)
{
	char *text = strchr(record, ';');
	unsigned int level;

	if (!text || sscanf(record, "%u", &level) != 1 || (level & LEVEL_MASK) >= LEVEL_NOTICE)
		return NULL;
	text++;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

void kernel_log_words(int log, const char *prefix, char *out, size_t size)
{
	char record[RECORD_MAX + 1];
	const char *text;
	size_t used = 0;
	ssize_t n;

	out[0] = '\0';
	while (log >= 0) {
		n = read(log, record, RECORD_MAX);
		if (n < 0 && (errno == EINTR || errno == EPIPE)) /* EPIPE: overwritten, go on */
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		text = complaint(record);
		if (!text || strncmp(text, prefix, strlen(prefix)) != 0 || strstr(out, text))
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s%s", used ? "; " : "", text);
		if (used >= size)
			break;
	}
}
