/* Rows by module: the tree in pre-order, equal siblings folded into one row ("layers.0-31 ×32"). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/report/rows.h"

struct visit {
    uint32_t module; /* the first of its copies */
    uint32_t depth;
    const uint32_t *copies; /* modules that this row stands for: those folded into it, in all copies of its ancestors */
    uint32_t times;         /* how many */
    uint32_t length;        /* siblings folded into it, itself included */
    uint32_t last;          /* the last of them */
    const char *parent_name;
    const char *prefix; /* "layers." when the row stands for a container too that holds nothing else, "" otherwise */
};

struct module_walk {
    const struct fxc_analysis *analysis;
    const struct fxc_program *p;
    const struct fxc_view_options *options;
    struct fxc_rows *rows;
    uint32_t *child, *child_begin; /* children of module m: child[child_begin[m] .. child_begin[m + 1]) */
    uint32_t *place;               /* per module: its position among its siblings */
    uint64_t *shape;               /* per module: hash of all that its subtree prints but its own name */
    bool *prints;                  /* per module: has it or one below it anything to show? */
    struct visit *stack;
    uint32_t stack_count;
};

/* ---- what a subtree looks like
 * --------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

static uint64_t mix_text(uint64_t hash, const char *text) {
    for (; *text != '\0'; text++) {
        hash = mix(hash, (unsigned char)*text);
    }
    return mix(hash, 0);
}

static uint64_t own_shape(const struct module_walk *walk, uint32_t module) {
    const struct fxc_report *report = walk->analysis->report;
    const struct fxc_sum *sum = &report->module_total[module];
    const fxc_counts *c = &sum->counts;
    const int64_t numbers[] = {c->macs,
                               c->matrix_flops,
                               c->vector_flops,
                               c->transcendentals,
                               c->int_ops,
                               c->bytes_read,
                               c->bytes_written,
                               c->kernels,
                               sum->nodes,
                               sum->unknown_nodes,
                               report->module_params[module],
                               report->module_calls[module]};
    uint64_t hash = mix_text(1, fxc_string(walk->p, walk->p->module_class[module]));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        hash = mix(hash, (uint64_t)numbers[i]);
    }
    hash = mix(hash, (uint64_t)sum->saved_bytes);
    for (uint32_t i = 0; i < FXC_MAX_METRICS; i++) {
        hash = mix(hash, (uint64_t)sum->metric[i].value);
        hash = mix(hash, (uint64_t)sum->metric[i].unknown_nodes);
    }
    for (uint32_t phase = 0; phase < FXC_PHASE_COUNT; phase++) {
        hash = mix(hash, (uint64_t)sum->phase_flops[phase]);
    }
    return hash;
}

static bool has_something(const struct module_walk *walk, uint32_t module) {
    const struct fxc_report *report = walk->analysis->report;
    const struct fxc_sum *sum = &report->module_total[module];
    const fxc_counts *c = &sum->counts;
    return report->module_params[module] != 0 || sum->unknown_nodes != 0 || c->matrix_flops != 0 ||
           c->vector_flops != 0 || c->transcendentals != 0 || c->int_ops != 0 || c->bytes_read != 0 ||
           c->bytes_written != 0;
}

/* A module's name as a number, -1 when it is none. */
static int64_t number_of(const struct fxc_program *p, uint32_t module) {
    const char *text = fxc_string(p, p->module_name[module]);
    size_t length = strlen(text);
    bool digits = length > 0 && length < 10 && strspn(text, "0123456789") == length;
    return digits ? strtol(text, NULL, 10) : -1;
}

