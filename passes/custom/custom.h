/* What the user adds to or takes from the operator table, for one analysis: formulas, exclusions, corrections, and
 * formulas of metrics of the user's own. */
#ifndef FXC_PASSES_CUSTOM_CUSTOM_H
#define FXC_PASSES_CUSTOM_CUSTOM_H

#include "fxcost/op.h"
#include "passes/rule.h"

enum fxc_custom_kind {
    FXC_CUSTOM_OP,
    FXC_CUSTOM_MODULE,
    FXC_CUSTOM_IGNORE_OP,
    FXC_CUSTOM_IGNORE_MODULE,
    FXC_CUSTOM_SCALE
};

/* One quantity of a formula in text. */
struct fxc_custom_term {
    size_t field; /* offset in fxc_counts */
    char *text;   /* an expression (passes/custom/expression.c) */
};

struct fxc_custom_entry {
    enum fxc_custom_kind kind;
    char *name, *text;     /* text: for reports */
    fxc_op_count_fn count; /* of a formula */
    fxc_metric_fn measure; /* of a formula of a metric, in place of count */
    void *context;         /* of the callback; NULL for formulas in text */
    struct fxc_custom_term *terms;
    uint32_t term_count;
    int64_t numerator, denominator; /* of a scale */
};

/* All entries, in the order in which they were added. */
struct fxc_custom {
    struct fxc_custom_entry *entries;
    uint32_t count, capacity;
};

/* A metric of the user's own: formulas for operators (FXC_CUSTOM_OP, "*" for all that compute or run a kernel) and
 * module classes. */
struct fxc_custom_metric {
    char name[FXC_METRIC_NAME_SIZE];
    struct fxc_custom formulas;
};
struct fxc_custom_metrics {
    struct fxc_custom_metric metric[FXC_MAX_METRICS];
    uint32_t count;
};

void fxc_custom_free(struct fxc_custom *custom);
void fxc_custom_metrics_free(struct fxc_custom_metrics *metrics);
/* The entries of an analysis that concern counts, which they drop; NULL when out of memory. */
struct fxc_custom *fxc_custom_counts(struct fxc_analysis *analysis);
/* The entries of a metric, a new one when it is named for the first time. Errors: FXC_USAGE, FXC_MEMORY. */
fxc_status fxc_custom_metric(struct fxc_analysis *analysis, const char *name, struct fxc_custom **out, fxc_error *err);
/* A new last entry of this kind with a copy of its name; NULL when out of memory. */
struct fxc_custom_entry *fxc_custom_add(struct fxc_custom *custom, enum fxc_custom_kind kind, const char *name);
/* Refuses a name that is none. */
fxc_status fxc_custom_check_name(const char *function, const char *name, fxc_error *err);
/* Takes the last entry away again. */
void fxc_custom_drop_last(struct fxc_custom *custom);

struct fxc_op_call {
    struct fxc_rule rule;     /* of the node; of a module's call, of the first node inside */
    uint32_t module_call;     /* FXC_NONE for an operator */
    const fxc_counts *counts; /* of the node, for the formula of a metric; NULL: not known, or not to be seen */
};

/* ---- expressions --------------------------------------------------------------------------------------------------
 */

/* Evaluates an expression over a call; call == NULL checks its form alone. FXC_UNKNOWN_OPS when something that it reads
 * has no value, FXC_OVERFLOW, FXC_USAGE with what was expected and found. */
fxc_status fxc_custom_evaluate(const char *text, const fxc_op_call *call, int64_t *out, fxc_error *err);
/* The callback of formulas in text; the context is the entry. */
fxc_status fxc_custom_count_terms(const fxc_op_call *call, fxc_counts *out, void *context, fxc_error *err);
/* Field of a quantity by name, SIZE_MAX when there is none. */
size_t fxc_custom_field(const char *name, size_t length);
/* The callback of formulas of metrics in text; the context is the entry. */
fxc_status fxc_custom_measure_term(const fxc_op_call *call, int64_t *out, void *context, fxc_error *err);

/* ---- what concerns a node ------------------------------------------------------------------------------------------
 */

/* Does an entry name all operators? */
static inline bool fxc_is_any(const char *name) {
    return name[0] == '*' && name[1] == '\0';
}

/* Made by the passes flops and metrics: which entry concerns which operator and which module call. */
struct fxc_custom_index {
    const struct fxc_custom *custom;
    int32_t *op_formula, *op_ignored, *op_scale; /* per operator of the program: entry, or -1 */
    int32_t *call_entry;                         /* per module call: formula or exclusion that holds for it, or -1 */
    uint32_t *call_outer;                        /* per module call: the call that this entry belongs to */
    uint8_t *call_counted;                       /* per module call: its formula was applied to a node already */
    int64_t *entry_nodes;                        /* per entry: nodes that it concerns */
};
fxc_status fxc_custom_index_build(const struct fxc_program *program, const struct fxc_custom *custom,
                                  struct fxc_arena *arena, struct fxc_custom_index **out, fxc_error *err);
/* The formula that holds for a node, and the call that it sees; NULL when there is none. *covered: the node is inside a
 * module's call that was counted as a whole, and counts nothing more. */
const struct fxc_custom_entry *fxc_custom_formula(struct fxc_custom_index *index, const struct fxc_rule *rule,
                                                  fxc_op_call *call, bool *covered);
/* Counts a node by what the user said. FXC_OK with *done: counts and coverage are set. Otherwise the table's rule is
 * to count, and fxc_custom_correct to follow. */
fxc_status fxc_custom_count(struct fxc_custom_index *index, const struct fxc_rule *rule, fxc_counts *counts,
                            uint8_t *coverage, bool *done, fxc_error *err);
fxc_status fxc_custom_correct(struct fxc_custom_index *index, const struct fxc_rule *rule, fxc_counts *counts,
                              fxc_error *err);

#endif
