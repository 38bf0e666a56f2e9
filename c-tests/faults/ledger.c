// What the library has allocated or mapped, and not given back yet.

#include "../test.h"

#include "inject.h"
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    uintptr_t address;
    size_t size;
} held[4096];

static size_t count;

void ledger_add(uintptr_t address, size_t size) {
    CHECK_EQ(pthread_mutex_lock(&lock), 0);
    CHECK(count < COUNT(held));
    held[count].address = address;
    held[count++].size = size;
    CHECK_EQ(pthread_mutex_unlock(&lock), 0);
}

bool ledger_remove(uintptr_t address) {
    bool found = false;
    CHECK_EQ(pthread_mutex_lock(&lock), 0);
    for (size_t i = count; i-- > 0 && !found;) {
        if (held[i].address == address) {
            held[i] = held[--count];
            found = true;
        }
    }
    CHECK_EQ(pthread_mutex_unlock(&lock), 0);
    return found;
}

void ledger_check(void) {
    for (size_t i = 0; i < count; ++i) {
        fprintf(stderr, "leaked: %zu bytes\n", held[i].size);
    }
    CHECK_EQ(count, 0);
}
