/* Why two nodes are or are not one kernel of the loop engine: they are computed in the same loops, their loops have
 * merged, or a rule or limit keeps the groups that hold them apart. */
#include <inttypes.h>
#include <stdlib.h>

#include "passes/fusion/explain.h"
#include "passes/fusion/group.h"
#include "passes/fusion/schedule.h"

static const char *const tokens[] = {
#define X(name, token, text) token,
    FXC_MERGE_REASON_LIST(X)
#undef X
};
static const char *const texts[] = {
#define X(name, token, text) text,
    FXC_MERGE_REASON_LIST(X)
#undef X
};

struct search {
    struct fxc_question *q;
    struct fxc_merge *m;
    uint32_t *number; /* per group: its kernel */
    uint8_t *sides;   /* per operation */
};

/* Which of the two nodes an operation computes. */
static uint8_t sides_of(const struct search *s, uint32_t operation) {
    const struct fxc_engine *e = s->m->e;
    const struct fxc_operation *op = &e->operation[operation];
    uint8_t sides = 0;
    if (op->kind == FXC_OPERATION_NONE) {
        return 0;
    }
    for (uint32_t k = 0; k < op->body.work_count; k++) {
        sides |= s->q->side[e->work[op->body.work_begin + k].node];
    }
    return op->kind == FXC_OPERATION_EXTERN || op->body.work_count == 0 ? sides | s->q->side[op->node] : sides;
}

static void number_kernels(struct search *s, const struct fxc_schedule *schedule) {
    for (uint32_t i = 0, kernels = 0; i < schedule->count; i++) {
        const struct fxc_kernel_group *g = &s->m->group[schedule->order[i]];
        bool runs = s->m->e->operation[s->m->member[g->member_begin]].kind != FXC_OPERATION_NONE;
        s->number[schedule->order[i]] = runs ? kernels++ : FXC_NONE;
    }
}

/* ---- limits in words ------------------------------------------------------------------------------------------------
 */

static void say_tuple(struct search *s, uint32_t outer, uint32_t folded) {
    const struct fxc_index_table *t = &s->m->e->index;
    uint32_t tuple[2] = {outer, folded};
    for (uint32_t i = 0; i < 2; i++) {
        fxc_say(s->q, i == 0 ? "(" : fxc_tuple_length(t, folded) > 0 ? " folding (" : "");
        for (uint32_t d = 0; d < fxc_tuple_length(t, tuple[i]); d++) {
            fxc_say(s->q, "%s%" PRId64, d == 0 ? "" : ", ", t->row[fxc_tuple_items(t, tuple[i])[d]].offset);
        }
        fxc_say(s->q, i == 0 || fxc_tuple_length(t, folded) > 0 ? ")" : "");
    }
}

static void say_loops(struct search *s, const struct fxc_kernel_group *x, const struct fxc_kernel_group *y) {
    fxc_say(s->q, "  loops: ");
    say_tuple(s, x->outer, x->folded);
    fxc_say(s->q, " and ");
    say_tuple(s, y->outer, y->folded);
    fxc_say(s->q, "\n");
}

/* A kernel that reads from one group, and feeds the other. */
static void say_between(struct search *s, uint32_t a, uint32_t b) {
    for (uint32_t g = 0; g < s->m->group_count; g++) {
        if (s->m->group[g].live && g != a && g != b && s->number[g] != FXC_NONE && fxc_group_before(s->m, a, g, true) &&
            fxc_group_before(s->m, g, b, true)) {
            fxc_say_kernel(s->q, "between", s->number[g]);
            return;
        }
    }
}

