/* verify: graphs that nodes call form no cycle, and calls nest only so deep that passes may recurse. */
#include "passes/verify/verify.h"

struct calls {
    struct fxc_verify *v;
    uint32_t *begin;  /* per graph: its calls in callee */
    uint32_t *callee; /* grouped by calling graph */
    uint32_t *node;   /* parallel: the node that calls */
    uint32_t count;
    bool counting; /* first walk: only count */
};

static void add_call(struct calls *c, uint32_t node, uint32_t callee) {
    if (!c->counting) {
        c->callee[c->count] = callee;
        c->node[c->count] = node;
    }
    c->count++;
}

static void add_list_calls(struct calls *c, uint32_t node, uint32_t list) {
    const struct fxc_program *p = c->v->p;
    if (c->v->list_refs[list] == 0) {
        return;
    }
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        if (p->item_kind[i] == FXC_KIND_GRAPH) {
            add_call(c, node, (uint32_t)p->item_payload[i]);
        } else if (fxc_kind_holds_list(p->item_kind[i])) {
            add_list_calls(c, node, (uint32_t)p->item_payload[i]);
        }
    }
}

static void collect(struct calls *c) {
    const struct fxc_program *p = c->v->p;
    c->count = 0;
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        c->begin[graph] = c->count;
        for (uint32_t n = p->graph_node_begin[graph]; n < p->graph_node_begin[graph + 1]; n++) {
            for (uint32_t a = p->node_arg_begin[n]; a < p->node_arg_begin[n + 1]; a++) {
                if (p->arg_kind[a] == FXC_KIND_GRAPH) {
                    add_call(c, n, (uint32_t)p->arg_payload[a]);
                } else if (fxc_kind_holds_list(p->arg_kind[a])) {
                    add_list_calls(c, n, (uint32_t)p->arg_payload[a]);
                }
            }
        }
    }
    c->begin[FXC_COUNT(p, graph)] = c->count;
}

static fxc_status fail_call(const struct calls *c, uint32_t call, const char *expected, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_PROGRAM, c->v->p, c->node[call]);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "a call of graph %u", c->callee[call]);
    fxc_advice(err, "the file contradicts itself; capture the model again");
    return status;
}

/* Height of the calls below a graph, 0 while it is being computed or not reached. */
struct frame {
    uint32_t graph, next;
};

/* Depth-first with a stack of its own: the height of a graph is one more than that of its highest callee. */
static fxc_status measure(const struct calls *c, uint32_t root, uint8_t *height, uint8_t *open, struct frame *stack,
                          fxc_error *err) {
    uint32_t top = 0;
    stack[0] = (struct frame){root, c->begin[root]};
    open[root] = 1;
    for (;;) {
        struct frame *frame = &stack[top];
        if (frame->next == c->begin[frame->graph + 1]) {
            uint8_t done = height[frame->graph] = (uint8_t)(height[frame->graph] + 1);
            open[frame->graph] = 0;
            if (top == 0) {
                return FXC_OK;
            }
            frame = &stack[--top];
            height[frame->graph] = done > height[frame->graph] ? done : height[frame->graph];
            if (done > FXC_MAX_BODY_NESTING) {
                return fail_call(c, frame->next - 1, "calls nested at most 64 deep", err);
            }
            continue;
        }
        uint32_t call = frame->next++, callee = c->callee[call];
        if (callee == 0 || open[callee] != 0) {
            return fail_call(c, call, "calls of graphs that do not lead back", err);
        }
        if (height[callee] == 0) {
            stack[++top] = (struct frame){callee, c->begin[callee]};
            open[callee] = 1;
        } else if (height[callee] > height[frame->graph]) {
            height[frame->graph] = height[callee];
        }
    }
}

fxc_status fxc_verify_calls(struct fxc_verify *v, fxc_error *err) {
    uint32_t graphs = FXC_COUNT(v->p, graph);
    struct calls c = {.v = v, .counting = true};
    c.begin = FXC_NEW(v->arena, uint32_t, (size_t)graphs + 1);
    uint8_t *height = FXC_NEW(v->arena, uint8_t, graphs), *open = FXC_NEW(v->arena, uint8_t, graphs);
    struct frame *stack = FXC_NEW(v->arena, struct frame, graphs);
    if (c.begin == NULL || height == NULL || open == NULL || stack == NULL) {
        return fxc_fail_memory(err, "verify");
    }
    collect(&c);
    c.callee = FXC_NEW(v->arena, uint32_t, c.count);
    c.node = FXC_NEW(v->arena, uint32_t, c.count);
    if (c.callee == NULL || c.node == NULL) {
        return fxc_fail_memory(err, "verify");
    }
    c.counting = false;
    collect(&c);
    for (uint32_t graph = 0; graph < graphs; graph++) {
        if (height[graph] == 0) {
            FXC_TRY(measure(&c, graph, height, open, stack, err));
        }
    }
    return FXC_OK;
}
