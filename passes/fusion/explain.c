/* fxc_fusion_explain: finds the nodes that are asked about, answers what needs no engine, and asks the engine else. */
#include "passes/fusion/explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ops.h"
#include "passes/alias/alias.h"
#include "passes/fusion/nodes.h"

void fxc_say(struct fxc_question *q, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(q->text + q->used, q->size - q->used, format, arguments);
    va_end(arguments);
    size_t left = q->size - q->used - 1;
    q->used += written < 0 ? 0 : (size_t)written < left ? (size_t)written : left;
}

void fxc_say_kernel(struct fxc_question *q, const char *label, uint32_t kernel) {
    enum { SHOWN = 6 };
    const struct fxc_fusion *f = q->fusion;
    const struct fxc_kernel_row *k = &f->kernel[kernel];
    static const char *const kinds[] = {
#define X(name, text) text,
        FXC_KERNEL_KIND_LIST(X)
#undef X
    };
    fxc_say(q, "  %s%skernel %u, %s", label, label[0] == '\0' ? "" : ": ", kernel, kinds[k->kind]);
    for (uint32_t d = 0; d < k->outer_rank + k->folded_rank; d++) {
        bool folds = d >= k->outer_rank;
        fxc_say(q, "%s%" PRId64,
                d == 0               ? folds ? " folding " : " over "
                : d == k->outer_rank ? ", folding "
                                     : " x ",
                f->size[k->size_begin + d]);
    }
    for (uint32_t i = 0; i < k->member_count && i < SHOWN; i++) {
        fxc_say(q, "%s%s", i == 0 ? ": " : ", ", fxc_node_name(q->analysis->program, f->member[k->member_begin + i]));
    }
    if (k->member_count > SHOWN) {
        fxc_say(q, " and %u more", k->member_count - SHOWN);
    }
    fxc_say(q, "\n");
}

/* ---- names ----------------------------------------------------------------------------------------------------------
 */

enum { NAME_SIZE = 64, NEAR = 3 };

/* Edits that make one name the other (Levenshtein); names that are longer than NAME_SIZE count as far. */
static uint32_t edits(const char *a, const char *b) {
    uint32_t row[NAME_SIZE + 1];
    size_t m = strlen(a), n = strlen(b);
    if (m > NAME_SIZE || n > NAME_SIZE) {
        return NAME_SIZE;
    }
    for (uint32_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (uint32_t i = 1; i <= m; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= n; j++) {
            uint32_t above = row[j], least = diagonal + (a[i - 1] != b[j - 1]);
            least = above + 1 < least ? above + 1 : least;
            row[j] = row[j - 1] + 1 < least ? row[j - 1] + 1 : least;
            diagonal = above;
        }
    }
    return row[n];
}

struct near {
    uint32_t node[NEAR], distance[NEAR], count;
};

/* Keeps the nearest names, each once. */
static void offer(const struct fxc_program *p, const char *name, uint32_t node, struct near *near) {
    uint32_t distance = edits(name, fxc_node_name(p, node)), at = near->count;
    for (uint32_t i = 0; i < near->count; i++) {
        if (strcmp(fxc_node_name(p, near->node[i]), fxc_node_name(p, node)) == 0) {
            return;
        }
    }
    if (at == NEAR && near->distance[NEAR - 1] <= distance) {
        return;
    }
    at = at == NEAR ? NEAR - 1 : at;
    for (; at > 0 && near->distance[at - 1] > distance; at--) {
        near->distance[at] = near->distance[at - 1];
        near->node[at] = near->node[at - 1];
    }
    near->distance[at] = distance;
    near->node[at] = node;
    near->count += near->count < NEAR;
}

static fxc_status unknown_name(const struct fxc_question *q, const char *name, fxc_error *err) {
    const struct fxc_program *p = q->analysis->program;
    struct near found = {.count = 0};
    uint32_t graphs[2] = {q->fusion->graph, 0};
    for (uint32_t i = 0; i < 2; i++) {
        for (uint32_t node = p->graph_node_begin[graphs[i]]; node < p->graph_node_begin[graphs[i] + 1]; node++) {
            offer(p, name, node, &found);
        }
    }
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s: a node to explain", p->file);
    fxc_expected(err, "the name of a node of the graph that profile %s fuses", q->fusion->profile->name);
    fxc_found(err, "'%s'", name);
    if (found.count > 0) {
        char near[NEAR * (NAME_SIZE + 4)] = "";
        for (uint32_t i = 0; i < found.count; i++) {
            size_t used = strlen(near);
            (void)snprintf(near + used, sizeof near - used, "%s%.64s", i == 0 ? "" : ", ",
                           fxc_node_name(p, found.node[i]));
        }
        fxc_advice(err, "near names: %s; fxcost print lists all", near);
    }
    return status;
}

