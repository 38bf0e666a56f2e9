// ioq_nop(): both types succeed and come back as they were submitted.

#include "test.h"

static void one(struct ioq *ioq, enum ioq_nop_type type, void *ptr) {
    CHECK_EQ(ioq_nop(ioq, type, ptr), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, IOQ_NOP);
    CHECK_EQ(ent->nop.type, type);
    CHECK_EQ(ent->result, 0);
    CHECK(ent->ptr == ptr);
    ioq_free(ioq, ent);
}

static void light(struct ioq *ioq) {
    one(ioq, IOQ_NOP_LIGHT, ioq);
}

static void heavy(struct ioq *ioq) {
    one(ioq, IOQ_NOP_HEAVY, ioq);
}

static void any_ptr(struct ioq *ioq) {
    one(ioq, IOQ_NOP_LIGHT, NULL);
    one(ioq, IOQ_NOP_HEAVY, (void *)UINTPTR_MAX);
    one(ioq, IOQ_NOP_LIGHT, (void *)(uintptr_t)1);
}

int main(void) {
    RUN_EACH_WAY(light);
    RUN_EACH_WAY(heavy);
    RUN_EACH_WAY(any_ptr);
    return 0;
}