static void say_limits(struct search *s, uint32_t a, uint32_t b, enum fxc_merge_reason reason) {
    const struct fxc_profile *profile = s->m->e->profile;
    const struct fxc_kernel_group *x = &s->m->group[a], *y = &s->m->group[b];
    uint32_t members = x->member_count + y->member_count;
    switch (reason) {
    case FXC_MERGE_TOO_MANY:
        fxc_say(s->q, "  limit: at most %u operations, together they are %u\n", profile->max_nodes, members);
        break;
    case FXC_MERGE_TOO_MANY_SIBLINGS:
        fxc_say(s->q, "  limit: at most %u operations, together they are %u\n", profile->max_siblings, members);
        break;
    case FXC_MERGE_FAR:
        fxc_say(s->q, "  limit: at most %u operations apart, they are %u\n", profile->max_distance,
                fxc_merge_distance(x, y));
        break;
    case FXC_MERGE_LITTLE_SHARED:
        fxc_say(s->q, "  limit: at least %u bytes in common, they have %" PRId64 "\n", profile->min_shared,
                fxc_merge_shared(s->m, a, b));
        break;
    case FXC_MERGE_BETWEEN:
        say_between(s, a, b);
        break;
    case FXC_MERGE_OUTER_LOOPS:
        say_loops(s, x, y);
        fxc_say(s->q, "  common: the %u outermost\n", fxc_outer_depth(s->m, a, b));
        break;
    case FXC_MERGE_SAME_LOOPS:
    case FXC_MERGE_INTO_REDUCTION:
    case FXC_MERGE_SAME_SIZES:
    case FXC_MERGE_SAME_POINTS:
    case FXC_MERGE_EPILOGUE:
    case FXC_MERGE_OTHER_LOOPS:
        say_loops(s, x, y);
        break;
    default:
        break;
    }
}

/* ---- answers --------------------------------------------------------------------------------------------------------
 */

static void answer_inlined(struct search *s, uint32_t operation) {
    struct fxc_question *q = s->q;
    q->together = true;
    q->reason = "inlined";
    q->kernel[0] = q->kernel[1] = s->number[s->m->group_of[operation]];
    fxc_say(q, "  rule: one is computed in the loops of the other, without memory between them\n");
    fxc_say_kernel(q, "", q->kernel[0]);
}

/* Where the groups of two operations became one. */
static void answer_merged(struct search *s, uint32_t first, uint32_t second) {
    struct fxc_question *q = s->q;
    struct fxc_merge *m = s->m;
    uint32_t group = m->group_of[first];
    for (bool split = false; !split;) {
        uint32_t x = m->group[group].from[0], on_left = 0;
        for (uint32_t i = 0; i < m->group[x].member_count; i++) {
            uint32_t member = m->member[m->group[x].member_begin + i];
            on_left += (uint32_t)(member == first) + (uint32_t)(member == second);
        }
        split = on_left == 1;
        group = split ? group : on_left == 2 ? x : m->group[group].from[1];
    }
    const struct fxc_kernel_group *g = &m->group[group];
    q->together = true;
    q->reason = tokens[g->reason];
    q->kernel[0] = q->kernel[1] = s->number[m->group_of[first]];
    fxc_say(q, "  rule: %s\n", texts[g->reason]);
    say_loops(s, &m->group[g->from[0]], &m->group[g->from[1]]);
    fxc_say(q, "  common: %" PRId64 " bytes of accesses; %u and %u operations when they merged\n",
            fxc_merge_shared(m, g->from[0], g->from[1]), m->group[g->from[0]].member_count,
            m->group[g->from[1]].member_count);
    fxc_say_kernel(q, "", q->kernel[0]);
}

/* Groups a of the first node and b of the second are apart. */
static void answer_apart(struct search *s, uint32_t a, uint32_t b) {
    struct fxc_question *q = s->q;
    struct fxc_merge *m = s->m;
    bool swapped = fxc_group_before(m, b, a, true) ||
                   (!fxc_group_before(m, a, b, true) && m->group[b].lowest < m->group[a].lowest);
    uint32_t x = swapped ? b : a, y = swapped ? a : b;
    int64_t shared;
    enum fxc_merge_reason reason = fxc_merge_reason_of(m, x, y, &shared);
    bool allowed = reason < FXC_MERGE_LIBRARY;
    reason = allowed ? FXC_MERGE_NOT_NEIGHBOURS : reason;
    q->reason = tokens[reason];
    q->kernel[0] = s->number[a];
    q->kernel[1] = s->number[b];
    fxc_say(q, "  rule: %s\n", texts[reason]);
    say_limits(s, x, y, reason);
    fxc_say_kernel(q, "first", s->number[x]);
    fxc_say_kernel(q, "second", s->number[y]);
}