/* Marks the nodes of a name: of the graph that is fused, else those that were lowered from a captured one. */
static fxc_status mark(struct fxc_question *q, uint32_t which, fxc_error *err) {
    const struct fxc_program *p = q->analysis->program;
    const char *name = q->name[which];
    uint32_t first = p->graph_node_begin[q->fusion->graph], end = p->graph_node_begin[q->fusion->graph + 1];
    q->node[which] = FXC_NONE;
    for (uint32_t node = first; node < end && q->node[which] == FXC_NONE; node++) {
        if (strcmp(fxc_node_name(p, node), name) == 0) {
            q->node[which] = node;
            q->side[node] |= (uint8_t)(1u << which);
        }
    }
    bool found = q->node[which] != FXC_NONE;
    for (uint32_t node = first; node < end && !found && p->node_origin != NULL; node++) {
        uint32_t origin = p->node_origin[node];
        if (origin != FXC_NONE && strcmp(fxc_node_name(p, origin), name) == 0) {
            q->node[which] = q->node[which] == FXC_NONE ? node : q->node[which];
            q->side[node] |= (uint8_t)(1u << which);
        }
    }
    return q->node[which] == FXC_NONE ? unknown_name(q, name, err) : FXC_OK;
}

/* ---- nodes that run nothing -----------------------------------------------------------------------------------------
 */

static bool runs(const struct fxc_question *q, uint32_t which) {
    const struct fxc_program *p = q->analysis->program;
    for (uint32_t node = p->graph_node_begin[q->fusion->graph]; node < p->graph_node_begin[q->fusion->graph + 1];
         node++) {
        if ((q->side[node] & 1u << which) != 0 && q->fusion->home[node] != FXC_NONE) {
            return true;
        }
    }
    return false;
}

static bool is_view(const struct fxc_question *q, uint32_t node) {
    const struct fxc_op_row *row = fxc_node_row(q->analysis->program, node);
    return row != NULL && (row->fuse == FXC_FUSE_VIEW || row->fuse == FXC_FUSE_NOTHING);
}

/* The node whose memory a node's result lies in; FXC_NONE for that of an input, or none. */
static uint32_t source_of(const struct fxc_question *q, uint32_t node) {
    const struct fxc_program *p = q->analysis->program;
    const struct fxc_alias *alias = q->analysis->alias;
    uint32_t memory = alias->value_memory[p->node_result[node]];
    return memory == FXC_NONE ? FXC_NONE : p->value_producer[alias->memory_origin[memory]];
}

/* A side that runs nothing: a view is explained by what it is a view of. False when there is nothing to explain. */
static bool resolve(struct fxc_question *q, uint32_t which) {
    if (runs(q, which)) {
        return true;
    }
    uint32_t node = q->node[which], source = is_view(q, node) ? source_of(q, node) : FXC_NONE;
    const char *name = fxc_node_name(q->analysis->program, node);
    if (is_view(q, node) && source != FXC_NONE && source != node && q->fusion->home[source] != FXC_NONE) {
        const char *made = fxc_node_name(q->analysis->program, source);
        fxc_say(q, "  '%s' is a view: arithmetic on indices in what reads it. Its memory is made by '%s'.\n", name,
                made);
        q->side[source] |= (uint8_t)(1u << which);
        q->node[which] = source;
        return true;
    }
    if (is_view(q, node)) {
        fxc_say(q, "  rule: '%s' is a view of memory that no kernel makes: arithmetic on indices in what reads it\n",
                name);
        q->reason = "view";
    } else {
        fxc_say(q,
                "  rule: '%s' runs in no kernel: no result needs it, it is computed where its parts are, or it is "
                "not computed on tensors\n",
                name);
        q->reason = "no_kernel";
    }
    return false;
}

/* ---- kernels of whole nodes -----------------------------------------------------------------------------------------
 */

