// The same lstats as in lstat.c through libuv, with as many in flight.
//
// lstat-uv PATHS THREADS

#include "paths.h"

#include <uv.h>

static struct paths paths;
static size_t pushed, failed;

static void done(uv_fs_t *request);

static void push(uv_fs_t *request)
{
	if (pushed < paths.count && uv_fs_lstat(uv_default_loop(), request, paths.path[pushed++], done) != 0) {
		die("uv_fs_lstat()");
	}
}

static void done(uv_fs_t *request)
{
	failed += request->result < 0;
	uv_fs_req_cleanup(request);
	push(request);
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
	if (argc != 3 || setenv("UV_THREADPOOL_SIZE", argv[2], true) != 0) {
		usage("lstat-uv PATHS THREADS");
	}
	paths = read_paths(argv[1]);
	warm_up();

	static uv_fs_t requests[LSTAT_DEPTH];
	struct span start = start_span();
	for (size_t i = 0; i < LSTAT_DEPTH; ++i) {
		push(&requests[i]);
	}
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	struct span span = end_span(start);

	lstat_figures(&paths, failed, span);
	return EXIT_SUCCESS;
}
