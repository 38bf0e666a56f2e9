/* Every function of every header, called as a program would. */

#include <ioq/stat.h>
#include <ioq/dir.h>
#include <ioq.h>
#include <ioq/walk.h>
#include <linux/openat2.h>
#include <stdlib.h>

int use_dir(int fd, const char *path);
int use_stat(int fd, const char *path, const struct statx *answer);
int use_queue(int fd, const char *path, void *ptr);
int use_call(void *arg);
bool use_skip(const struct ioq_walk_ent *ent, void *arg);
int use_walk(const char *path);

int use_dir(int fd, const char *path) {
	struct bfs_dir *dir = bfs_allocdir();
	int files = 0;
	if (bfs_opendir(dir, fd, path, 0) == 0 && bfs_dirfd(dir) >= 0 && bfs_polldir(dir) >= 0) {
		struct bfs_dirent de;
		while (bfs_readdir(dir, &de) > 0) {
			enum bfs_type type = de.type;
			files += type == BFS_REG && de.name[0] != '.';
		}
		bfs_closedir(dir);
	}
	if (bfs_opendir(dir, fd, path, BFS_DIR_WHITEOUTS) == 0) {
		files += bfs_unwrapdir(dir);
	}
	free(dir);
	return files;
}

int use_stat(int fd, const char *path, const struct statx *answer) {
	struct bfs_stat buf;
	if (bfs_stat(fd, path, BFS_STAT_TRYFOLLOW | BFS_STAT_NOSYNC, &buf) != 0) {
		return bfs_statx_convert(&buf, answer);
	}
	if (buf.mask & BFS_STAT_BTIME) {
		return buf.btime.tv_nsec > 0 && buf.size > 0;
	}
	return bfs_statx_flags(BFS_STAT_NOFOLLOW) + (int)bfs_statx_mask();
}

int use_call(void *arg) {
	return arg ? 1 : 0;
}

bool use_skip(const struct ioq_walk_ent *ent, void *arg) {
	return ent->depth > 3 && arg;
}

int use_walk(const char *path) {
	const char *roots[] = {path, NULL};
	struct ioq_walk_options options = {
		sizeof(options), IOQ_WALK_STAT | IOQ_WALK_PRE | IOQ_WALK_POST | IOQ_WALK_XDEV, 1, 2, 3, 4, 5, use_skip, NULL,
	};
	struct ioq_walk *walk = ioq_walk_open(roots, &options);
	const struct ioq_walk_ent *ent;
	int files = ioq_walk_fd(walk);
	while (ioq_walk_next(walk, &ent) > 0 || ioq_walk_try_next(walk, &ent) > 0) {
		files += ent->path[ent->path_len - 1] == ent->name[0] && ent->ino && ent->type && !ent->post && !ent->error
			&& ent->dirfd >= 0 && ent->stat && !ent->data && !*ent->parent_data;
		ioq_walk_prune(walk);
	}
	return ioq_walk_close(walk) + files;
}

