// What the programs of this directory share: each has named cases. Without an argument it lists them, one on a line, and
// with a name it runs that one, which must leave no descriptor and no thread behind.

#ifndef CASES_H
#define CASES_H

#include "../test.h"

struct named_case {
    const char *name;
    void (*run)(void);
};

#define CASE(function) {#function, function}

static inline int run_case(const char *name, void (*part)(void)) {
    CHECK_EQ(setenv("IOQ_BACKEND", "uring", 1), 0);
    test_run(name, part);
    return 0;
}

static inline int run_cases(int argc, char *argv[], const struct named_case cases[], size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (argc < 2) {
            puts(cases[i].name);
        } else if (strcmp(argv[1], cases[i].name) == 0) {
            return run_case(argv[1], cases[i].run);
        }
    }
    return argc < 2 ? 0 : 2;
}

#endif // CASES_H
