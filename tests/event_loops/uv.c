/*
 * A program of libuv's: its loop waits for the queue's descriptor, beside a timer that goes on while one answer is long in
 * coming, and all that has come is taken whenever the loop says so.
 */

#include "stats.h"

#include <uv.h>

static struct stats stats;
static uv_poll_t responses;
static uv_timer_t timer;
static int ticks;

static void answer(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	if (take(&stats)) {
		uv_close((uv_handle_t *)poll, NULL);
		uv_close((uv_handle_t *)&timer, NULL);
	}
}

static void tick(uv_timer_t *handle)
{
	(void)handle;
	if (++ticks == TICKS) {
		let_go(&stats);
	}
}

int main(void)
{
	uv_loop_t *loop = uv_default_loop();
	begin(&stats);
	if (uv_poll_init(loop, &responses, stats.fd) != 0 || uv_timer_init(loop, &timer) != 0) {
		return EXIT_FAILURE;
	}
	uv_poll_start(&responses, UV_READABLE, answer);
	uv_timer_start(&timer, tick, 1, 1);
	uv_run(loop, UV_RUN_DEFAULT);
	uv_loop_close(loop);
	return end(&stats, ticks);
}
