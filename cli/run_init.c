/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The processes of cairn run.
 *
 * Init is process 1 of a process namespace: it passes signals on to the command, takes in orphans, and
 * when the command has ended it ends, and the kernel everything that is left. A signal from a terminal
 * goes to the whole group, so to the command as well: only those that a process sent are passed on.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "run.h"

static const int passed_on[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
				SIGUSR2, SIGALRM, SIGWINCH, SIGCONT};

static void signals_of(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		(void)sigaddset(set, passed_on[i]);
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Waits for @child, taking in every other that ends, and passing signals on to it. */
static int wait_for(pid_t child)
{
	siginfo_t info;
	sigset_t set;
	int status;
	pid_t pid;

	signals_of(&set);
	for (;;) {
		if (sigwaitinfo(&set, &info) < 0)
			continue;
		if (info.si_signo != SIGCHLD) {
			if (info.si_code <= 0) /* sent by a process, not by the terminal */
				(void)kill(child, info.si_signo);
			continue;
		}
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == child)
				return status_of(status);
	}
}

static void __attribute__((noreturn)) execute(const struct run *r, const sigset_t *old)
{
	if (r->directory && chdir(r->directory) < 0) {
		talk("--cwd %s: %s", r->directory, strerror(errno));
		_exit(RUN_FAILED);
	}
	(void)sigprocmask(SIG_SETMASK, old, NULL);
	environ = r->environment;
	(void)execvp(r->command[0], r->command);
	talk("%s: %s", r->command[0], strerror(errno));
	_exit(errno == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE);
}

/* A /proc must be made by a process of the namespace that it shows, while another is to be seen. */
static int make_proc(void)
{
	int fs cleanup_fd = fsopen("proc", FSOPEN_CLOEXEC);

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(fs, FSMOUNT_CLOEXEC,
		       MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

static void __attribute__((noreturn)) init(struct run *r, const sigset_t *old)
{
	pid_t command;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "cairn-init");
	r->proc = make_proc();
	if (run_enter_root(r) != 0)
		_exit(RUN_FAILED);
	command = fork();
	if (command == 0)
		execute(r, old);
	if (command < 0) {
		talk("fork: %s", strerror(errno));
		_exit(RUN_FAILED);
	}
	_exit(wait_for(command));
}

/* fork(2) into new namespaces of processes and mounts. What unshare(2) makes would be ours too: after the
 * end of init we could start nothing more, and pivot_root(2) would take the machine's /proc from us.
 * (A sanitiser that looks for leaks at our end needs both.) */
static pid_t fork_into_namespaces(void)
{
	struct clone_args args = {.flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

int run_processes(struct run *r)
{
	sigset_t set, old;
	pid_t pid;

	signals_of(&set);
	(void)sigprocmask(SIG_BLOCK, &set, &old);
	pid = fork_into_namespaces();
	if (pid == 0)
		init(r, &old);
	if (pid < 0) {
		talk("make a process namespace: %s", strerror(errno));
		return RUN_FAILED;
	}
	return wait_for(pid);
}
