/* The same as uv.c, in the main loop of GLib. */

#include "stats.h"

#include <glib-unix.h>

static struct stats stats;
static GMainLoop *loop;
static int ticks;

static gboolean answer(gint fd, GIOCondition condition, gpointer data)
{
	(void)fd, (void)condition, (void)data;
	if (take(&stats)) {
		g_main_loop_quit(loop);
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

static gboolean tick(gpointer data)
{
	(void)data;
	if (++ticks == TICKS) {
		let_go(&stats);
	}
	return G_SOURCE_CONTINUE;
}

int main(void)
{
	begin(&stats);
	loop = g_main_loop_new(NULL, FALSE);
	g_unix_fd_add(stats.fd, G_IO_IN, answer, NULL);
	guint timer = g_timeout_add(1, tick, NULL);
	g_main_loop_run(loop);
	g_source_remove(timer);
	g_main_loop_unref(loop);
	return end(&stats, ticks);
}
