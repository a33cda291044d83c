/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * fuzz_NAME [-n N] [-s SEED] [-o FILE] PATH...: the main program of a fuzz target without libFuzzer.
 *
 * Gives every file (of a directory: those in it) to the target, then N mutations of them, the
 * same for the same SEED. When the target dies, its input is written to FILE (default: crash).
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "mutate.h"

#define INPUTS_MAX     4096
#define INPUT_SIZE_MAX (4u << 20) /* bytes */
#define SECONDS_MAX    60         /* for 64 inputs: longer is a hang */

static struct input inputs[INPUTS_MAX];
static size_t nr_inputs;

static const uint8_t *current; /* what the target is working on */
static size_t current_size;
static const char *crash_path = "crash";

/* Async-signal-safe. */
static void save_and_die(int signal_number)
{
	static const char words[] = "replay: the input is kept\n";
	int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd >= 0 && write(fd, current, current_size) == (ssize_t)current_size)
		(void)!write(STDERR_FILENO, words, sizeof(words) - 1);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void try_input(const uint8_t *data, size_t size)
{
	/* A copy of exactly its size, so that the sanitiser sees a read of one byte too many. */
	uint8_t *copy = malloc(size ? size : 1);

	must(copy);
	memcpy(copy, data, size);
	current = copy;
	current_size = size;
	(void)LLVMFuzzerTestOneInput(copy, size);
	current = NULL;
	current_size = 0;
	free(copy);
}

static void add_file(const char *path)
{
	FILE *f = fopen(path, "rbe");
	struct input *input = &inputs[nr_inputs];

	if (!f || nr_inputs == INPUTS_MAX) {
		fprintf(stderr, "replay: cannot take %s\n", path);
		exit(1);
	}
	input->data = malloc(INPUT_SIZE_MAX);
	must(input->data);
	input->size = fread(input->data, 1, INPUT_SIZE_MAX, f);
	input->data = realloc(input->data, input->size ? input->size : 1);
	must(input->data);
	fclose(f);
	nr_inputs++;
}

static void add_directory(const char *path)
{
	struct dirent **entries;
	int nr = scandir(path, &entries, NULL, alphasort);

	for (int i = 0; i < nr; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			add_file(file);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
}

static void mutate_inputs(uint64_t count, uint64_t seed)
{
	uint8_t *data = malloc(INPUT_SIZE_MAX);

	must(data);
	for (uint64_t i = 0; i < count; i++) {
		if (i % 64 == 0)
			alarm(SECONDS_MAX);
		try_input(data, mutate(inputs, nr_inputs, seed + i, data, INPUT_SIZE_MAX));
	}
	free(data);
}

int main(int argc, char **argv)
{
	uint64_t count = 0, seed = 1;
	int opt;

	while ((opt = getopt(argc, argv, "n:s:o:")) != -1) {
		if (opt == 'n')
			count = strtoull(optarg, NULL, 10);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 10);
		else if (opt == 'o')
			crash_path = optarg;
		else
			return 2;
	}
	signal(SIGABRT, save_and_die);
	signal(SIGALRM, save_and_die);
#if !defined(__SANITIZE_ADDRESS__)
	signal(SIGSEGV, save_and_die);
	signal(SIGBUS, save_and_die);
#endif
	for (int i = optind; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			add_directory(argv[i]);
		else
			add_file(argv[i]);
	}
	if (!nr_inputs) {
		fputs("replay: no input\n", stderr);
		return 1;
	}

	for (size_t i = 0; i < nr_inputs; i++)
		try_input(inputs[i].data, inputs[i].size);
	mutate_inputs(count, seed * 0x100000001b3);
	printf("%zu inputs, %" PRIu64 " mutations\n", nr_inputs, count);

	for (size_t i = 0; i < nr_inputs; i++)
		free(inputs[i].data);
	return 0;
}