static fxc_status prepare(struct module_walk *walk, fxc_error *err) {
    struct fxc_arena *arena = &walk->rows->arena;
    const struct fxc_program *p = walk->p;
    uint32_t modules = FXC_COUNT(p, module);
    walk->child = FXC_NEW(arena, uint32_t, modules);
    walk->child_begin = FXC_NEW(arena, uint32_t, (size_t)modules + 2);
    walk->place = FXC_NEW(arena, uint32_t, modules);
    walk->shape = FXC_NEW(arena, uint64_t, modules);
    walk->prints = FXC_NEW(arena, bool, modules);
    walk->stack = FXC_NEW(arena, struct visit, (size_t)modules + 1);
    walk->rows->row = FXC_NEW(arena, struct fxc_row, modules);
    if (walk->child == NULL || walk->child_begin == NULL || walk->place == NULL || walk->shape == NULL ||
        walk->prints == NULL || walk->stack == NULL || walk->rows->row == NULL) {
        return fxc_fail_memory(err, "report rows");
    }
    /* Counting sort by parent: begin[m + 2] counts m's children, its prefix sum in begin[m + 1] is the place of m's
     * next child, and ends as the end of m, which is the begin of m + 1. */
    for (uint32_t m = 0; m < modules; m++) {
        if (p->module_parent[m] != FXC_NONE) {
            walk->child_begin[p->module_parent[m] + 2]++;
        }
    }
    for (uint32_t m = 0; m < modules; m++) {
        walk->child_begin[m + 2] += walk->child_begin[m + 1];
    }
    for (uint32_t m = 0; m < modules; m++) {
        if (p->module_parent[m] != FXC_NONE) {
            walk->child[walk->child_begin[p->module_parent[m] + 1]++] = m;
        }
    }
    for (uint32_t m = 0; m < modules; m++) {
        for (uint32_t i = walk->child_begin[m]; i < walk->child_begin[m + 1]; i++) {
            walk->place[walk->child[i]] = i - walk->child_begin[m];
        }
    }
    for (uint32_t m = modules; m-- > 0;) {
        walk->shape[m] = mix(walk->shape[m], own_shape(walk, m));
        walk->prints[m] = walk->options->unfold || has_something(walk, m);
        if (p->module_parent[m] != FXC_NONE) {
            uint64_t *parent = &walk->shape[p->module_parent[m]];
            *parent = mix_text(mix(*parent, walk->shape[m]), fxc_string(p, p->module_name[m]));
        }
    }
    return FXC_OK;
}

/* ---- rows
 * ------------------------------------------------------------------------------------------------------------ */

/* The sum over all copies: counts are the same in each, what was measured is not. */
static struct fxc_row module_row(const struct module_walk *walk, const uint32_t *copies, uint32_t times) {
    const struct fxc_report *report = walk->analysis->report;
    struct fxc_row row = {
        .class_name = fxc_string(walk->p, walk->p->module_class[copies[0]]),
        .calls = report->module_calls[copies[0]],
        .unhooked = report->module_unhooked[copies[0]],
        .params = report->module_params[copies[0]],
        .sum = report->module_total[copies[0]],
        .folded = times,
        .self_flops = fxc_flops_of(&report->module_self[copies[0]].counts),
        .self_macs = report->module_self[copies[0]].counts.macs,
        .has_params = true,
    };
    for (uint32_t i = 1; i < times; i++) {
        (void)fxc_sum_add(&row.sum, &report->module_total[copies[i]]); /* a part of the total, which was checked */
        row.self_flops += fxc_flops_of(&report->module_self[copies[i]].counts);
        row.self_macs += report->module_self[copies[i]].counts.macs;
        row.params += report->module_params[copies[i]];
        row.calls += report->module_calls[copies[i]];
        row.unhooked += report->module_unhooked[copies[i]];
    }
    return row;
}

/* Copies of a run of children: the modules in the same places below every copy of their parent. */
static const uint32_t *copies_of(struct module_walk *walk, const struct visit *parent, const uint32_t *run,
                                 uint32_t length) {
    uint32_t *copies = FXC_NEW(&walk->rows->arena, uint32_t, (size_t)parent->times *length);
    for (uint32_t i = 0; copies != NULL && i < parent->times; i++) {
        uint32_t begin = walk->child_begin[parent->copies[i]], count = walk->child_begin[parent->copies[i] + 1] - begin;
        for (uint32_t j = 0; j < length; j++) {
            uint32_t place = walk->place[run[j]]; /* below count, unless two different subtrees have one hash */
            copies[i * length + j] = place < count ? walk->child[begin + place] : run[j];
        }
    }
    return copies;
}

static char *join(struct fxc_arena *arena, const char *parent, const char *name) {
    size_t size = strlen(parent) + strlen(name) + 2;
    char *text = fxc_arena_alloc(arena, size);
    if (text != NULL) {
        (void)snprintf(text, size, "%s%s%s", parent, parent[0] == '\0' || name[0] == '\0' ? "" : ".", name);
    }
    return text;
}

/* Siblings from `first` on that look alike: numbered in sequence and of one shape. */
static uint32_t run_length(const struct module_walk *walk, const uint32_t *child, uint32_t count, uint32_t first) {
    uint32_t length = 1;
    int64_t number = number_of(walk->p, child[first]);
    if (walk->options->unfold || number < 0) {
        return 1;
    }
    while (first + length < count && walk->shape[child[first + length]] == walk->shape[child[first]] &&
           number_of(walk->p, child[first + length]) == number + length) {
        length++;
    }
    return length;
}

