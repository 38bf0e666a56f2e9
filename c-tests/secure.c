// IOQ_BACKEND is ignored in a set-user-ID program: its user must not choose what it does.

#include "test.h"

#include <sys/auxv.h>

// What the copy of this program with the set-user-ID bit does: a bad backend would fail.
static int privileged(void) {
    if (!getauxval(AT_SECURE)) {
        skip("the file system for temporary files ignores set-user-ID bits");
    }
    CHECK(getenv("IOQ_BACKEND"));
    struct ioq *ioq = ioq_create(16, 1);
    CHECK(ioq);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, ioq), 0);
    CHECK_EQ(take(ioq, IOQ_NOP, ioq), 0);
    ioq_destroy(ioq);
    return 0;
}

static void copy_self(int to) {
    char buf[65536];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(from >= 0);
    for (ssize_t size; (size = read(from, buf, sizeof(buf))) != 0;) {
        CHECK(size > 0);
        CHECK_EQ(write(to, buf, (size_t)size), size);
    }
    CHECK_EQ(close(from), 0);
}

int main(int argc, char *argv[]) {
    (void)argv;
    if (argc > 1) {
        return privileged();
    }
    if (wrapped()) {
        skip("a checker does not follow into a set-user-ID program");
    }
    if (geteuid() != 0) {
        skip("only root can make a program with another user's privileges");
    }
    watchdog();

    char path[PATH_MAX], program[PATH_MAX + 8];
    int dfd = temp_dir(path);
    int fd = openat(dfd, "secure", O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    CHECK(fd >= 0);
    copy_self(fd);
    CHECK_EQ(fchown(fd, 65534, 65534), 0);
    CHECK_EQ(fchmod(fd, 04755), 0);
    CHECK_EQ(close(fd), 0);
    snprintf(program, sizeof(program), "%s/secure", path);

    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        setenv("IOQ_BACKEND", "nonsense", 1);
        execl(program, program, "privileged", (char *)NULL);
        CHECK(!"execl");
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    remove_temp_dir(path, dfd);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        skip("the dynamic linker may not read the library as the other user");
    }
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}
