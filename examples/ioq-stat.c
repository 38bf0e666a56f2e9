// ioq-stat: the sizes of the files whose paths come on standard input, one on each line, printed as they are found out.
//
// An event loop with one thread: poll(2) waits for lines and for responses alike. Any other loop would do it the same
// way; what it needs is ioq_fd().

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ioq.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH = 1024, THREADS = 16 };

// A file, until the answer about it has come.
struct file {
	struct statx stat;
	char path[];
};

// Lines as they come: what is read and not yet a whole line stays for the next time.
struct input {
	char *text;
	size_t len, size;
	bool ended;
};

static bool failed;

static void complain(const char *what, int error)
{
	fprintf(stderr, "ioq-stat: %s: %s\n", what, strerror(error));
	failed = true;
}

static void ask(struct ioq *ioq, const char *path, size_t len)
{
	struct file *file = malloc(sizeof(*file) + len + 1);
	if (!file) {
		complain(path, errno);
		return;
	}
	memcpy(file->path, path, len);
	file->path[len] = '\0';
	if (ioq_statx(ioq, AT_FDCWD, file->path, AT_SYMLINK_NOFOLLOW, STATX_SIZE, &file->stat, file) != 0) {
		complain(file->path, errno);
		free(file);
	}
}

// Asks for each whole line, as long as there is room in the queue.
static void ask_for_lines(struct ioq *ioq, struct input *input)
{
	size_t start = 0;
	while (start < input->len && ioq_capacity(ioq) > 0) {
		char *line = input->text + start;
		char *end = memchr(line, '\n', input->len - start);
		if (!end && !input->ended) {
			break;
		}
		size_t len = end ? (size_t)(end - line) : input->len - start;
		if (len > 0) {
			ask(ioq, line, len);
		}
		start += len + (end != NULL);
	}
	input->len -= start;
	memmove(input->text, input->text + start, input->len);
	ioq_submit(ioq);
}

static void read_lines(struct input *input)
{
	if (input->size - input->len < BUFSIZ) {
		size_t size = 2 * input->size + BUFSIZ;
		char *text = realloc(input->text, size);
		if (!text) {
			complain("standard input", errno);
			input->ended = true;
			return;
		}
		input->text = text;
		input->size = size;
	}
	ssize_t len = read(STDIN_FILENO, input->text + input->len, input->size - input->len);
	if (len > 0) {
		input->len += (size_t)len;
	} else if (len == 0 || errno != EINTR) {
		if (len < 0) {
			complain("standard input", errno);
		}
		input->ended = true;
	}
}

static void answer(struct ioq *ioq, struct ioq_ent *ent)
{
	struct file *file = ent->ptr;
	if (ent->result < 0) {
		complain(file->path, -ent->result);
	} else {
		printf("%llu\t%s\n", (unsigned long long)file->stat.stx_size, file->path);
	}
	free(file);
	ioq_free(ioq, ent);
}

int main(void)
{
	struct ioq *ioq = ioq_create(DEPTH, THREADS);
	int fd = ioq ? ioq_fd(ioq) : -1;
	if (fd < 0) {
		perror("ioq-stat");
		return EXIT_FAILURE;
	}

	struct input input = {0};
	// All capacity is back when everything was answered.
	while (!input.ended || input.len > 0 || ioq_capacity(ioq) < DEPTH) {
		// No more is read than there is room for.
		bool reads = !input.ended && ioq_capacity(ioq) > 0;
		struct pollfd fds[] = {
			{.fd = fd, .events = POLLIN},
			{.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
		};
		if (poll(fds, 2, -1) < 0) {
			continue;
		}
		for (struct ioq_ent *ent; (ent = ioq_pop(ioq, false));) {
			answer(ioq, ent);
		}
		fflush(stdout);
		if (fds[1].revents) {
			read_lines(&input);
		}
		ask_for_lines(ioq, &input);
	}

	free(input.text);
	ioq_destroy(ioq);
	return failed || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
