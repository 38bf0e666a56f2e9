// ioq-sum: checksums of files, many at once: cksum(1) in parallel.
//
// A function of the program's own, which reads and blocks as it likes, is a request like any other (ioq_call()).

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ioq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH = 256, THREADS = 16 };

struct file {
	const char *path;
	uint64_t size;
	uint32_t sum;
};

// POSIX's checksum: a CRC, the highest bit first, of the contents and then of their length.
static uint32_t table[256];

static void make_table(void)
{
	for (uint32_t i = 0; i < 256; ++i) {
		uint32_t sum = i << 24;
		for (int bit = 0; bit < 8; ++bit) {
			sum = sum << 1 ^ (sum >> 31 ? 0x04c11db7 : 0);
		}
		table[i] = sum;
	}
}

static uint32_t add(uint32_t sum, unsigned char byte)
{
	return sum << 8 ^ table[sum >> 24 ^ byte];
}

// Runs on a worker. Returns 0 or a negated errno.
static int sum_file(void *arg)
{
	struct file *file = arg;
	int fd = open(file->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	static _Thread_local unsigned char buf[1 << 16];
	ssize_t len;
	while ((len = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < len; ++i) {
			file->sum = add(file->sum, buf[i]);
		}
		file->size += (uint64_t)len;
	}
	int error = len < 0 ? errno : 0;
	close(fd);
	for (uint64_t rest = file->size; rest > 0; rest >>= 8) {
		file->sum = add(file->sum, rest & 0xff);
	}
	file->sum = ~file->sum;
	return -error;
}

static bool answer(struct ioq *ioq)
{
	struct ioq_ent *ent = ioq_pop(ioq, true);
	struct file *file = ent->ptr;
	bool ok = ent->result == 0;
	if (ok) {
		printf("%u %llu %s\n", file->sum, (unsigned long long)file->size, file->path);
	} else {
		fprintf(stderr, "ioq-sum: %s: %s\n", file->path, strerror(-ent->result));
	}
	ioq_free(ioq, ent);
	return ok;
}

int main(int argc, char *argv[])
{
	make_table();
	struct ioq *ioq = ioq_create(DEPTH, THREADS);
	struct file *files = calloc((size_t)argc, sizeof(*files));
	if (!ioq || !files) {
		perror("ioq-sum");
		return EXIT_FAILURE;
	}

	bool ok = true;
	for (int i = 1; i < argc; ++i) {
		if (ioq_capacity(ioq) == 0) {
			ok &= answer(ioq);
		}
		files[i].path = argv[i];
		if (ioq_call(ioq, sum_file, &files[i], &files[i]) != 0) {
			fprintf(stderr, "ioq-sum: %s: %s\n", argv[i], strerror(errno));
			ok = false;
		}
	}
	while (ioq_capacity(ioq) < DEPTH) {
		ok &= answer(ioq);
	}

	ioq_destroy(ioq);
	free(files);
	return ok && fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
