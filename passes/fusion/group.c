/* Groups of operations: how they are made, and what runs before what. */
#include <stdlib.h>
#include <string.h>

#include "passes/fusion/group.h"

static int compare_access(const void *a, const void *b) {
    return fxc_access_order(a, b);
}

/* One more than is asked for: an operation may touch and follow nothing, and arrays that are copied must exist. */
static bool room(struct fxc_merge *m, uint32_t members, uint32_t accesses, uint32_t edges) {
    bool ok = FXC_ROOM(m->group, m->group_capacity, m->group_count + 1) &&
              FXC_ROOM(m->member, m->member_capacity, m->member_count + members) &&
              FXC_ROOM(m->access, m->access_capacity, m->access_count + accesses + 1) &&
              FXC_ROOM(m->edge, m->edge_capacity, m->edge_count + edges + 1);
    m->e->failed |= !ok;
    return ok;
}

/* Sorts the accesses of the newest group, and drops repeated ones. */
static void tidy(struct fxc_merge *m, struct fxc_kernel_group *g) {
    struct fxc_access *access = m->access + g->access_begin;
    qsort(access, g->access_count, sizeof *access, compare_access);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->access_count; i++) {
        if (kept == 0 || compare_access(&access[kept - 1], &access[i]) != 0) {
            access[kept++] = access[i];
        }
    }
    g->access_count = kept;
    m->access_count = g->access_begin + kept;
}

static void add_edge(struct fxc_merge *m, struct fxc_kernel_group *g, uint32_t operation) {
    for (uint32_t i = 0; i < g->edge_count; i++) {
        if (m->edge[g->edge_begin + i] == operation) {
            return;
        }
    }
    m->edge[g->edge_begin + g->edge_count++] = operation;
    m->edge_count++;
}

uint32_t fxc_group_new(struct fxc_merge *m, uint32_t operation) {
    struct fxc_engine *e = m->e;
    const struct fxc_operation *op = &e->operation[operation];
    uint32_t accesses = op->write_count + op->read_count;
    if (!room(m, 1, accesses, op->read_count + 1)) {
        return 0;
    }
    struct fxc_kernel_group g = {.member_begin = m->member_count,
                                 .member_count = 1,
                                 .access_begin = m->access_count,
                                 .access_count = accesses,
                                 .lowest = op->number,
                                 .highest = op->number,
                                 .outer = op->outer,
                                 .folded = op->folded,
                                 .head = {op->outer, op->folded},
                                 .tail = {op->outer, op->folded},
                                 .edge_begin = m->edge_count,
                                 .into = FXC_NONE,
                                 .from = {FXC_NONE, FXC_NONE},
                                 .reduces = op->kind == FXC_OPERATION_REDUCTION,
                                 .fixed = op->kind > FXC_OPERATION_REDUCTION,
                                 .live = true};
    m->member[m->member_count++] = operation;
    for (uint32_t i = 0; i < accesses; i++) {
        m->access[m->access_count++] = e->access[op->access_begin + i];
    }
    for (uint32_t i = 0; i < op->read_count; i++) {
        uint32_t source = e->buffer[e->access[op->access_begin + op->write_count + i].buffer].operation;
        if (source != FXC_NONE && source != operation) {
            add_edge(m, &g, source);
        }
    }
    if (op->mutated != FXC_NONE && e->buffer[op->mutated].operation != FXC_NONE) {
        add_edge(m, &g, e->buffer[op->mutated].operation);
    }
    tidy(m, &g);
    m->group_of[operation] = m->group_count;
    m->group[m->group_count] = g;
    return m->group_count++;
}

/* Sizes of the loops of a merged group: of the first part that reduces, else of the first. */
static void choose_sizes(struct fxc_kernel_group *g, const struct fxc_kernel_group *a,
                         const struct fxc_kernel_group *b) {
    const struct fxc_kernel_group *from = a->reduces || !b->reduces ? a : b;
    g->outer = from->outer;
    g->folded = from->folded;
    g->reduces = a->reduces || b->reduces;
}

