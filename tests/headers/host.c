/* A program that has directories and stats of its own, unlike the library's in everything but their names. */

#include <stddef.h>

enum bfs_dir_flags {
	BFS_DIR_WHITEOUTS = 1,
	BFS_DIR_PRIVATE = 2,
};

enum bfs_stat_flags {
	BFS_STAT_FOLLOW = 0,
	BFS_STAT_NOFOLLOW = 1,
};

struct bfs_dir {
	void *stream;
};

struct bfs_stat {
	unsigned long long size;
};

#ifdef __cplusplus
extern "C" {
#endif

int bfs_opendir(struct bfs_dir *dir, int fd, const char *path, enum bfs_dir_flags flags);
int bfs_closedir(struct bfs_dir *dir);
int bfs_stat(int fd, const char *path, enum bfs_stat_flags flags, struct bfs_stat *buf);

#ifdef __cplusplus
}
#endif

#include <ioq.h>

int use(struct ioq *ioq, int fd, const char *path, enum bfs_dir_flags flags);

int use(struct ioq *ioq, int fd, const char *path, enum bfs_dir_flags flags) {
	struct bfs_dir dir = {NULL};
	struct bfs_stat buf = {0};
	if (ioq_opendir(ioq, &dir, fd, path, flags, NULL) != 0) {
		return bfs_opendir(&dir, fd, path, flags);
	}
	if (ioq_stat(ioq, fd, path, BFS_STAT_NOFOLLOW, &buf, NULL) != 0) {
		return bfs_stat(fd, path, BFS_STAT_NOFOLLOW, &buf);
	}
	struct ioq_ent *ent = ioq_pop(ioq, true);
	return ent->op == IOQ_STAT && ent->stat.buf->size > 0;
}