static fxc_status explain_nodes(struct fxc_question *q, fxc_error *err) {
    static const char *const tokens[] = {
#define X(name, token, text) token,
        FXC_NODE_REASON_LIST(X)
#undef X
    };
    static const char *const texts[] = {
#define X(name, token, text) text,
        FXC_NODE_REASON_LIST(X)
#undef X
    };
    struct fxc_node_groups g;
    FXC_TRY(fxc_nodes_group(q->analysis, q->fusion->graph, &g, err));
    uint32_t low = q->node[0] < q->node[1] ? 0 : 1;
    enum fxc_node_reason reason = fxc_nodes_reason(&g, q->node[low], q->node[1 - low]);
    q->together = reason < FXC_NODES_ALONE;
    q->reason = tokens[reason];
    for (uint32_t i = 0; i < 2; i++) {
        q->kernel[i] = q->fusion->home[q->node[i]];
    }
    fxc_say(q, "  rule: %s\n", texts[reason]);
    fxc_say_kernel(q, q->together ? "" : "first", q->kernel[low]);
    if (!q->together) {
        fxc_say_kernel(q, "second", q->kernel[1 - low]);
    }
    return FXC_OK;
}

/* ---- the call -------------------------------------------------------------------------------------------------------
 */

/* The engine runs again, in memory that is let go after: the fact stays as it is. */
static fxc_status ask(struct fxc_question *q, fxc_error *err) {
    struct fxc_arena kept = q->analysis->arena[FXC_FACT_fusion];
    q->analysis->arena[FXC_FACT_fusion] = (struct fxc_arena){0};
    fxc_status status = q->fusion->profile->engine == FXC_ENGINE_LOOPS
                            ? fxc_fusion_with_loops(q->analysis, q->fusion->graph, fxc_explain_loops, q, err)
                            : explain_nodes(q, err);
    fxc_arena_free(&q->analysis->arena[FXC_FACT_fusion]);
    q->analysis->arena[FXC_FACT_fusion] = kept;
    return status;
}

static fxc_status explain(struct fxc_question *q, fxc_error *err) {
    FXC_TRY(mark(q, 0, err));
    FXC_TRY(mark(q, 1, err));
    if (!resolve(q, 0) || !resolve(q, 1)) {
        return FXC_OK;
    }
    if (q->node[0] == q->node[1]) {
        q->together = true;
        q->reason = "same_node";
        q->kernel[0] = q->kernel[1] = q->fusion->home[q->node[0]];
        fxc_say(q, "  rule: they are one node\n");
        if (q->kernel[0] != FXC_NONE) {
            fxc_say_kernel(q, "", q->kernel[0]);
        }
        return FXC_OK;
    }
    return ask(q, err);
}

fxc_status fxc_fusion_explain(fxc_analysis *analysis, const char *a, const char *b, fxc_explanation *out,
                              fxc_error *err) {
    if (out->struct_size < sizeof *out) {
        return fxc_fail(err, FXC_USAGE, "fxc_fusion_explain: struct_size is smaller than this version's structure");
    }
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(fusion) | FXC_FACT_BIT(alias), err));
    char details[sizeof out->text];
    struct fxc_question q = {.analysis = analysis,
                             .fusion = analysis->fusion,
                             .name = {a + (a[0] == '%'), b + (b[0] == '%')},
                             .side = calloc((size_t)FXC_COUNT(analysis->program, node) + 1, 1),
                             .kernel = {FXC_NONE, FXC_NONE},
                             .text = details,
                             .size = sizeof details};
    if (q.side == NULL) {
        return fxc_fail_memory(err, "fxc_fusion_explain");
    }
    details[0] = '\0';
    fxc_status status = explain(&q, err);
    free(q.side);
    if (status == FXC_OK) {
        *out = (fxc_explanation){.struct_size = out->struct_size,
                                 .together = q.together,
                                 .reason = q.reason,
                                 .kernel_a = q.kernel[0],
                                 .kernel_b = q.kernel[1]};
        (void)snprintf(out->text, sizeof out->text, "'%.64s' and '%.64s' are %s under profile %s\n%.3500s", q.name[0],
                       q.name[1], q.together ? "one kernel" : "not one kernel", analysis->fusion->profile->name,
                       details);
    }
    return status;
}
