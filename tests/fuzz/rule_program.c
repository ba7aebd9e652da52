#include "tests/fuzz/rule_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/arith.h"
#include "ir/builder.h"
#include "ir/schema.h"

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

struct maker {
    const uint8_t *data;
    size_t size, at;
    struct fxc_builder b;
    struct fxc_arena arena;
    const struct rule_told *told;
    int64_t pool[4];         /* sizes that recur, so that arguments fit each other now and then */
    uint8_t usual;           /* an element type that recurs */
    uint32_t values, inputs; /* values so far; the first `inputs` of them are listed as inputs */
    uint32_t input[RULE_PROGRAM_VALUES];
    uint32_t node;
};

static uint32_t take(struct maker *m, uint32_t below) {
    uint32_t byte = m->at < m->size ? m->data[m->at++] : 0;
    return byte % below;
}

static uint32_t take16(struct maker *m) {
    uint32_t high = take(m, 256);
    return high << 8 | take(m, 256);
}

static int64_t take_size(struct maker *m) {
    static const int64_t large[] = {
        64, 1000, 65536, INT32_MAX, INT64_C(1) << 32, INT64_C(3037000500), INT64_C(1) << 62, INT64_MAX};
    uint32_t how = take(m, 16);
    return how < 12 ? m->pool[how % 4] : how < 15 ? take(m, 9) : large[take(m, 8)];
}

static int64_t take_int(struct maker *m) {
    static const int64_t odd[] = {-1, -2, -7, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX, INT64_C(1) << 62};
    uint32_t how = take(m, 16);
    return how < 9 ? how % 4 : how < 12 ? m->pool[how % 4] : how < 14 ? -1 - (int64_t)take(m, 4) : odd[take(m, 8)];
}

