// The functions that take the place of the library's imports.

#ifndef WRAP_H
#define WRAP_H

#include <stdbool.h>

typedef void function(void);

struct wrapper {
    const char *name;
    function *function;
    // Whether the library must have it among its imports.
    bool needed;
};

// Up to one without a name.
extern const struct wrapper wrappers[];

#endif // WRAP_H
