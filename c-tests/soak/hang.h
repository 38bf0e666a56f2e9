// Descriptors whose close(2) hangs until it is let go, on any machine.
//
// Such a one is a TCP connection with SO_LINGER, and with data in it that nobody reads on the other side: to close it is to
// wait until that side has taken everything, or closes as well.

#ifndef HANG_H
#define HANG_H

#include "../test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct hang {
    int fd, other_side;
};

// What connections are made with.
static inline int hang_listener(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = 4096;
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
    CHECK_EQ(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQ(listen(fd, 1), 0);
    return fd;
}

static inline struct hang hang_new(int listener) {
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    int size = 4096;
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    struct linger linger = {.l_onoff = 1, .l_linger = 3600};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    CHECK_EQ(connect(fd, (const struct sockaddr *)&address, len), 0);
    struct hang hang = {fd, accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
    CHECK(hang.other_side >= 0);
    static const char data[4096];
    while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0) {
    }
    CHECK_EQ(errno, EAGAIN);
    return hang;
}

static inline void hang_let_go(const struct hang *hang) {
    CHECK_EQ(close(hang->other_side), 0);
}

#endif // HANG_H