static int64_t take_float(struct maker *m) {
    static const double some[] = {0, 0.5, 1, 2, -1, 1e300, -0.0, 3.7};
    uint32_t which = take(m, 10);
    double number = which < 8 ? some[which] : which == 8 ? (double)take_int(m) / 3 : strtod("nan", NULL);
    int64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static uint8_t take_dtype(struct maker *m) {
    return take(m, 4) < 3 ? m->usual : (uint8_t)take(m, FXC_DTYPE_COUNT);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static uint32_t push_value(struct maker *m, uint8_t kind, int64_t payload, uint32_t producer) {
    fxc_push_value_kind(&m->b, kind);
    fxc_push_value_payload(&m->b, payload);
    fxc_push_value_producer(&m->b, producer);
    fxc_push_value_name(&m->b, 0);
    fxc_push_value_storage(&m->b, kind == FXC_KIND_TENSOR ? 0 : FXC_NONE);
    return m->values++;
}

/* The stride outside a dimension; the same once there is none. */
static int64_t beyond(int64_t stride, int64_t size) {
    int64_t next;
    return size <= 0 || fxc_mul(stride, size, &next) ? stride : next;
}

/* Sizes and strides as the bytes say. The element count stays below 2^63, beyond which no file is read. */
static void take_shape(struct maker *m, struct fxc_shape *out) {
    int64_t count = 1, step = 1;
    uint32_t rank = take(m, 16);
    out->rank = (uint8_t)(rank < 12 ? rank % 6 : rank < 15 ? rank - 5 : 40 + take(m, 30));
    for (uint32_t dim = 0; dim < out->rank && dim < FXC_MAX_RANK; dim++) {
        out->size[dim] = take_size(m);
        out->size[dim] = beyond(count, out->size[dim]) == count && out->size[dim] > 1 ? 1 : out->size[dim];
        count = beyond(count, out->size[dim]);
    }
    out->rank = out->rank < FXC_MAX_RANK ? out->rank : FXC_MAX_RANK;
    uint32_t how = take(m, 8), turn = take(m, 8);
    for (uint32_t i = out->rank; i-- > 0;) {
        uint32_t dim = how < 4 ? i : (i + turn) % out->rank;
        out->stride[dim] = how == 6 && take(m, 2) == 0 ? 0 : how == 7 ? take_size(m) : step;
        step = beyond(step, out->size[dim]);
    }
    /* Channels innermost. */
    if (how == 3 && out->rank >= 4 && out->size[1] > 0) {
        int64_t inner = 1;
        for (uint32_t i = 0; i < out->rank; i++) {
            uint32_t dim = i == 0 ? 1 : i + 1 == out->rank ? 0 : out->rank - i;
            out->stride[dim] = inner;
            inner = beyond(inner, out->size[dim]);
        }
    }
}

static uint32_t push_meta(struct maker *m, uint8_t dtype, uint8_t layout, const struct fxc_shape *shape,
                          bool symbolic) {
    fxc_push_meta_dtype(&m->b, dtype);
    fxc_push_meta_layout(&m->b, layout);
    fxc_push_meta_flags(&m->b, 0);
    fxc_push_meta_dim_begin(&m->b, fxc_builder_length(&m->b, FXC_COLUMN_dim_size));
    fxc_push_meta_offset(&m->b, 0);
    for (uint32_t dim = 0; dim < shape->rank; dim++) {
        /* Expression 0 has a value, 1 has none. */
        fxc_push_dim_size(&m->b, symbolic && dim == 0 ? -1 - (int64_t)(shape->size[0] & 1) : shape->size[dim]);
        fxc_push_dim_stride(&m->b, shape->stride[dim]);
    }
    return fxc_builder_length(&m->b, FXC_COLUMN_meta_dtype) - 1;
}

static uint32_t push_tensor(struct maker *m, uint32_t producer) {
    struct fxc_shape shape = {.rank = 0};
    uint8_t dtype = take_dtype(m);
    uint32_t rare = take(m, 32);
    take_shape(m, &shape);
    bool symbolic = rare == 1;
    const struct rule_told *told = producer == FXC_NONE ? NULL : m->told;
    if (told != NULL && told->sizes[m->values]) {
        shape = told->shape[m->values];
        symbolic = false;
        if (!told->strides[m->values]) {
            memset(shape.stride, 0, sizeof shape.stride);
        }
    }
    if (told != NULL && told->dtype[m->values]) {
        dtype = told->shape[m->values].dtype;
    }
    uint8_t layout = rare == 0 ? (uint8_t)take(m, FXC_LAYOUT_COUNT) : (uint8_t)FXC_LAYOUT_STRIDED;
    uint32_t meta = push_meta(m, dtype, layout, &shape, symbolic && shape.rank > 0);
    uint32_t value = push_value(m, FXC_KIND_TENSOR, meta, producer);
    if (producer == FXC_NONE) {
        m->input[m->inputs++] = value;
    }
    return value;
}

/* An earlier tensor, or one more input. */
static uint32_t tensor_argument(struct maker *m) {
    uint32_t earlier = m->values > 0 && take(m, 3) == 0 ? take(m, m->values) : FXC_NONE;
    if (m->values + 8 >= RULE_PROGRAM_VALUES) {
        return m->input[0];
    }
    return earlier != FXC_NONE ? earlier : push_tensor(m, FXC_NONE);
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

struct item {
    uint8_t kind;
    int64_t payload;
};

static uint32_t push_list(struct maker *m, const struct item *items, uint32_t count) {
    fxc_push_list_begin(&m->b, fxc_builder_length(&m->b, FXC_COLUMN_item_kind));
    for (uint32_t i = 0; i < count; i++) {
        fxc_push_item_kind(&m->b, items[i].kind);
        fxc_push_item_payload(&m->b, items[i].payload);
    }
    return fxc_builder_length(&m->b, FXC_COLUMN_list_begin) - 1;
}

static uint32_t push_text(struct maker *m) {
    static const char *const texts[] = {"same",    "valid",    "mean",      "sum",       "none",      "constant",
                                        "reflect", "circular", "replicate", "ij,jk->ik", "...ij->ji", "bij,bjk",
                                        "ij",      "xy",       "reduced",   "complete",  "r",         "fro",
                                        "nuc",     "left",     "tanh",      "amax",      "prod",      ""};
    const char *text = texts[take(m, sizeof texts / sizeof *texts)];
    return fxc_builder_string(&m->b, text, strlen(text));
}

static bool starts(const char *type, const char *word) {
    return strncmp(type, word, strlen(word)) == 0;
}

static struct item integer(struct maker *m, bool symbolic) {
    if (symbolic && take(m, 16) == 0) {
        return (struct item){FXC_KIND_SYMINT, take(m, 2)};
    }
    return (struct item){FXC_KIND_INT, take_int(m)};
}

static struct item any_number(struct maker *m) {
    switch (take(m, 4)) {
    case 0:
        return (struct item){FXC_KIND_FLOAT, take_float(m)};
    case 1:
        return (struct item){FXC_KIND_BOOL, take(m, 2)};
    case 2: {
        struct item parts[2] = {{FXC_KIND_FLOAT, take_float(m)}, {FXC_KIND_FLOAT, take_float(m)}};
        return (struct item){FXC_KIND_COMPLEX, push_list(m, parts, 2)};
    }
    default:
        return integer(m, true);
    }
}

/* One value of a type without its "?" and "[]". */
static struct item one(struct maker *m, const char *type) {
    if (starts(type, "Tensor")) {
        return (struct item){FXC_KIND_VALUE, tensor_argument(m)};
    }
    if (starts(type, "SymInt") || starts(type, "int")) {
        return integer(m, type[0] == 'S');
    }
    if (starts(type, "float")) {
        return (struct item){FXC_KIND_FLOAT, take_float(m)};
    }
    if (starts(type, "bool")) {
        return (struct item){FXC_KIND_BOOL, take(m, 2)};
    }
    if (starts(type, "ScalarType")) {
        return (struct item){FXC_KIND_DTYPE, take_dtype(m)};
    }
    if (starts(type, "Scalar")) {
        return any_number(m);
    }
    if (starts(type, "str")) {
        return (struct item){FXC_KIND_STRING, push_text(m)};
    }
    if (starts(type, "MemoryFormat")) {
        return (struct item){FXC_KIND_MEMORY_FORMAT, take(m, FXC_MEMORY_FORMAT_COUNT)};
    }
    if (starts(type, "Layout")) {
        return (struct item){FXC_KIND_LAYOUT, take(m, FXC_LAYOUT_COUNT)};
    }
    if (starts(type, "Device")) {
        const char *device = take(m, 2) == 0 ? "cpu" : "cuda:1";
        return (struct item){FXC_KIND_DEVICE, fxc_builder_string(&m->b, device, strlen(device))};
    }
    return (struct item){FXC_KIND_NONE, 0};
}

static struct item list_of(struct maker *m, const char *type) {
    struct item items[8];
    const char *length = strchr(type, '[');
    uint32_t count = take(m, 8);
    if (length != NULL && length[1] >= '1' && length[1] <= '4' && count < 6) {
        count = (uint32_t)(length[1] - '0');
    }
    bool holes = strstr(type, "?[") != NULL;
    for (uint32_t i = 0; i < count; i++) {
        items[i] = holes && take(m, 3) == 0 ? (struct item){FXC_KIND_NONE, 0} : one(m, type);
    }
    return (struct item){FXC_KIND_LIST, push_list(m, items, count)};
}

/* What a schema does not describe: Python's operators and those that call graphs. */
static struct item anything(struct maker *m) {
    static const char *const types[] = {"Tensor", "SymInt", "Scalar", "Tensor[]", "Tensor?[]", "SymInt[]"};
    uint32_t which = take(m, 8);
    if (which == 6) {
        return (struct item){FXC_KIND_GRAPH, 1};
    }
    if (which == 7) {
        return (struct item){FXC_KIND_NONE, 0};
    }
    return which < 3 ? one(m, types[which]) : list_of(m, types[which]);
}

static void push_argument(struct maker *m, const char *name, struct item argument) {
    uint32_t text = fxc_builder_string(&m->b, name, strlen(name)), row = 0;
    uint32_t rows = fxc_builder_length(&m->b, FXC_COLUMN_argname_text);
    const uint32_t *names = m->b.column[FXC_COLUMN_argname_text].data;
    while (row < rows && names[row] != text) {
        row++;
    }
    if (row == rows) {
        fxc_push_argname_text(&m->b, text);
    }
    fxc_push_arg_name(&m->b, (uint16_t)row);
    fxc_push_arg_kind(&m->b, argument.kind);
    fxc_push_arg_payload(&m->b, argument.payload);
}

static void push_arguments(struct maker *m, const struct fxc_schema *schema) {
    for (uint32_t i = 0; i < schema->arg_count; i++) {
        const struct fxc_schema_arg *arg = &schema->args[i];
        if (arg->has_default && take(m, 2) == 0) {
            continue;
        }
        struct item item = {FXC_KIND_NONE, 0};
        uint32_t odd = take(m, 64);
        if (odd == 0) {
            item = anything(m);
        } else if (!arg->optional || take(m, 3) != 0) {
            item = arg->list ? list_of(m, arg->type) : one(m, arg->type);
        }
        push_argument(m, arg->name, item);
    }
}

static void push_nameless(struct maker *m) {
    static const char *const names[] = {
        "a",     "b",   "c",     "pred",     "xs",       "init",    "operands", "carried_inputs",
        "query", "key", "value", "operand0", "subgraph", "true_fn", "f",        "body_fn"};
    uint32_t first = take(m, 2) * 2;
    for (uint32_t i = 0; i < 4; i++) {
        push_argument(m, first == 0 ? names[i] : names[take(m, 16)], anything(m));
        first = first == 0 ? 0 : first;
    }
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

/* One value per result of the schema, in a list when there are several. */
static uint32_t push_results(struct maker *m, const struct fxc_schema *schema, uint32_t node) {
    struct item items[8];
    uint32_t count = schema->result_count < 8 ? schema->result_count : 8;
    bool list = count == 1 && schema->results[0].list;
    uint32_t pieces = list || count == 0 ? 1 + take(m, 4) : count;
    if (!list && count == 1) {
        const char *type = schema->results[0].type;
        return starts(type, "Tensor") ? push_tensor(m, node) : push_value(m, FXC_KIND_SYMINT, 0, node);
    }
    for (uint32_t i = 0; i < pieces; i++) {
        items[i] = (struct item){FXC_KIND_VALUE, push_tensor(m, node)};
    }
    return push_value(m, FXC_KIND_LIST, push_list(m, items, pieces), node);
}

static void push_node(struct maker *m, uint32_t which) {
    const struct fxc_op_row *row = &fxc_op_rows[which % fxc_op_row_count];
    struct fxc_schema schema = {0};
    struct fxc_schema_error error = {0};
    bool python = strncmp(row->name, "operator.", 9) == 0, aten = strncmp(row->name, "aten.", 5) == 0;
    if (row->schema[0] != '\0' && fxc_schema_parse(&m->arena, row->schema, &schema, &error) != FXC_OK) {
        return;
    }
    fxc_push_op_name(&m->b, fxc_builder_string(&m->b, row->name, strlen(row->name)));
    fxc_push_op_origin(&m->b, aten                     ? FXC_OP_ORIGIN_ATEN
                              : python                 ? FXC_OP_ORIGIN_BUILTIN
                              : row->schema[0] == '\0' ? FXC_OP_ORIGIN_HIGHER_ORDER
                                                       : FXC_OP_ORIGIN_CUSTOM);
    fxc_push_op_schema(&m->b, fxc_builder_string(&m->b, row->schema, strlen(row->schema)));
    fxc_push_op_tags(&m->b, 0);
    fxc_push_node_arg_begin(&m->b, fxc_builder_length(&m->b, FXC_COLUMN_arg_kind));
    if (row->schema[0] == '\0') {
        push_nameless(m);
    } else {
        push_arguments(m, &schema);
    }
    fxc_push_node_op(&m->b, m->node);
    fxc_push_node_result(&m->b, push_results(m, &schema, m->node));
    fxc_push_node_call(&m->b, FXC_NONE);
    fxc_push_node_flags(&m->b, 0);
    m->node++;
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

/* Two symbols, one with a value, and an expression of each. */
static void push_symbols(struct maker *m) {
    for (uint32_t i = 0; i < 2; i++) {
        fxc_push_symbol_name(&m->b, fxc_builder_string(&m->b, i == 0 ? "s0" : "u0", 2));
        fxc_push_symbol_dim(&m->b, 0);
        fxc_push_symbol_flags(&m->b, i == 0 ? FXC_SYMBOL_FLAG_HAS_HINT : FXC_SYMBOL_FLAG_UNBACKED);
        fxc_push_symbol_hint(&m->b, i == 0 ? m->pool[0] : 0);
        fxc_push_symbol_min(&m->b, 0);
        fxc_push_symbol_max(&m->b, 0);
        fxc_push_expr_begin(&m->b, i);
        fxc_push_token_op(&m->b, FXC_TOKEN_SYMBOL);
        fxc_push_token_payload(&m->b, i);
    }
}

static void push_graph(struct maker *m, const char *name, uint32_t nodes, uint32_t inputs, uint32_t outputs) {
    fxc_push_graph_name(&m->b, fxc_builder_string(&m->b, name, strlen(name)));
    fxc_push_graph_view(&m->b, nodes == 0 && inputs == 0 ? FXC_VIEW_CAPTURED : FXC_VIEW_BODY);
    fxc_push_graph_node_begin(&m->b, nodes);
    fxc_push_graph_input_begin(&m->b, inputs);
    fxc_push_graph_output_begin(&m->b, outputs);
}

static void push_program(struct maker *m) {
    uint32_t row = take16(m);
    for (uint32_t i = 0; i < 4; i++) {
        m->pool[i] = take(m, 8) + (i == 3);
    }
    m->usual = (uint8_t)(take(m, 4) < 3 ? FXC_DTYPE_FLOAT32 : take(m, FXC_DTYPE_COUNT));
    push_symbols(m);
    fxc_push_storage_bytes(&m->b, INT64_MAX);
    fxc_push_storage_device(&m->b, fxc_builder_string(&m->b, "cpu", 3));
    fxc_push_storage_origin(&m->b, FXC_STORAGE_ORIGIN_USER_INPUT);
    fxc_push_module_parent(&m->b, FXC_NONE);
    fxc_push_module_name(&m->b, 0);
    fxc_push_module_class(&m->b, 0);
    (void)push_tensor(m, FXC_NONE);
    push_graph(m, "main", 0, 0, 0);
    uint32_t nodes = 1 + take(m, 4);
    for (uint32_t i = 0; i < nodes && m->values + 48 < RULE_PROGRAM_VALUES; i++) {
        push_node(m, row);
        row = take16(m);
    }
    for (uint32_t i = 0; i < m->inputs; i++) {
        fxc_push_input_value(&m->b, m->input[i]);
        fxc_push_input_kind(&m->b, FXC_INPUT_KIND_USER_INPUT);
        fxc_push_input_target(&m->b, 0);
    }
    /* A body that returns what it takes. */
    push_graph(m, "body", m->node, m->inputs, 0);
    m->told = NULL;
    uint32_t taken = push_tensor(m, FXC_NONE);
    fxc_push_input_value(&m->b, taken);
    fxc_push_input_kind(&m->b, FXC_INPUT_KIND_USER_INPUT);
    fxc_push_input_target(&m->b, 0);
    fxc_push_output_role(&m->b, FXC_OUTPUT_KIND_USER_OUTPUT);
    fxc_push_output_kind(&m->b, FXC_KIND_VALUE);
    fxc_push_output_payload(&m->b, taken);
    fxc_push_output_target(&m->b, 0);
}

fxc_program *rule_program(const uint8_t *data, size_t size, const struct rule_told *told) {
    struct maker *m = calloc(1, sizeof *m);
    fxc_program *program = fxc_program_alloc("fuzz");
    fxc_error err = FXC_ERROR_INIT;
    if (m != NULL && program != NULL) {
        m->data = data;
        m->size = size;
        m->told = told;
        fxc_builder_start(&m->b);
        push_program(m);
        fxc_status status = fxc_builder_finish(&m->b, program, &err);
        status = status == FXC_OK ? fxc_program_check(program, &err) : status;
        status = status == FXC_OK ? fxc_program_bind(program, &err) : status;
        fxc_builder_free(&m->b);
        fxc_arena_free(&m->arena);
        if (status != FXC_OK) {
            if (status != FXC_MEMORY) {
                (void)fprintf(stderr, "the maker of programs is wrong: %s\n", err.message);
                abort();
            }
            fxc_program_free(program);
            program = NULL;
        }
    }
    free(m);
    return program;
}
