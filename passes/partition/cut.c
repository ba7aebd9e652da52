/* partition: where to cut.
 *
 * Both limits of a stage, seconds and bytes, never fall when it grows. So the fewest stages under given limits are
 * found by making each as long as it may be, and the least time of the slowest stage by bisection over that. Under that
 * time and its slack, the fewest bytes sent follow from a recursion over stages and positions: f(s, i), the fewest
 * bytes for the first i positions in s stages, is the least of f(s - 1, j) + sent(j) over all j from which a stage may
 * reach i, and these j are a window that only moves forward. */
#include <inttypes.h>
#include <math.h>

#include "passes/partition/partition.h"

static const int64_t never = INT64_MAX;
enum { HALVINGS = 200, REFINEMENTS = 16 };

struct search {
    const struct fxc_positions *positions;
    struct fxc_window window;
    struct fxc_stage_limits limits;
    uint32_t stages, count;
    uint32_t *reach;            /* [count + 1]: the first position from which a stage that ends here may begin */
    int64_t *fewest, *previous; /* [count + 1]: f(s, .) and f(s - 1, .) */
    uint32_t *choice;           /* [stages][count + 1]: the j of f(s, i) */
    uint32_t *queue;            /* [count + 1]: those j that may still be the least, the least first */
};

static bool fits(const struct search *s) {
    int64_t bytes;
    return fxc_window_seconds(&s->window) <= s->limits.seconds &&
           (s->limits.bytes == never || (!fxc_window_bytes(&s->window, &bytes) && bytes <= s->limits.bytes));
}

/* Fills `reach` under the limits. Returns the first position that is too much alone, FXC_NONE without one. */
static uint32_t set_reach(struct search *s) {
    uint32_t alone = FXC_NONE;
    fxc_window_reset(&s->window);
    s->reach[0] = 0;
    while (s->window.end < s->count) {
        fxc_window_grow(&s->window);
        while (s->window.begin < s->window.end && !fits(s)) {
            fxc_window_shrink(&s->window);
        }
        s->reach[s->window.end] = s->window.begin;
        alone = alone == FXC_NONE && s->window.begin == s->window.end ? s->window.end - 1 : alone;
    }
    return alone;
}

/* ---- the slowest stage ------------------------------------------------------------------------------------------- */

/* The fewest stages under the limits, each from the end on as long as it may be; UINT32_MAX when there are none.
 * *slowest is the time of the slowest of them. */
static uint32_t fill(struct search *s, double *slowest) {
    uint32_t stages = 0;
    *slowest = 0;
    if (set_reach(s) != FXC_NONE) {
        return UINT32_MAX;
    }
    for (uint32_t end = s->count; end > 0; end = s->reach[end]) {
        double seconds = s->positions->until[end] - s->positions->until[s->reach[end]];
        *slowest = seconds > *slowest ? seconds : *slowest;
        stages++;
    }
    return stages;
}

/* With fewer stages than asked for, any of them may be cut again: neither limit is hurt. */
static double find_slowest(struct search *s) {
    double low = 0, high, slowest;
    s->limits.seconds = INFINITY;
    (void)fill(s, &high);
    for (int i = 0; i < HALVINGS && high - low > 1e-13 * high; i++) {
        s->limits.seconds = low + (high - low) / 2;
        if (fill(s, &slowest) <= s->stages) {
            high = slowest;
        } else {
            low = s->limits.seconds;
        }
    }
    return high;
}

/* ---- the fewest bytes -------------------------------------------------------------------------------------------- */

static int64_t cost_of(const struct search *s, uint32_t cut) {
    int64_t sum;
    return s->previous[cut] == never || fxc_add(s->previous[cut], s->positions->sent[cut], &sum) ? never : sum;
}

/* f(stage + 1, .) from f(stage, .). */
static void add_stage(struct search *s, uint32_t stage) {
    uint32_t begin = 0, end = 0, *choice = s->choice + (size_t)stage * (s->count + 1);
    for (uint32_t i = 0; i <= s->count; i++) {
        uint32_t cut = i - 1;
        if (i > stage && cost_of(s, cut) != never) {
            while (end > begin && cost_of(s, s->queue[end - 1]) >= cost_of(s, cut)) {
                end--;
            }
            s->queue[end++] = cut;
        }
        while (begin < end && s->queue[begin] < s->reach[i]) {
            begin++;
        }
        s->fewest[i] = begin < end ? cost_of(s, s->queue[begin]) : never;
        choice[i] = begin < end ? s->queue[begin] : 0;
    }
}

