// The same lstats as in lstat.c through libuv, with as many in flight.
//
// lstat-uv PATHS THREADS MS

#include "paths.h"

#include <uv.h>

static struct paths paths;
static size_t count, failed;
static struct span start;

static void done(uv_fs_t *request);

static void push(uv_fs_t *request)
{
	if (uv_fs_lstat(uv_default_loop(), request, next_path(&paths), done) != 0) {
		die("uv_fs_lstat()");
	}
}

static void done(uv_fs_t *request)
{
	++count;
	failed += request->result < 0;
	uv_fs_req_cleanup(request);
	push(request);
}

/** End the program, whatever is in flight. */
static void finish(uv_timer_t *timer)
{
	(void)timer;
	lstat_figures(count, failed, end_span(start));
	exit(EXIT_SUCCESS);
}

/** Start the threads, which the first request does. */
static void warm_up(void)
{
	uv_fs_t request;
	if (uv_fs_lstat(uv_default_loop(), &request, "/", uv_fs_req_cleanup) != 0) {
		die("uv_fs_lstat()");
	}
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int main(int argc, char *argv[])
{
	alarm(WATCHDOG);
	if (argc != 4 || setenv("UV_THREADPOOL_SIZE", argv[2], true) != 0) {
		usage("lstat-uv PATHS THREADS MS");
	}
	paths = read_paths(argv[1]);
	warm_up();

	static uv_fs_t requests[LSTAT_DEPTH];
	uv_timer_t timer;
	start = start_span();
	uv_update_time(uv_default_loop());
	if (uv_timer_init(uv_default_loop(), &timer) != 0 || uv_timer_start(&timer, finish, number(argv[3]), 0) != 0) {
		die("uv_timer_start()");
	}
	for (size_t i = 0; i < LSTAT_DEPTH; ++i) {
		push(&requests[i]);
	}
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	return EXIT_FAILURE;
}
