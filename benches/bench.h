// What the benchmark programs share: clocks, figures, and an end with a message.
//
// A program makes one run and prints its figures, one a line: NAME VALUE UNIT. The driver repeats the runs.

#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#  define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WATCHDOG = 60 }; // seconds until a run that hangs is killed

/** End the program, with errno for the reason. */
static _Noreturn inline void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

/** End the program after it was called with wrong arguments. */
static _Noreturn inline void usage(const char *text)
{
	fprintf(stderr, "Usage: %s\n", text);
	exit(EXIT_FAILURE);
}

static inline void *check_alloc(void *ptr)
{
	if (!ptr) {
		die("cannot go on");
	}
	return ptr;
}

static inline size_t number(const char *arg)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 10);
	if (end == arg || *end) {
		fprintf(stderr, "not a number: %s\n", arg);
		exit(EXIT_FAILURE);
	}
	return n;
}

/** A clock, in nanoseconds. */
static inline int64_t read_clock(clockid_t clock)
{
	struct timespec ts;
	if (clock_gettime(clock, &ts) != 0) {
		die("clock_gettime()");
	}
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int64_t now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/** A stretch of time, and the processor time of all threads in it, those of the kernel's io_uring included. */
struct span {
	int64_t wall, cpu;
};

static inline struct span start_span(void)
{
	return (struct span){.cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID), .wall = now()};
}

static inline struct span end_span(struct span start)
{
	int64_t wall = now() - start.wall;
	return (struct span){.wall = wall, .cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID) - start.cpu};
}

static inline void pause_us(int64_t us)
{
	struct timespec ts = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
	nanosleep(&ts, NULL);
}

static inline void figure(const char *name, double value, const char *unit)
{
	printf("%s %.9g %s\n", name, value, unit);
}

#endif // BENCH_H