/* Kernels beside the one of the answer that compute a node too. */
static void say_others(struct search *s, uint32_t which) {
    enum { SHOWN = 8 };
    uint32_t others = 0;
    uint32_t last = FXC_NONE;
    for (uint32_t i = 0; i < s->m->count; i++) {
        uint32_t operation = s->m->order[i], kernel = s->number[s->m->group_of[operation]];
        if ((s->sides[operation] & 1u << which) == 0 || kernel == s->q->kernel[which] || kernel == last) {
            continue;
        }
        last = kernel;
        if (others == 0) {
            fxc_say(s->q, "  '%s' is computed in other kernels too:", s->q->name[which]);
        }
        if (others++ < SHOWN) {
            fxc_say(s->q, " %u", kernel);
        }
    }
    if (others > 0) {
        fxc_say(s->q, others > SHOWN ? " ...\n" : "\n");
    }
}

/* The pair of operations that says most: one that computes both, else two in one kernel, else one that feeds the
 * other, else the first of each. */
static void answer(struct search *s) {
    struct fxc_merge *m = s->m;
    uint32_t best = 0, pair[2] = {FXC_NONE, FXC_NONE};
    for (uint32_t i = 0; i < m->count; i++) {
        if (s->sides[m->order[i]] == (FXC_SIDE_FIRST | FXC_SIDE_SECOND)) {
            answer_inlined(s, m->order[i]);
            return;
        }
    }
    for (uint32_t i = 0; i < m->count && best < 3; i++) {
        uint32_t first = m->order[i];
        for (uint32_t k = 0; (s->sides[first] & FXC_SIDE_FIRST) != 0 && k < m->count; k++) {
            uint32_t second = m->order[k], a = m->group_of[first], b = m->group_of[second];
            if ((s->sides[second] & FXC_SIDE_SECOND) == 0) {
                continue;
            }
            uint32_t rank = a == b ? 3 : fxc_group_feeds(m, a, b) || fxc_group_feeds(m, b, a) ? 2 : 1;
            if (rank > best) {
                best = rank;
                pair[0] = first;
                pair[1] = second;
            }
        }
    }
    if (best == 3) {
        answer_merged(s, pair[0], pair[1]);
    } else if (best > 0) {
        answer_apart(s, m->group_of[pair[0]], m->group_of[pair[1]]);
    } else {
        s->q->reason = "no_kernel";
        fxc_say(s->q, "  rule: one of them runs in no kernel\n");
    }
}

fxc_status fxc_explain_loops(struct fxc_merge *m, void *context, fxc_error *err) {
    struct search s = {.q = context, .m = m};
    struct fxc_arena scratch = {0};
    struct fxc_schedule schedule;
    s.number = calloc((size_t)m->group_count + 1, sizeof *s.number);
    s.sides = calloc((size_t)m->e->operation_count + 1, sizeof *s.sides);
    bool memory = fxc_schedule(m, &schedule, &scratch) && s.number != NULL && s.sides != NULL;
    if (memory) {
        number_kernels(&s, &schedule);
        for (uint32_t i = 0; i < m->count; i++) {
            s.sides[m->order[i]] = sides_of(&s, m->order[i]);
        }
        answer(&s);
        for (uint32_t which = 0; which < 2 && s.q->kernel[0] != FXC_NONE; which++) {
            say_others(&s, which);
        }
    }
    fxc_arena_free(&scratch);
    free(s.number);
    free(s.sides);
    return memory ? FXC_OK : fxc_fail_memory(err, "fxc_fusion_explain");
}
