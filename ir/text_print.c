/* The printer of the text form: graphs, parameters, what is left, and the entry point. */
#include "ir/text_print.h"

#include <stdlib.h>

#include "ir/error.h"

static void put(struct fxc_text_printer *pr, const char *text) {
    fxc_print_text(pr, text);
}

/* "%name" or "%name#7" where a value is defined, else a reference to it. */
static void print_subject(struct fxc_text_printer *pr, uint32_t value, bool defines) {
    if (defines) {
        fxc_print_value_name(pr, value, pr->plan.values[value].numbered);
    } else {
        fxc_print_value(pr, value);
    }
}

static bool is_defined_at(const struct fxc_text_printer *pr, uint32_t value, enum fxc_text_place place,
                          uint32_t where) {
    const struct fxc_text_value *v = &pr->plan.values[value];
    return v->place == (uint8_t)place && v->where == where;
}

static void print_input(struct fxc_text_printer *pr, uint32_t input) {
    const struct fxc_program *p = pr->program;
    uint32_t value = p->input_value[input];
    bool defines = is_defined_at(pr, value, FXC_TEXT_INPUT, input);
    bool has_target = fxc_string(p, p->input_target[input])[0] != '\0';
    put(pr, "  input ");
    print_subject(pr, value, defines);
    if (defines) {
        put(pr, ": ");
        fxc_print_definition(pr, value);
    }
    if (p->input_kind[input] != FXC_INPUT_KIND_USER_INPUT || has_target) {
        put(pr, " = ");
        put(pr, fxc_text_input_kinds.text[p->input_kind[input]]);
    }
    if (has_target) {
        put(pr, " ");
        fxc_print_string(pr, p->input_target[input]);
    }
    put(pr, "\n");
}

static void print_reference(struct fxc_text_printer *pr, const char *before, const uint32_t *column, uint32_t node) {
    if (column != NULL && column[node] != FXC_NONE) {
        put(pr, before);
        fxc_print_int(pr, column[node]);
    }
}

static void print_node(struct fxc_text_printer *pr, uint32_t node) {
    const struct fxc_program *p = pr->program;
    uint32_t result = p->node_result[node];
    bool defines = is_defined_at(pr, result, FXC_TEXT_NODE, node);
    put(pr, "  ");
    print_subject(pr, result, defines);
    put(pr, " = ");
    fxc_print_op(pr, p->node_op[node]);
    put(pr, "(");
    for (uint32_t i = p->node_arg_begin[node]; i < p->node_arg_begin[node + 1]; i++) {
        put(pr, i > p->node_arg_begin[node] ? ", " : "");
        fxc_print_name(pr, p->argname_text[p->arg_name[i]]);
        put(pr, "=");
        fxc_print_literal(pr, p->arg_kind[i], p->arg_payload[i]);
    }
    put(pr, ")");
    if (defines) {
        put(pr, " -> ");
        fxc_print_definition(pr, result);
    }
    print_reference(pr, " call=", p->node_call, node);
    print_reference(pr, " region=", p->node_region, node);
    print_reference(pr, " origin=", p->node_origin, node);
    print_reference(pr, " src=", p->node_source, node);
    fxc_print_flags(pr, &fxc_text_node_flags, p->node_flags[node], " ", " ");
    put(pr, "\n");
}

static void print_output(struct fxc_text_printer *pr, uint32_t output) {
    const struct fxc_program *p = pr->program;
    bool has_target = fxc_string(p, p->output_target[output])[0] != '\0';
    put(pr, "  return ");
    fxc_print_literal(pr, p->output_kind[output], p->output_payload[output]);
    if (p->output_role[output] != FXC_OUTPUT_KIND_USER_OUTPUT || has_target) {
        put(pr, " = ");
        put(pr, fxc_text_output_kinds.text[p->output_role[output]]);
    }
    if (has_target) {
        put(pr, " ");
        fxc_print_string(pr, p->output_target[output]);
    }
    put(pr, "\n");
}

static void print_graph(struct fxc_text_printer *pr, uint32_t graph) {
    const struct fxc_program *p = pr->program;
    pr->scope = graph;
    put(pr, "graph ");
    fxc_print_string(pr, p->graph_name[graph]);
    put(pr, " ");
    put(pr, fxc_text_views.text[p->graph_view[graph]]);
    put(pr, "\n");
    for (uint32_t i = p->graph_input_begin[graph]; i < p->graph_input_begin[graph + 1]; i++) {
        print_input(pr, i);
    }
    for (uint32_t i = p->graph_node_begin[graph]; i < p->graph_node_begin[graph + 1] && !pr->failed; i++) {
        print_node(pr, i);
    }
    for (uint32_t i = p->graph_output_begin[graph]; i < p->graph_output_begin[graph + 1]; i++) {
        print_output(pr, i);
    }
}

static void print_param(struct fxc_text_printer *pr, uint32_t param) {
    const struct fxc_program *p = pr->program;
    uint32_t value = p->param_value[param];
    bool defines = is_defined_at(pr, value, FXC_TEXT_PARAM, param);
    put(pr, "param ");
    print_subject(pr, value, defines);
    if (defines) {
        put(pr, ": ");
        fxc_print_definition(pr, value);
    }
    put(pr, " = ");
    put(pr, fxc_text_input_kinds.text[p->param_kind[param]]);
    put(pr, " ");
    fxc_print_string(pr, p->param_name[param]);
    put(pr, " module=");
    fxc_print_int(pr, p->param_module[param]);
    fxc_print_flags(pr, &fxc_text_param_flags, p->param_flags[param], " ", " ");
    put(pr, "\n");
}

static void print_leftover(struct fxc_text_printer *pr, uint32_t value) {
    const struct fxc_program *p = pr->program;
    put(pr, "value ");
    print_subject(pr, value, true);
    put(pr, ": ");
    fxc_print_definition(pr, value);
    if (p->value_producer[value] != FXC_NONE) {
        put(pr, " producer=");
        fxc_print_int(pr, p->value_producer[value]);
    }
    put(pr, "\n");
}

void fxc_print_graphs(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        print_graph(pr, graph);
    }
    pr->scope = 0;
    for (uint32_t param = 0; param < FXC_COUNT(p, param); param++) {
        print_param(pr, param);
    }
    for (uint32_t value = 0; value < FXC_COUNT(p, value); value++) {
        if (pr->plan.values[value].place == FXC_TEXT_NOWHERE) {
            print_leftover(pr, value);
        }
    }
}

fxc_status fxc_program_print(const fxc_program *p, fxc_write_fn write, void *context, fxc_error *err) {
    struct fxc_text_printer *pr = calloc(1, sizeof *pr);
    if (pr == NULL) {
        return fxc_fail_memory(err, p->file);
    }
    pr->program = p;
    pr->write = write;
    pr->context = context;
    fxc_status status = fxc_text_plan_make(&pr->plan, p, err);
    if (status == FXC_OK) {
        fxc_print_tables(pr);
        fxc_print_graphs(pr);
        fxc_print_flush(pr);
        if (pr->failed) {
            status = fxc_fail(err, FXC_IO, "%s", p->file);
            fxc_expected(err, "the text form to be written");
            fxc_found(err, "the output refused it");
        }
    }
    fxc_text_plan_free(&pr->plan);
    free(pr);
    return status;
}
