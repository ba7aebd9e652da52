/* Layouts of convolutions (GraphLowering.decide_layout_opt of torch/_inductor/graph.py). */
#include <string.h>

#include "passes/fusion/lower.h"

enum { NODES_FOR_EACH = 300 }; /* with more nodes for each convolution the layout of the others decides */

/* Kinds of convolutions, with the time that each takes on channels-last tensors, of that on others. */
enum kind { DEFAULT, GROUPED, SMALL, NARROWING, KINDS };
static const double weight_of[KINDS] = {0.823, 1.358, 0.783, 0.725};

static bool is_convolution(const struct fxc_program *p, uint32_t node) {
    const char *name = fxc_string(p, p->op_name[p->node_op[node]]);
    return strncmp(name, "aten.convolution.", strlen("aten.convolution.")) == 0;
}

static enum kind kind_of(const struct fxc_engine *e, uint32_t node) {
    struct fxc_rule rule = fxc_engine_rule(e);
    enum fxc_kind kind;
    int64_t value, groups = 1;
    rule.node = node;
    if (!fxc_rule_arg(&rule, FXC_NAME_weight, &kind, &value) || kind != FXC_KIND_VALUE) {
        return DEFAULT;
    }
    const struct fxc_shapes *s = e->analysis->shapes;
    const int64_t *size = s->size + s->dim_begin[value];
    if (s->rank[value] < 2 || !fxc_rule_int(&rule, FXC_NAME_groups, 1, &groups)) {
        return DEFAULT;
    }
    if (groups > 1 && size[1] > 1) {
        return GROUPED;
    }
    if (size[0] <= 64 && size[1] <= 64) {
        return SMALL;
    }
    return s->rank[value] > 2 && size[0] <= size[1] / 2 && size[2] > 1 ? NARROWING : DEFAULT;
}

bool fxc_engine_wants_channels_last(const struct fxc_engine *e) {
    const struct fxc_program *p = e->p;
    double flops = 0, weighed = 0;
    uint32_t convolutions = 0;
    if (!e->profile->channels_last || !e->profile->weigh_layouts) {
        return e->profile->channels_last;
    }
    for (uint32_t node = e->first_node; node < e->end_node; node++) {
        if (is_convolution(p, node)) {
            double own = (double)e->analysis->flops->counts[node].matrix_flops;
            convolutions++;
            flops += own;
            weighed += own * weight_of[kind_of(e, node)];
        }
    }
    uint32_t inputs = p->graph_input_begin[e->graph + 1] - p->graph_input_begin[e->graph];
    return convolutions > 0 && e->end_node - e->first_node + inputs + 1 < NODES_FOR_EACH * convolutions &&
           weighed <= flops;
}
