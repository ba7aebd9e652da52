/* Texts of the enumerations of include/fxcost/enums.h. */
#include <string.h>

#include "fxcost/fxcost.h"
#include "ir/arith.h"

#define PLAIN(name, text) text,
#define WITH_COUNT(name, text, count) text,
#define WITH_BITS(name, text, brief, bits) text,
#define FLAG(name, text, bit) [bit] = text,

static const char *const kind[] = {FXC_KIND_LIST(PLAIN)};
static const char *const dtype[] = {FXC_DTYPE_LIST(WITH_BITS)};
static const char *const layout[] = {FXC_LAYOUT_LIST(PLAIN)};
static const char *const memory_format[] = {FXC_MEMORY_FORMAT_LIST(PLAIN)};
static const char *const op_origin[] = {FXC_OP_ORIGIN_LIST(PLAIN)};
static const char *const op_tag[] = {FXC_OP_TAG_LIST(FLAG)};
static const char *const symbol_flag[] = {FXC_SYMBOL_FLAG_LIST(FLAG)};
static const char *const token[] = {FXC_TOKEN_LIST(WITH_COUNT)};
static const char *const storage_origin[] = {FXC_STORAGE_ORIGIN_LIST(PLAIN)};
static const char *const tensor_flag[] = {FXC_TENSOR_FLAG_LIST(FLAG)};
static const char *const node_flag[] = {FXC_NODE_FLAG_LIST(FLAG)};
static const char *const phase[] = {FXC_PHASE_LIST(PLAIN)};
static const char *const view[] = {FXC_VIEW_LIST(PLAIN)};
static const char *const input_kind[] = {FXC_INPUT_KIND_LIST(PLAIN)};
static const char *const output_kind[] = {FXC_OUTPUT_KIND_LIST(PLAIN)};
static const char *const call_flag[] = {FXC_CALL_FLAG_LIST(FLAG)};
static const char *const param_flag[] = {FXC_PARAM_FLAG_LIST(FLAG)};
static const char *const region_kind[] = {FXC_REGION_KIND_LIST(PLAIN)};
static const char *const measure[] = {FXC_MEASURE_LIST(PLAIN)};
static const char *const option[] = {FXC_OPTION_LIST(FLAG)};

const uint8_t fxc_dtype_bits[FXC_DTYPE_COUNT] = {
#define X(name, text, brief, bits) [FXC_DTYPE_##name] = (bits),
    FXC_DTYPE_LIST(X)
#undef X
};

const char *fxc_version(void) {
    return FXC_VERSION;
}

const char *fxc_enum_text(const char *enumeration, uint32_t index) {
#define ENTRY(name) {#name, name, sizeof name / sizeof name[0]}
    static const struct {
        const char *name;
        const char *const *texts;
        size_t count;
    } enumerations[] = {
        ENTRY(kind),       ENTRY(dtype),       ENTRY(layout),     ENTRY(memory_format),  ENTRY(op_origin),
        ENTRY(op_tag),     ENTRY(symbol_flag), ENTRY(token),      ENTRY(storage_origin), ENTRY(tensor_flag),
        ENTRY(node_flag),  ENTRY(view),        ENTRY(input_kind), ENTRY(output_kind),    ENTRY(call_flag),
        ENTRY(param_flag), ENTRY(region_kind), ENTRY(measure),    ENTRY(option),         ENTRY(phase),
    };
#undef ENTRY
    for (size_t i = 0; i < sizeof enumerations / sizeof enumerations[0]; i++) {
        if (strcmp(enumerations[i].name, enumeration) == 0) {
            return index < enumerations[i].count ? enumerations[i].texts[index] : NULL;
        }
    }
    return NULL;
}
