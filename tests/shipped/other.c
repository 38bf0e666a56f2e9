/* Two static libraries of Rust's in one program, each with a standard library of its own. */

#include <ioq.h>
#include <ioq/stat.h>

#include <fcntl.h>
#include <stdio.h>

int other_digits(uint64_t number);

int main(void)
{
	struct ioq *ioq = ioq_create(2, 1);
	struct bfs_stat buf;
	if (!ioq || ioq_stat(ioq, AT_FDCWD, "/", BFS_STAT_FOLLOW, &buf, NULL) != 0) {
		perror("ioq");
		return 1;
	}
	struct ioq_ent *ent = ioq_pop(ioq, true);
	int result = ent ? ent->result : -1;
	ioq_destroy(ioq);

	/* A panic there is caught there: libioq.a aborts on panics. */
	printf("%d %d %d\n", result, other_digits(12345), other_digits(0));
	return 0;
}
