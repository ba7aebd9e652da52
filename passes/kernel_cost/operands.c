#include "passes/kernel_cost/operands.h"

#include "passes/fusion/fusion.h"

struct walk {
    const struct fxc_fusion *fusion;
    fxc_operand *operand;
    int64_t *touched;   /* per buffer with memory: the clock when it was last touched, -1 before that */
    int64_t now, freed; /* freed: the clock when what was freed last was touched; -1 */
};

/* The clock stands still at its end, which no run of bytes reaches. */
static int64_t later(int64_t clock, int64_t bytes) {
    int64_t sum;
    return fxc_add(clock, bytes, &sum) ? INT64_MAX : sum;
}

static void run_kernel(struct walk *w, uint32_t kernel) {
    const struct fxc_kernel_row *row = &w->fusion->kernel[kernel];
    for (uint32_t i = row->access_begin; i < row->access_begin + row->access_count; i++) {
        const struct fxc_kernel_access *access = &w->fusion->access[i];
        uint32_t memory = w->fusion->memory.buffer[access->buffer].within;
        const struct fxc_kernel_buffer *b = &w->fusion->memory.buffer[memory];
        bool fresh = !b->given && b->first == kernel;
        int64_t since = fresh ? w->freed : w->touched[memory];
        w->operand[i] = (fxc_operand){.bytes = access->exact,
                                      .distance = since < 0 ? INT64_MAX : w->now - since,
                                      .written = access->written,
                                      .strided = access->strided,
                                      .fresh = fresh};
    }
    for (uint32_t i = row->access_begin; i < row->access_begin + row->access_count; i++) {
        w->now = later(w->now, w->fusion->access[i].exact);
    }
    for (uint32_t i = row->access_begin; i < row->access_begin + row->access_count; i++) {
        uint32_t memory = w->fusion->memory.buffer[w->fusion->access[i].buffer].within;
        const struct fxc_kernel_buffer *b = &w->fusion->memory.buffer[memory];
        w->touched[memory] = w->now;
        w->freed = !b->given && !b->returned && b->last == kernel ? w->now : w->freed;
    }
}

fxc_status fxc_kernel_operands(const struct fxc_analysis *analysis, struct fxc_arena *arena, fxc_operand **out,
                               fxc_error *err) {
    const struct fxc_fusion *f = analysis->fusion;
    size_t accesses = 0;
    for (uint32_t k = 0; k < f->kernel_count; k++) {
        accesses += f->kernel[k].access_count;
    }
    struct walk w = {.fusion = f, .freed = -1};
    w.operand = *out = FXC_NEW(arena, fxc_operand, accesses);
    w.touched = FXC_NEW(arena, int64_t, f->memory.buffer_count);
    if (w.operand == NULL || w.touched == NULL) {
        return fxc_fail_memory(err, "kernel_cost");
    }
    for (uint32_t i = 0; i < f->memory.buffer_count; i++) {
        w.touched[i] = -1;
    }
    for (int run = 0; run < 2; run++) { /* it runs over and over: the second run counts */
        for (uint32_t k = 0; k < f->kernel_count; k++) {
            run_kernel(&w, k);
        }
    }
    return FXC_OK;
}
