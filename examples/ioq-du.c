/**
 * ioq-du: the space that directory trees take, as du(1) tells it, measured in parallel.
 *
 * The walk does the work (ioq/walk.h). Here is only what it is to count: each directory has its totals in its word, and
 * adds them to those of the directory that it is in when it is returned for the second time.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <inttypes.h>
#include <ioq/walk.h>
#include <limits.h>
#include <math.h>
#include <mntent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/** What was counted: bytes or inodes, as many as fit; and the latest time. */
struct totals {
	uintmax_t size;
	int64_t time;
};

/** A directory that is being walked. */
struct dir {
	struct dir *parent;
	dev_t dev;
	ino_t ino;
	struct totals totals;
	bool left_out;
};

/** Files that were counted. Open addressing, at most half full; size is a power of two, and dev plus one, 0 in empty slots. */
static struct { struct file { dev_t dev; ino_t ino; } *slots; size_t size, used; } seen;

static bool all, total, count_links, one_fs, apparent, inodes, human, show_time, follows, follows_arguments, failed, several;
static const char *clear = "", **excluded; // what takes the progress line off a terminal; patterns
static size_t max_depth = SIZE_MAX, excluded_count;
static uintmax_t unit = 1024;
static intmax_t threshold;
static char end = '\n';
static struct totals grand;

