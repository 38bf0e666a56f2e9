// The same walk as in walk.c by plain system calls, depth first, in one thread: the reference.
//
// walk-plain names|stats DIR

#include "bench.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static bool stats;
static size_t entries, failed;

static void walk(int dfd, const char *path)
{
	int fd = openat(dfd, path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		++failed;
		return;
	}
	struct dirent *de;
	while (errno = 0, (de = readdir(dir))) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0) {
			continue;
		}
		++entries;
		bool is_dir = de->d_type == DT_DIR;
		if (stats || de->d_type == DT_UNKNOWN) {
			struct stat stat;
			if (fstatat(fd, de->d_name, &stat, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0) {
				is_dir = S_ISDIR(stat.st_mode);
			} else {
				++failed;
			}
		}
		if (is_dir) {
			walk(fd, de->d_name);
		}
	}
	failed += errno != 0;
	closedir(dir);
}

int main(int argc, char *argv[])
{
	alarm(WATCHDOG);
	if (argc != 3) {
		usage("walk-plain names|stats DIR");
	}
	stats = strcmp(argv[1], "stats") == 0;

	struct span start = start_span();
	walk(AT_FDCWD, argv[2]);
	struct span span = end_span(start);

	figure("time", (double)span.wall / 1e6, "ms");
	figure("cpu", (double)span.cpu / 1e6, "ms");
	figure("entries", (double)entries, "count");
	figure("failed", (double)failed, "count");
	return EXIT_SUCCESS;
}