static fxc_status push_row(struct module_walk *walk, const struct visit *visit, fxc_error *err) {
    struct fxc_arena *arena = &walk->rows->arena;
    struct fxc_row row = module_row(walk, visit->copies, visit->times);
    char own[300], label[640];
    (void)snprintf(own, sizeof own, "%.120s", fxc_string(walk->p, walk->p->module_name[visit->module]));
    (void)snprintf(label, sizeof label, "%.300s", visit->module == 0 ? "(model)" : own);
    if (visit->length > 1) {
        size_t used = strlen(own);
        (void)snprintf(own + used, sizeof own - used, "-%.120s",
                       fxc_string(walk->p, walk->p->module_name[visit->last]));
        (void)snprintf(label, sizeof label, "%.300s%s \xC3\x97%u", visit->prefix, own, visit->length); /* × */
    }
    row.name = visit->module == 0 ? fxc_arena_string(arena, "") : join(arena, visit->parent_name, own);
    row.depth = visit->depth;
    row.label = fxc_arena_string(arena, label);
    if (row.name == NULL || row.label == NULL) {
        return fxc_fail_memory(err, "report rows");
    }
    walk->rows->row[walk->rows->count++] = row;
    return FXC_OK;
}

struct sibling {
    double key;
    uint32_t order, module;
};

static int by_key(const void *a, const void *b) {
    const struct sibling *x = a, *y = b;
    if (x->key != y->key) {
        return x->key > y->key ? -1 : 1;
    }
    return (x->order > y->order) - (x->order < y->order);
}

/* Children that print, in the asked order, at most `top` of them; the result lives in the rows' arena. */
static uint32_t *sorted_children(struct module_walk *walk, uint32_t module, uint32_t *count) {
    uint32_t begin = walk->child_begin[module], end = walk->child_begin[module + 1], kept = 0;
    struct sibling *siblings = FXC_NEW(&walk->rows->arena, struct sibling, end - begin);
    uint32_t *result = FXC_NEW(&walk->rows->arena, uint32_t, end - begin);
    if (siblings == NULL || result == NULL) {
        return NULL;
    }
    for (uint32_t i = begin; i < end; i++) {
        if (walk->prints[walk->child[i]]) {
            struct fxc_row row = module_row(walk, &walk->child[i], 1);
            siblings[kept] = (struct sibling){fxc_row_key(&row, walk->options->sort), kept, walk->child[i]};
            kept++;
        }
    }
    qsort(siblings, kept, sizeof *siblings, by_key);
    *count = kept < walk->options->top ? kept : walk->options->top;
    for (uint32_t i = 0; i < *count; i++) {
        result[i] = siblings[i].module;
    }
    return result;
}

/* Stacks the children of a visit, runs of equal siblings as one. */
static fxc_status stack_children(struct module_walk *walk, const struct visit *visit, const uint32_t *child,
                                 uint32_t count, const char *name, fxc_error *err) {
    uint32_t bottom = walk->stack_count;
    for (uint32_t i = 0; i < count;) {
        uint32_t length = run_length(walk, child, count, i);
        const uint32_t *copies = copies_of(walk, visit, child + i, length);
        if (copies == NULL) {
            return fxc_fail_memory(err, "report rows");
        }
        walk->stack[walk->stack_count++] = (struct visit){
            child[i], visit->depth + 1, copies, visit->times * length, length, child[i + length - 1], name, ""};
        i += length;
    }
    /* Reverse, so that the first child comes off the stack first. */
    for (uint32_t low = bottom, high = walk->stack_count; low + 1 < high; low++) {
        struct visit swap = walk->stack[low];
        walk->stack[low] = walk->stack[--high];
        walk->stack[high] = swap;
    }
    return FXC_OK;
}

/* Is this a container (a ModuleList) that does nothing itself and holds one run of equal siblings? */
static bool only_holds_a_run(const struct module_walk *walk, const struct visit *visit, const uint32_t *child,
                             uint32_t count) {
    const struct fxc_report *report = walk->analysis->report;
    if (count < 2 || visit->length > 1 || visit->depth == 0 || run_length(walk, child, count, 0) != count) {
        return false;
    }
    int64_t params = report->module_params[child[0]] * (int64_t)count; /* equal siblings: a part of the sum */
    return report->module_self[visit->module].nodes == 0 && report->module_params[visit->module] == params;
}

/* The visit of the run inside such a container. */
static fxc_status enter_run(struct module_walk *walk, struct visit *visit, const uint32_t *child, uint32_t count,
                            fxc_error *err) {
    const char *own = fxc_string(walk->p, walk->p->module_name[visit->module]);
    char prefix[300];
    (void)snprintf(prefix, sizeof prefix, "%.290s.", own);
    *visit = (struct visit){child[0],
                            visit->depth,
                            copies_of(walk, visit, child, count),
                            visit->times * count,
                            count,
                            child[count - 1],
                            join(&walk->rows->arena, visit->parent_name, own),
                            fxc_arena_string(&walk->rows->arena, prefix)};
    return visit->copies == NULL || visit->parent_name == NULL || visit->prefix == NULL
               ? fxc_fail_memory(err, "report rows")
               : FXC_OK;
}