static void *check(void *memory, const char *what)
{
	if (memory) {
		return memory;
	}
	fprintf(stderr, "ioq-du: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void complain(const char *what, const char *path, int error)
{
	fprintf(stderr, "%sioq-du: %s '%s': %s\n", clear, what, path, strerror(error));
	failed = true;
}

/** Whether a file is new to the set, which it is in after that. */
static bool is_new(dev_t dev, ino_t ino)
{
	if (seen.used >= seen.size / 2) {
		struct file *old = seen.slots;
		size_t old_size = seen.size;
		seen.size = old_size ? 2 * old_size : 1024;
		seen.slots = check(calloc(seen.size, sizeof(*seen.slots)), "cannot go on");
		for (size_t i = seen.used = 0; i < old_size; ++i) {
			(void)(old[i].dev && is_new(old[i].dev - 1, old[i].ino));
		}
		free(old);
	}
	size_t i = (size_t)(((uint64_t)ino ^ (uint64_t)dev << 32) * UINT64_C(0x9e3779b97f4a7c15) >> 20);
	for (; seen.slots[i &= seen.size - 1].dev; ++i) {
		if (seen.slots[i].dev == dev + 1 && seen.slots[i].ino == ino) {
			return false;
		}
	}
	seen.slots[i] = (struct file){dev + 1, ino};
	++seen.used;
	return true;
}

static void add(struct totals *to, const struct totals *from)
{
	to->size = to->size > UINTMAX_MAX - from->size ? UINTMAX_MAX : to->size + from->size;
	to->time = from->time > to->time ? from->time : to->time;
}

/** In units, rounded up; or in the unit that fits, with a digit after the point if there is one before it. */
static void print_size(uintmax_t size)
{
	long double scaled = (long double)size;
	const char *letter = "\0KMGTPE";
	for (; human && ceill(scaled) >= 1024 && letter[1]; ++letter) {
		scaled /= 1024;
	}
	uintmax_t per = human || inodes ? 1 : unit;
	if (*letter) {
		printf(scaled <= 9.9L ? "%.1Lf%c" : "%.0Lf%c", scaled <= 9.9L ? ceill(scaled * 10) / 10 : ceill(scaled), *letter);
	} else {
		printf("%ju", size / per + (size % per != 0));
	}
}

static void print(const struct totals *totals, const char *path)
{
	fputs(clear, stderr);
	print_size(totals->size);
	if (show_time) {
		char text[64];
		time_t seconds = (time_t)totals->time;
		const struct tm *tm = localtime(&seconds); // NULL for years that do not fit
		bool fits = tm && strftime(text, sizeof(text), "%Y-%m-%d %H:%M", tm) > 0;
		fits ? printf("\t%s", text) : printf("\t%jd", (intmax_t)totals->time);
	}
	printf("\t%s%c", path, end);
}

static void draw_progress(void)
{
	static uintmax_t visits;
	if (*clear && ++visits % 8192 == 0) {
		fflush(stdout);
		fprintf(stderr, "%s%ju files and directories", clear, visits);
	}
}

/** Whether a file system is mounted within a circle, which then is none of directories. */
static bool is_mounted(const struct dir *dir)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	bool found = false;
	for (struct mntent *mount; mounts && !found && (mount = getmntent(mounts));) {
		struct stat stat = {0};
		lstat(mount->mnt_dir, &stat);
		const struct dir *d = dir;
		do {
			found |= d->dev == stat.st_dev && d->ino == stat.st_ino;
			d = d->parent;
		} while (d && (d->dev != dir->dev || d->ino != dir->ino));
	}
	return (!mounts || endmntent(mounts)) && found;
}

/** Whether a pattern fits a path, or what is after one of its slashes. */
static bool is_excluded(const struct ioq_walk_ent *ent, void *arg)
{
	(void)arg;
	bool found = false;
	for (size_t i = 0; i < excluded_count; ++i) {
		const char *path = ent->path;
		do {
			found |= fnmatch(excluded[i], path, 0) == 0;
			path = strchr(path, '/');
		} while (path++);
	}
	return found;
}

/** A file, or a directory that has come to its end and was counted in its totals. */
static void count(const struct ioq_walk_ent *ent, struct totals *totals)
{
	const struct statx *stat = ent->stat;
	uintmax_t used = stat->stx_blocks > UINTMAX_MAX / 512 ? UINTMAX_MAX : stat->stx_blocks * UINT64_C(512);
	uintmax_t size = !apparent ? used : stat->stx_size > INT64_MAX ? 0 : stat->stx_size;
	add(totals, &(struct totals){inodes ? 1 : size, stat->stx_mtime.tv_sec});
	bool large = threshold < 0 ? totals->size <= -(uintmax_t)threshold : totals->size >= (uintmax_t)threshold;
	if (large && (ent->type == DT_DIR || all || ent->depth == 0) && ent->depth <= max_depth) {
		print(totals, ent->path);
	}
	add(ent->parent_data ? &((struct dir *)*ent->parent_data)->totals : &grand, totals);
}

static void last_visit(const struct ioq_walk_ent *ent)
{
	struct dir *dir = *ent->data;
	if (ent->error && (ent->error != ELOOP || (!follows && !is_mounted(dir)))) {
		complain("cannot read directory", ent->path, ent->error);
	}
	if (!dir->left_out && ent->error != ELOOP) {
		count(ent, &dir->totals);
	}
	free(dir);
}

static void visit(struct ioq_walk *walk, const struct ioq_walk_ent *ent)
{
	draw_progress();
	bool leads_nowhere = ent->type == DT_LNK && (follows || (follows_arguments && ent->depth == 0));
	if (ent->post || ent->error || leads_nowhere) {
		ent->post ? last_visit(ent) : complain("cannot access", ent->path, ent->error ? ent->error : ENOENT);
		return;
	}
	const struct statx *stat = ent->stat;
	dev_t dev = makedev(stat->stx_dev_major, stat->stx_dev_minor);
	struct dir *parent = ent->parent_data ? *ent->parent_data : NULL;
	bool may_repeat = several || follows || (ent->type != DT_DIR && stat->stx_nlink > 1);
	bool left_out = (one_fs && parent && dev != parent->dev) || (!count_links && may_repeat && !is_new(dev, stat->stx_ino));
	if (ent->data) {
		struct dir *dir = check(malloc(sizeof(*dir)), "cannot go on");
		*dir = (struct dir){.parent = parent, .dev = dev, .ino = stat->stx_ino, .left_out = left_out};
		*ent->data = dir;
		if (left_out) {
			ioq_walk_prune(walk);
		}
	} else if (!left_out) {
		count(ent, &(struct totals){.time = INT64_MIN});
	}
}

static const char USAGE[] =
	"Usage: ioq-du [OPTION]... [FILE]...\n"
	"Print the disk usage in KiB, and the path, of each directory, by default below the working directory. As of du:\n"
	"  -0, --null   -a, --all   -b, --bytes   -c, --total   -D, --dereference-args   -d, --max-depth=N\n"
	"  -h, --human-readable   -k   -L, --dereference   -l, --count-links   -m   -s, --summarize\n"
	"  -t, --threshold=SIZE   -x, --one-file-system   --apparent-size   --exclude=PATTERN   --inodes   --time\n"
	"And  -j, --threads=N, at most (default: 32; few of them start unless files are slow),  --help, which prints this.\n"
	"IOQ_BACKEND=auto|uring|sync in the environment chooses how system calls are made.\n"
	"The exit status is 0, or 1 if anything went wrong.\n";

static intmax_t number(const char *text, intmax_t least)
{
	char *rest;
	errno = 0;
	intmax_t value = strtoimax(text, &rest, 10);
	const char *letters = "KMGTPE", *letter = *rest == 'k' ? letters : *rest ? strchr(letters, *rest) : NULL;
	const char *after = rest + (letter != NULL);
	bool decimal = letter && strcmp(after, "B") == 0, binary = letter && strcmp(after, "iB") == 0;
	for (const char *l = letters; letter && l <= letter; ++l) {
		errno = __builtin_mul_overflow(value, decimal ? 1000 : 1024, &value) ? ERANGE : errno;
	}
	if (errno || rest == text || (*after && !decimal && !binary) || value < least) {
		fprintf(stderr, "ioq-du: invalid number '%s'\nTry 'ioq-du --help' for more information.\n", text);
		exit(EXIT_FAILURE);
	}
	return value;
}

int main(int argc, char *argv[])
{
	enum { APPARENT = UCHAR_MAX + 1, EXCLUDE, INODES, TIME, HELP };
	static const struct option options[] = {{"null", 0, NULL, '0'}, {"all", 0, NULL, 'a'}, {"apparent-size", 0, NULL, APPARENT},
		{"bytes", 0, NULL, 'b'}, {"total", 0, NULL, 'c'}, {"dereference-args", 0, NULL, 'D'}, {"max-depth", 1, NULL, 'd'},
		{"exclude", 1, NULL, EXCLUDE}, {"human-readable", 0, NULL, 'h'}, {"inodes", 0, NULL, INODES}, {"threads", 1, NULL, 'j'},
		{"dereference", 0, NULL, 'L'}, {"count-links", 0, NULL, 'l'}, {"summarize", 0, NULL, 's'}, {"threshold", 1, NULL, 't'},
		{"time", 0, NULL, TIME}, {"one-file-system", 0, NULL, 'x'}, {"help", 0, NULL, HELP}, {0}};
	struct ioq_walk_options how = {.size = sizeof(how), .skip = is_excluded, .mask = STATX_BASIC_STATS,
		.flags = IOQ_WALK_STAT | IOQ_WALK_PRE | IOQ_WALK_POST | IOQ_WALK_ROOT_BY_ROOT | IOQ_WALK_CALLER_RUNS};
	excluded = check(calloc((size_t)argc, sizeof(*excluded)), "cannot go on");
	for (int opt; (opt = getopt_long(argc, argv, "0abcDd:hj:kLlmst:x", options, NULL)) != -1;) {
		switch (opt) {
		case '0': end = '\0'; break;
		case 'a': all = true; break;
		case 'b': unit = 1; human = false; // fall through
		case APPARENT: apparent = true; break;
		case 'c': total = true; break;
		case 'D': follows_arguments = true; follows = false; break;
		case 'd': max_depth = (size_t)number(optarg, 0); break;
		case EXCLUDE: excluded[excluded_count++] = optarg; break;
		case 'h': human = true; break;
		case INODES: inodes = true; break;
		case 'j': how.nthreads = (size_t)number(optarg, 1); break;
		case 'k': unit = 1024; human = false; break;
		case 'm': unit = 1048576; human = false; break;
		case 'L': follows = true; break;
		case 'l': count_links = true; break;
		case 's': max_depth = 0; break;
		case 't': threshold = number(optarg, INTMAX_MIN); break;
		case TIME: show_time = true; break;
		case 'x': one_fs = true; how.flags |= IOQ_WALK_XDEV; break;
		case HELP: fputs(USAGE, stdout); check(fflush(stdout) == 0 ? stdout : NULL, "write error"); return EXIT_SUCCESS;
		default: fputs("Try 'ioq-du --help' for more information.\n", stderr); return EXIT_FAILURE;
		}
	}
	how.flags |= follows ? IOQ_WALK_FOLLOW : follows_arguments ? IOQ_WALK_FOLLOW_ROOTS : 0;
	several = argc - optind > 1;
	clear = isatty(STDERR_FILENO) ? "\r\033[K" : "";
	const char *const *roots = optind < argc ? (const char *const *)argv + optind : (const char *[]){".", NULL};
	struct ioq_walk *walk = check(ioq_walk_open(roots, &how), "cannot begin");
	int ret;
	for (const struct ioq_walk_ent *ent; (ret = ioq_walk_next(walk, &ent)) > 0;) {
		visit(walk, ent);
	}
	check(ret == 0 ? walk : NULL, "cannot go on");
	ioq_walk_close(walk);
	fputs(clear, stderr);
	total ? print(&grand, "total") : (void)0;
	check(fflush(stdout) == 0 && !ferror(stdout) ? stdout : NULL, "write error");
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
