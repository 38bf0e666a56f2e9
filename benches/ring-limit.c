// The same lstats as in lstat.c through one bare io_uring, with a fixed number in flight: what a ring can do.
//
// ring-limit PATHS AT_ONCE MS

#include "paths.h"

#include <liburing.h>

static struct io_uring ring;

/** A ring as cheap as can be had, in which the kernel may work on everything at once. */
static void make_ring(unsigned int at_once)
{
	unsigned int flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	int ret = io_uring_queue_init(at_once, &ring, flags);
	if (ret == -EINVAL) {
		ret = io_uring_queue_init(at_once, &ring, 0);
	}
	unsigned int workers[] = {at_once, 0};
	if (ret == 0) {
		ret = io_uring_register_iowq_max_workers(&ring, workers);
	}
	if (ret < 0) {
		errno = -ret;
		die("io_uring");
	}
}

static void push(struct paths *paths, struct statx *buf)
{
	// What a queue asks for
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
	unsigned int mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_statx(sqe, AT_FDCWD, next_path(paths), flags, mask, buf);
	io_uring_sqe_set_data(sqe, buf);
}

int main(int argc, char *argv[])
{
	alarm(WATCHDOG);
	size_t at_once = argc == 4 ? number(argv[2]) : 0;
	if (at_once < 1 || at_once > LSTAT_DEPTH) {
		usage("ring-limit PATHS AT_ONCE MS");
	}
	struct paths paths = read_paths(argv[1]);
	int64_t duration = (int64_t)number(argv[3]) * 1000000;
	make_ring((unsigned int)at_once);

	static struct statx bufs[LSTAT_DEPTH];
	struct span start = start_span();
	size_t count = 0, failed = 0;
	for (size_t i = 0; i < at_once; ++i) {
		push(&paths, &bufs[i]);
	}
	while (now() - start.wall < duration) {
		io_uring_submit_and_wait(&ring, 1);
		struct io_uring_cqe *cqe;
		while (io_uring_peek_cqe(&ring, &cqe) == 0) {
			struct statx *buf = io_uring_cqe_get_data(cqe);
			failed += cqe->res < 0;
			++count;
			io_uring_cqe_seen(&ring, cqe);
			push(&paths, buf);
		}
	}
	struct span span = end_span(start);

	lstat_figures(count, failed, span);
	return EXIT_SUCCESS;
}