static fxc_status visit_module(struct module_walk *walk, struct visit visit, fxc_error *err) {
    uint32_t count = 0;
    uint32_t *child = sorted_children(walk, visit.module, &count);
    if (child != NULL && only_holds_a_run(walk, &visit, child, count)) {
        FXC_TRY(enter_run(walk, &visit, child, count, err));
        child = sorted_children(walk, visit.module, &count);
    }
    if (child == NULL) {
        return fxc_fail_memory(err, "report rows");
    }
    FXC_TRY(push_row(walk, &visit, err));
    if (visit.depth < walk->options->depth) {
        return stack_children(walk, &visit, child, count, walk->rows->row[walk->rows->count - 1].name, err);
    }
    return FXC_OK;
}

/* A report on one module shows that module by its full name. */
static fxc_status name_root(struct module_walk *walk, fxc_error *err) {
    char path[512];
    struct fxc_row *row = &walk->rows->row[0];
    if (walk->options->root_module != 0) {
        (void)fxc_module_path(walk->p, walk->options->root_module, path, sizeof path);
        row->label = fxc_arena_string(&walk->rows->arena, path);
    }
    return row->label == NULL ? fxc_fail_memory(err, "report rows") : FXC_OK;
}

fxc_status fxc_rows_by_module(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                              struct fxc_rows *rows, fxc_error *err) {
    struct module_walk walk = {.analysis = analysis, .p = analysis->program, .options = options, .rows = rows};
    uint32_t root = options->root_module;
    char parent[512] = "";
    FXC_TRY(prepare(&walk, err));
    if (root != 0) {
        (void)fxc_module_path(walk.p, walk.p->module_parent[root], parent, sizeof parent);
    }
    walk.stack[walk.stack_count++] = (struct visit){root, 0, &root, 1, 1, root, parent, ""};
    while (walk.stack_count > 0) {
        FXC_TRY(visit_module(&walk, walk.stack[--walk.stack_count], err));
        if (rows->count == 1) {
            FXC_TRY(name_root(&walk, err));
        }
    }
    return FXC_OK;
}

/* Modules that hold parameters or stand alone, and that neither were called nor hold one that was; the outermost of
 * each. */
void fxc_put_uncalled(const struct fxc_analysis *analysis, struct fxc_stream *out) {
    const struct fxc_program *p = analysis->program;
    const struct fxc_report *report = analysis->report;
    enum { NAMED = 4 };
    int64_t count = 0, params = 0;
    char path[200], number[FXC_NUMBER_SIZE], names[NAMED * 64] = "";
    for (uint32_t m = 1; m < FXC_COUNT(p, module); m++) {
        uint32_t parent = p->module_parent[m];
        bool idle = report->module_reached[m] == 0, above = parent != 0 && report->module_reached[parent] == 0;
        if (!idle || above || report->module_params[m] == 0) {
            continue;
        }
        params += report->module_params[m];
        if (count++ < NAMED) {
            size_t used = strlen(names);
            (void)snprintf(names + used, sizeof names - used, "%s%.50s", used == 0 ? "" : ", ",
                           fxc_module_path(p, m, path, sizeof path));
        }
    }
    if (count > 0) {
        fxc_putf(out, "uncalled    %" PRId64 " module%s with %s parameters: %s%s\n", count, count == 1 ? "" : "s",
                 fxc_human(params, false, number), names, count > NAMED ? ", ..." : "");
    }
}

bool fxc_unhooked_text(const struct fxc_analysis *analysis, char *text, size_t size) {
    const struct fxc_program *p = analysis->program;
    char path[200];
    int64_t calls = 0;
    uint32_t first = FXC_NONE;
    for (uint32_t m = 0; m < FXC_COUNT(p, module); m++) {
        first = first == FXC_NONE && analysis->report->module_unhooked[m] > 0 ? m : first;
        calls += analysis->report->module_unhooked[m];
    }
    if (first == FXC_NONE) {
        return false;
    }
    (void)snprintf(text, size, "%" PRId64 " explicit call%s of forward (%s%s), which no hook sees", calls,
                   calls == 1 ? "" : "s", fxc_module_path(p, first, path, sizeof path), calls == 1 ? "" : " ...");
    return true;
}
