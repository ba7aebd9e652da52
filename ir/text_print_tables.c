/* The lines before the graphs: capture, operators, symbols, modules, calls, storages, and rows that are too large to
 * repeat. */
#include "ir/text_print.h"

static void put(struct fxc_text_printer *pr, const char *text) {
    fxc_print_text(pr, text);
}

static void put_number(struct fxc_text_printer *pr, const char *before, int64_t number) {
    put(pr, before);
    fxc_print_int(pr, number);
}

static void put_flags(struct fxc_text_printer *pr, const struct fxc_text_enum *names, uint32_t flags) {
    fxc_print_flags(pr, names, flags, " ", " ");
}

static void print_strings(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t i = 0; i < pr->plan.strings.count; i++) {
        uint32_t row = pr->plan.strings.row[i];
        put_number(pr, "string ", i);
        put(pr, " = ");
        fxc_print_quoted(pr, fxc_string(p, row), p->string_begin[row + 1] - p->string_begin[row] - 1);
        put(pr, "\n");
    }
}

static void print_captures(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, capture); i++) {
        put(pr, "capture ");
        fxc_print_name(pr, p->capture_key[i]);
        put(pr, " = ");
        fxc_print_literal(pr, p->capture_kind[i], p->capture_payload[i]);
        put(pr, "\n");
    }
}

/* The flags that stand for a number are told by its presence. */
static void print_range(struct fxc_text_printer *pr, uint8_t flags, int64_t low, int64_t high) {
    if ((flags & FXC_SYMBOL_FLAG_HAS_MIN) != 0) {
        put_number(pr, " min=", low);
    }
    if ((flags & FXC_SYMBOL_FLAG_HAS_MAX) != 0) {
        put_number(pr, " max=", high);
    }
}

static void print_symbols(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, symbol); i++) {
        uint8_t flags = p->symbol_flags[i];
        put(pr, "symbol ");
        fxc_print_name(pr, p->symbol_name[i]);
        if (fxc_string(p, p->symbol_dim[i])[0] != '\0') {
            put(pr, " dim=");
            fxc_print_string(pr, p->symbol_dim[i]);
        }
        if ((flags & FXC_SYMBOL_FLAG_HAS_HINT) != 0) {
            put_number(pr, " hint=", p->symbol_hint[i]);
        }
        print_range(pr, flags, p->symbol_min[i], p->symbol_max[i]);
        put_flags(pr, &fxc_text_symbol_flags,
                  flags & ~(uint32_t)(FXC_SYMBOL_FLAG_HAS_HINT | FXC_SYMBOL_FLAG_HAS_MIN | FXC_SYMBOL_FLAG_HAS_MAX));
        put(pr, "\n");
    }
}

static void print_exprs(struct fxc_text_printer *pr) {
    for (uint32_t i = 0; i < pr->plan.exprs.count; i++) {
        put_number(pr, "expr ", i);
        put(pr, " = ");
        fxc_print_expr_postfix(pr, pr->plan.exprs.row[i]);
        put(pr, "\n");
    }
}

static void print_constraints(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, constraint); i++) {
        uint8_t flags = p->constraint_flags[i];
        put(pr, "constraint ");
        fxc_print_expr(pr, p->constraint_expr[i]);
        print_range(pr, flags, p->constraint_min[i], p->constraint_max[i]);
        put_flags(pr, &fxc_text_symbol_flags, flags & ~(uint32_t)(FXC_SYMBOL_FLAG_HAS_MIN | FXC_SYMBOL_FLAG_HAS_MAX));
        put(pr, "\n");
    }
}

static void print_ops(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, op); i++) {
        put(pr, "op ");
        fxc_print_name(pr, p->op_name[i]);
        put(pr, " ");
        put(pr, fxc_text_op_origins.text[p->op_origin[i]]);
        put(pr, " ");
        fxc_print_string(pr, p->op_schema[i]);
        put_flags(pr, &fxc_text_op_tags, p->op_tags[i]);
        put(pr, "\n");
    }
}

static void print_metas_and_lists(struct fxc_text_printer *pr) {
    for (uint32_t i = 0; i < pr->plan.metas.count; i++) {
        put_number(pr, "meta ", i);
        put(pr, " = ");
        fxc_print_meta_row(pr, pr->plan.metas.row[i]);
        put(pr, "\n");
    }
    for (uint32_t i = 0; i < pr->plan.lists.count; i++) {
        put_number(pr, "list ", i);
        put(pr, " = ");
        fxc_print_list_row(pr, pr->plan.lists.row[i]);
        put(pr, "\n");
    }
}