/* The fewest bytes over all cuts under the limits, `never` when there is none; sets `choice`. */
static int64_t send_fewest(struct search *s) {
    (void)set_reach(s);
    for (uint32_t i = 0; i <= s->count; i++) {
        s->fewest[i] = i > 0 && s->reach[i] == 0 ? 0 : never;
        s->choice[i] = 0;
    }
    for (uint32_t stage = 1; stage < s->stages; stage++) {
        int64_t *swap = s->previous;
        s->previous = s->fewest;
        s->fewest = swap;
        add_stage(s, stage);
    }
    return s->fewest[s->count];
}

/* The least slowest stage that sends no more than the limit with its slack does. */
static void choose(struct search *s, double best, double slack) {
    double low = best, high = best * (1 + slack);
    s->limits.seconds = high;
    int64_t bytes = send_fewest(s);
    for (int i = 0; i < REFINEMENTS && slack > 0; i++) {
        s->limits.seconds = i == 0 ? best : low + (high - low) / 2;
        if (send_fewest(s) == bytes) {
            high = s->limits.seconds;
        } else {
            low = s->limits.seconds;
        }
    }
    s->limits.seconds = high;
    (void)send_fewest(s);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static bool allocate(struct search *s, struct fxc_arena *scratch, struct fxc_arena *arena, struct fxc_cut *out) {
    size_t ends = (size_t)s->count + 1;
    s->reach = FXC_NEW(scratch, uint32_t, ends);
    s->queue = FXC_NEW(scratch, uint32_t, ends);
    s->fewest = FXC_NEW(scratch, int64_t, ends);
    s->previous = FXC_NEW(scratch, int64_t, ends);
    s->choice = fxc_arena_array(scratch, ends, s->stages * sizeof *s->choice);
    out->begin = FXC_NEW(arena, uint32_t, (size_t)s->stages + 1);
    return fxc_window_init(&s->window, s->positions, scratch) && s->reach != NULL && s->queue != NULL &&
           s->fewest != NULL && s->previous != NULL && s->choice != NULL && out->begin != NULL;
}

/* Is there a cut that keeps the limit of memory, however slow? */
static fxc_status check_memory(struct search *s, const struct fxc_program *p, fxc_error *err) {
    double slowest;
    s->limits.seconds = INFINITY;
    uint32_t least = fill(s, &slowest), alone = set_reach(s);
    if (least <= s->stages) {
        return FXC_OK;
    }
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s: partition", p->file);
    fxc_expected(err, "%u stages of at most %" PRId64 " bytes each", s->stages, s->limits.bytes);
    if (alone != FXC_NONE) {
        int64_t bytes = 0;
        fxc_window_reset(&s->window);
        s->window.begin = s->window.end = alone;
        fxc_window_grow(&s->window);
        (void)fxc_window_bytes(&s->window, &bytes);
        fxc_found(err, "node '%s', which alone holds %" PRId64, fxc_node_name(p, s->positions->first + alone), bytes);
    } else {
        fxc_found(err, "at least %u stages", least);
        fxc_advice(err, "ask for that many, or for more memory (--stage-memory BYTES)");
    }
    return status;
}

static fxc_status find(struct search *s, const struct fxc_program *p, double slack, struct fxc_cut *out,
                       fxc_error *err) {
    FXC_TRY(check_memory(s, p, err));
    out->best = find_slowest(s);
    choose(s, out->best, slack);
    uint32_t end = s->count;
    for (uint32_t stage = s->stages; stage-- > 0;) {
        out->begin[stage + 1] = end;
        end = s->choice[(size_t)stage * (s->count + 1) + end];
    }
    out->begin[0] = 0;
    return FXC_OK;
}

fxc_status fxc_find_cut(const struct fxc_program *program, const struct fxc_positions *positions, uint32_t stages,
                        int64_t bytes, double slack, struct fxc_arena *arena, struct fxc_cut *out, fxc_error *err) {
    struct fxc_arena scratch = {0};
    struct search s = {.positions = positions, .limits = {.bytes = bytes}, .stages = stages, .count = positions->count};
    fxc_status status =
        allocate(&s, &scratch, arena, out) ? find(&s, program, slack, out, err) : fxc_fail_memory(err, "partition");
    fxc_arena_free(&scratch);
    return status;
}