uint32_t fxc_group_join(struct fxc_merge *m, uint32_t first, uint32_t second, uint32_t depth) {
    const struct fxc_kernel_group *a = &m->group[first], *b = &m->group[second];
    if (!room(m, a->member_count + b->member_count, a->access_count + b->access_count, a->edge_count + b->edge_count)) {
        return first;
    }
    a = &m->group[first];
    b = &m->group[second];
    struct fxc_kernel_group g = {.member_begin = m->member_count,
                                 .member_count = a->member_count + b->member_count,
                                 .access_begin = m->access_count,
                                 .access_count = a->access_count + b->access_count,
                                 .lowest = a->lowest < b->lowest ? a->lowest : b->lowest,
                                 .highest = a->highest > b->highest ? a->highest : b->highest,
                                 .edge_begin = m->edge_count,
                                 .into = FXC_NONE,
                                 .from = {first, second},
                                 .live = true};
    choose_sizes(&g, a, b);
    if (depth > 0) {
        g.parts = (a->parts > 0 ? a->parts : 1) + (b->parts > 0 ? b->parts : 1);
        g.depth = depth;
        memcpy(g.head, a->head, sizeof g.head);
        memcpy(g.tail, b->tail, sizeof g.tail);
    } else {
        g.head[0] = g.tail[0] = g.outer;
        g.head[1] = g.tail[1] = g.folded;
    }
    const struct fxc_kernel_group *both[2] = {a, b};
    for (uint32_t k = 0; k < 2; k++) {
        memcpy(m->member + m->member_count, m->member + both[k]->member_begin,
               both[k]->member_count * sizeof *m->member);
        m->member_count += both[k]->member_count;
        memcpy(m->access + m->access_count, m->access + both[k]->access_begin,
               both[k]->access_count * sizeof *m->access);
        m->access_count += both[k]->access_count;
    }
    for (uint32_t i = 0; i < g.member_count; i++) {
        m->group_of[m->member[g.member_begin + i]] = m->group_count;
    }
    for (uint32_t k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < both[k]->edge_count; i++) {
            uint32_t operation = m->edge[both[k]->edge_begin + i];
            if (m->group_of[operation] != m->group_count) {
                add_edge(m, &g, operation);
            }
        }
    }
    tidy(m, &g);
    m->group[first].live = m->group[second].live = false;
    m->group[first].into = m->group[second].into = m->group_count;
    m->group[m->group_count] = g;
    return m->group_count++;
}

/* ---- order ----------------------------------------------------------------------------------------------------------
 */

bool fxc_group_feeds(const struct fxc_merge *m, uint32_t a, uint32_t b) {
    const struct fxc_kernel_group *g = &m->group[b];
    for (uint32_t i = 0; i < g->edge_count; i++) {
        if (m->group_of[m->edge[g->edge_begin + i]] == a) {
            return true;
        }
    }
    return false;
}

/* Puts what must run before a group on the stack, apart from `apart` and what ran before `lowest`. True when `sought`
 * is among it. */
static bool push(struct fxc_merge *m, uint32_t group, uint32_t apart, uint32_t sought, uint32_t lowest,
                 uint32_t *depth) {
    const struct fxc_kernel_group *g = &m->group[group];
    for (uint32_t i = 0; i < g->edge_count; i++) {
        uint32_t before = m->group_of[m->edge[g->edge_begin + i]];
        struct fxc_kernel_group *other = &m->group[before];
        if (before == apart) {
            continue;
        }
        if (before == sought) {
            return true;
        }
        if (other->stamp != m->stamp && other->highest > lowest) {
            other->stamp = m->stamp;
            m->stack[(*depth)++] = before;
        }
    }
    return false;
}

bool fxc_group_before(struct fxc_merge *m, uint32_t a, uint32_t b, bool directly) {
    uint32_t depth = 0, lowest = m->group[a].lowest;
    m->stamp++;
    if (push(m, b, directly ? FXC_NONE : a, a, lowest, &depth)) {
        return true;
    }
    while (depth > 0) {
        if (push(m, m->stack[--depth], FXC_NONE, a, lowest, &depth)) {
            return true;
        }
    }
    return false;
}

bool fxc_group_follows(struct fxc_merge *m, uint32_t group, uint32_t a) {
    const struct fxc_engine *e = m->e;
    const struct fxc_kernel_group *g = &m->group[group];
    uint32_t depth = 0, lowest = m->group[a].lowest, stamp = ++m->stamp;
    for (uint32_t i = 0; i < g->member_count; i++) {
        m->seen[m->member[g->member_begin + i]] = stamp;
        m->stack[depth++] = m->member[g->member_begin + i];
    }
    while (depth > 0) {
        const struct fxc_operation *op = &e->operation[m->stack[--depth]];
        for (uint32_t i = 0; i < op->read_count; i++) {
            uint32_t source = e->buffer[e->access[op->access_begin + op->write_count + i].buffer].operation;
            if (source == FXC_NONE || m->seen[source] == stamp || e->operation[source].number < lowest) {
                continue;
            }
            if (m->group_of[source] == a) {
                return true;
            }
            m->seen[source] = stamp;
            m->stack[depth++] = source;
        }
    }
    return false;
}