static void print_modules(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, module); i++) {
        put_number(pr, "module ", i);
        put(pr, " ");
        fxc_print_string(pr, p->module_name[i]);
        put(pr, " ");
        fxc_print_string(pr, p->module_class[i]);
        if (p->module_parent[i] != FXC_NONE) {
            put_number(pr, " in ", p->module_parent[i]);
        }
        put(pr, "\n");
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, config); i++) {
        put_number(pr, "config ", p->config_module[i]);
        put(pr, " ");
        fxc_print_name(pr, p->config_key[i]);
        put(pr, " = ");
        fxc_print_literal(pr, p->config_kind[i], p->config_payload[i]);
        put(pr, "\n");
    }
}

static void print_regions(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, region); i++) {
        put_number(pr, "region ", i);
        put(pr, " ");
        put(pr, fxc_text_region_kinds.text[p->region_kind[i]]);
        if (p->region_parent[i] != FXC_NONE) {
            put_number(pr, " in ", p->region_parent[i]);
        }
        if (p->region_config[i] != FXC_NONE) {
            put(pr, " config=");
            fxc_print_list(pr, FXC_KIND_DICT, p->region_config[i]);
        }
        put(pr, "\n");
    }
}

/* Each of the three columns may be absent, in all rows alike. */
static void print_sources(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, source); i++) {
        put_number(pr, "source ", i);
        if (p->source_file != NULL) {
            put(pr, " file=");
            fxc_print_string(pr, p->source_file[i]);
        }
        if (p->source_line != NULL) {
            put_number(pr, " line=", p->source_line[i]);
        }
        if (p->source_function != NULL) {
            put(pr, " function=");
            fxc_print_string(pr, p->source_function[i]);
        }
        put(pr, "\n");
    }
}

static void print_measures(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, measure); i++) {
        put(pr, "measure ");
        if (p->measure_node[i] == FXC_NONE) {
            put(pr, "program");
        } else {
            fxc_print_int(pr, p->measure_node[i]);
        }
        put(pr, " ");
        put(pr, fxc_text_measures.text[p->measure_what[i]]);
        put(pr, " = ");
        fxc_print_int(pr, p->measure_value[i]);
        put(pr, "\n");
    }
}

static void print_calls(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, call); i++) {
        put_number(pr, "call ", i);
        put_number(pr, " module=", p->call_module[i]);
        if (p->call_number[i] != 0) {
            put_number(pr, " number=", p->call_number[i]);
        }
        if (p->call_parent[i] != FXC_NONE) {
            put_number(pr, " in ", p->call_parent[i]);
        }
        put_flags(pr, &fxc_text_call_flags, p->call_flags[i]);
        if (p->call_inputs[i] != FXC_NONE) {
            put(pr, " inputs=");
            fxc_print_list(pr, FXC_KIND_LIST, p->call_inputs[i]);
        }
        if (p->call_outputs[i] != FXC_NONE) {
            put(pr, " outputs=");
            fxc_print_list(pr, FXC_KIND_LIST, p->call_outputs[i]);
        }
        put(pr, "\n");
    }
}

static void print_storages(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, storage); i++) {
        if (!pr->plan.storage_line[i]) {
            continue;
        }
        put_number(pr, "storage @", i);
        put(pr, " bytes=");
        fxc_print_symint(pr, p->storage_bytes[i]);
        put(pr, " device=");
        fxc_print_string(pr, p->storage_device[i]);
        put(pr, " ");
        put(pr, fxc_text_storage_origins.text[p->storage_origin[i]]);
        put(pr, "\n");
    }
}

void fxc_print_tables(struct fxc_text_printer *pr) {
    const struct fxc_program *p = pr->program;
    put_number(pr, "fxir ", p->version_major);
    put_number(pr, ".", p->version_minor);
    put(pr, "\n");
    print_strings(pr);
    print_captures(pr);
    if (FXC_COUNT(p, storage) > 0) {
        put(pr, "device ");
        fxc_print_string(pr, p->storage_device[0]);
        put(pr, "\n");
    }
    print_symbols(pr);
    print_exprs(pr);
    print_constraints(pr);
    print_ops(pr);
    print_metas_and_lists(pr);
    print_modules(pr);
    print_regions(pr);
    print_sources(pr);
    print_calls(pr);
    print_storages(pr);
    print_measures(pr);
}
