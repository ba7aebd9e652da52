/* What the printer and the parser must agree on: words, plain names, and what may be left unsaid. */
#include <string.h>

#include "ir/text.h"

#define OPERANDS(name, text, operands) operands,
const uint8_t fxc_text_token_operands[FXC_TOKEN_COUNT] = {FXC_TOKEN_LIST(OPERANDS)};

#define PLAIN(name, text) text,
#define TOKEN(name, text, operands) text,
#define DTYPE(name, text, short_text, bits) short_text,
#define FLAG(name, text, bit) [bit] = text,

#define TEXTS(variable, ...)                                                                                           \
    static const char *const variable##_text[] = {__VA_ARGS__};                                                        \
    const struct fxc_text_enum fxc_text_##variable = {variable##_text, sizeof variable##_text / sizeof(char *)}

TEXTS(kinds, FXC_KIND_LIST(PLAIN));
TEXTS(dtypes, FXC_DTYPE_LIST(DTYPE));
TEXTS(layouts, FXC_LAYOUT_LIST(PLAIN));
TEXTS(memory_formats, FXC_MEMORY_FORMAT_LIST(PLAIN));
TEXTS(op_origins, FXC_OP_ORIGIN_LIST(PLAIN));
TEXTS(op_tags, FXC_OP_TAG_LIST(FLAG));
TEXTS(symbol_flags, FXC_SYMBOL_FLAG_LIST(FLAG));
TEXTS(tokens, FXC_TOKEN_LIST(TOKEN));
TEXTS(storage_origins, FXC_STORAGE_ORIGIN_LIST(PLAIN));
TEXTS(tensor_flags, FXC_TENSOR_FLAG_LIST(FLAG));
TEXTS(node_flags, FXC_NODE_FLAG_LIST(FLAG));
TEXTS(views, FXC_VIEW_LIST(PLAIN));
TEXTS(input_kinds, FXC_INPUT_KIND_LIST(PLAIN));
TEXTS(output_kinds, FXC_OUTPUT_KIND_LIST(PLAIN));
TEXTS(call_flags, FXC_CALL_FLAG_LIST(FLAG));
TEXTS(param_flags, FXC_PARAM_FLAG_LIST(FLAG));
TEXTS(region_kinds, FXC_REGION_KIND_LIST(PLAIN));
TEXTS(measures, FXC_MEASURE_LIST(PLAIN));

bool fxc_text_is_plain_char(char c, bool first) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    return letter || (!first && ((c >= '0' && c <= '9') || c == '.'));
}

bool fxc_text_is_plain(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (!fxc_text_is_plain_char(text[i], i == 0)) {
            return false;
        }
    }
    return size > 0;
}

bool fxc_text_is_reserved_symbol(const char *text, size_t size) {
    static const char *const words[] = {"inf", "nan", "opaque", "expr"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i]) == size && memcmp(words[i], text, size) == 0) {
            return true;
        }
    }
    return false;
}

uint8_t fxc_text_implied_origin(uint8_t input_kind) {
    switch (input_kind) {
    case FXC_INPUT_KIND_USER_INPUT:
        return FXC_STORAGE_ORIGIN_USER_INPUT;
    case FXC_INPUT_KIND_PARAMETER:
        return FXC_STORAGE_ORIGIN_PARAMETER;
    case FXC_INPUT_KIND_BUFFER:
        return FXC_STORAGE_ORIGIN_BUFFER;
    case FXC_INPUT_KIND_CONSTANT:
        return FXC_STORAGE_ORIGIN_CONSTANT;
    default:
        return FXC_STORAGE_ORIGIN_INTERMEDIATE;
    }
}