int use_queue(int fd, const char *path, void *ptr) {
	struct bfs_stat buf;
	struct bfs_dir *dir = bfs_allocdir();
	struct ioq_list *list;
	struct open_how how = {0, 0, RESOLVE_BENEATH};
	char text[64];
	struct ioq *ioq = ioq_create(32, 1);
	int failed = ioq_capacity(ioq) != 32
		|| ioq_nop(ioq, IOQ_NOP_HEAVY, ptr) != 0
		|| ioq_close(ioq, fd, ptr) != 0
		|| ioq_opendir(ioq, dir, fd, path, BFS_DIR_WHITEOUTS, ptr) != 0
		|| ioq_closedir(ioq, dir, ptr) != 0
		|| ioq_stat(ioq, fd, path, BFS_STAT_NOFOLLOW | BFS_STAT_NOSYNC, &buf, ptr) != 0
		|| ioq_call(ioq, use_call, ptr, ptr) != 0
		|| ioq_statx(ioq, fd, path, 0, 1, NULL, ptr) != 0
		|| ioq_list(ioq, fd, path, IOQ_LIST_STAT | IOQ_LIST_SORT_NAME | IOQ_LIST_FD, 0, &list, ptr) != 0
		|| ioq_openat(ioq, fd, path, &how, 1, NULL, ptr) != 0
		|| ioq_readlink(ioq, fd, path, text, sizeof(text), ptr) != 0
		|| ioq_getxattr(ioq, fd, path, "user.name", text, sizeof(text), 0, ptr) != 0
		|| ioq_access(ioq, fd, path, 4, 0, ptr) != 0
		|| ioq_unlink(ioq, fd, path, 1, ptr) != 0
		|| ioq_rename(ioq, fd, path, fd, text, 1, ptr) != 0
		|| ioq_mkdir(ioq, fd, path, 0755, ptr) != 0
		|| ioq_link(ioq, fd, path, fd, text, 1, ptr) != 0
		|| ioq_symlink(ioq, text, fd, path, ptr) != 0
		|| ioq_chmod(ioq, fd, path, 0644, 1, ptr) != 0
		|| ioq_chown(ioq, fd, path, 2, 3, 1, ptr) != 0
		|| ioq_utimens(ioq, fd, path, NULL, 1, ptr) != 0;
	ioq_submit(ioq);
	struct ioq_ent *ent;
	while ((ent = ioq_pop(ioq, true))) {
		switch (ent->op) {
		case IOQ_NOP:
			failed += ent->nop.type != IOQ_NOP_HEAVY;
			break;
		case IOQ_CLOSE:
			failed += ent->close.fd != fd;
			break;
		case IOQ_OPENDIR:
			failed += ent->opendir.dir != dir || ent->opendir.path != path || ent->opendir.dfd != fd
				|| ent->opendir.flags != BFS_DIR_WHITEOUTS;
			break;
		case IOQ_CLOSEDIR:
			failed += ent->closedir.dir != dir;
			break;
		case IOQ_STAT:
			failed += ent->stat.buf != &buf || ent->stat.xbuf || ent->stat.path != path || ent->stat.dfd != fd
				|| ent->stat.flags == BFS_STAT_FOLLOW;
			break;
		case IOQ_STATX:
			failed += ent->statx.path != path || ent->statx.dfd != fd || ent->statx.flags != 0
				|| ent->statx.mask != 1 || ent->statx.buf;
			break;
		case IOQ_OPENAT:
			failed += ent->openat.path != path || ent->openat.how != &how || ent->openat.dfd != fd
				|| ent->openat.mask != 1 || ent->openat.buf;
			break;
		case IOQ_READLINK:
			failed += ent->readlink.path != path || ent->readlink.buf != text || ent->readlink.size != sizeof(text)
				|| ent->readlink.dfd != fd;
			break;
		case IOQ_GETXATTR:
			failed += ent->getxattr.path != path || ent->getxattr.name[0] != 'u' || ent->getxattr.value != text
				|| ent->getxattr.size != sizeof(text) || ent->getxattr.dfd != fd || ent->getxattr.flags != 0;
			break;
		case IOQ_ACCESS:
			failed += ent->access.path != path || ent->access.dfd != fd || ent->access.mode != 4
				|| ent->access.flags != 0;
			break;
		case IOQ_UNLINK:
			failed += ent->unlink.path != path || ent->unlink.dfd != fd || ent->unlink.flags != 1;
			break;
		case IOQ_RENAME:
			failed += ent->rename.oldpath != path || ent->rename.newpath != text || ent->rename.olddfd != fd
				|| ent->rename.newdfd != fd || ent->rename.flags != 1;
			break;
		case IOQ_MKDIR:
			failed += ent->mkdir.path != path || ent->mkdir.dfd != fd || ent->mkdir.mode != 0755;
			break;
		case IOQ_LINK:
			failed += ent->link.oldpath != path || ent->link.newpath != text || ent->link.olddfd != fd
				|| ent->link.newdfd != fd || ent->link.flags != 1;
			break;
		case IOQ_SYMLINK:
			failed += ent->symlink.target != text || ent->symlink.path != path || ent->symlink.dfd != fd;
			break;
		case IOQ_CHMOD:
			failed += ent->chmod.path != path || ent->chmod.dfd != fd || ent->chmod.mode != 0644
				|| ent->chmod.flags != 1;
			break;
		case IOQ_CHOWN:
			failed += ent->chown.path != path || ent->chown.dfd != fd || ent->chown.uid != 2 || ent->chown.gid != 3
				|| ent->chown.flags != 1;
			break;
		case IOQ_UTIMENS:
			failed += ent->utimens.path != path || ent->utimens.dfd != fd || ent->utimens.times
				|| ent->utimens.flags != 1;
			break;
		case IOQ_CALL:
			failed += ent->call.fn != use_call || ent->call.arg != ptr;
			break;
		case IOQ_LIST:
			failed += ent->list.list != &list || list->count == 0 || list->fd < 0 || list->error
				|| !list->ents[0].stat || list->ents[0].name[0] == '.';
			ioq_list_free(list);
			break;
		}
		failed += ent->result < 0 || ent->ptr != ptr;
		ioq_free(ioq, ent);
	}
	ioq_cancel(ioq);
	ioq_destroy(ioq);
	free(dir);
	return failed;
}
