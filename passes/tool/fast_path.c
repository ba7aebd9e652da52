/* tool, the part about fast paths: in evaluation without gradients, nn.MultiheadAttention and
 * nn.TransformerEncoderLayer run as one fused kernel. torch.export captures their parts; a tool that watches eager
 * execution sees none of them. The conditions are those of torch/nn/modules/activation.py and transformer.py. */
#include <string.h>

#include "passes/tool/tool.h"

/* The value that goes in at a place, FXC_NONE for none. */
static uint32_t input_of(const struct fxc_program *p, uint32_t call, uint32_t place) {
    uint32_t list = p->call_inputs[call];
    if (list == FXC_NONE || place >= p->list_begin[list + 1] - p->list_begin[list]) {
        return FXC_NONE;
    }
    uint32_t item = p->list_begin[list] + place;
    return p->item_kind[item] == FXC_KIND_VALUE ? (uint32_t)p->item_payload[item] : FXC_NONE;
}

static bool is_number(const struct fxc_program *p, const struct fxc_tool_index *index, uint32_t module,
                      const char *name, int64_t number) {
    int64_t found;
    return fxc_tool_config_int(p, index, module, name, &found) && found == number;
}

/* The module can do it: one width, batches first, an even number of heads, no appended keys, a bias. */
static bool attention_may(const struct fxc_program *p, const struct fxc_tool_index *index, uint32_t module) {
    int64_t width, heads;
    uint32_t appended = fxc_tool_config(p, index, module, "bias_k");
    return fxc_tool_config_int(p, index, module, "embed_dim", &width) &&
           fxc_tool_config_int(p, index, module, "num_heads", &heads) && heads % 2 == 0 &&
           is_number(p, index, module, "kdim", width) && is_number(p, index, module, "vdim", width) &&
           is_number(p, index, module, "batch_first", 1) && is_number(p, index, module, "add_zero_attn", 0) &&
           (appended == FXC_NONE || p->config_kind[appended] == FXC_KIND_NONE);
}

static bool is_batched(const struct fxc_analysis *analysis, uint32_t value) {
    return value != FXC_NONE && analysis->shapes->rank[value] == 3;
}

static bool attention_does(const struct fxc_analysis *analysis, const struct fxc_tool_index *index, uint32_t call) {
    const struct fxc_program *p = analysis->program;
    uint32_t query = input_of(p, call, 0);
    return is_batched(analysis, query) && input_of(p, call, 1) == query && input_of(p, call, 2) == query &&
           attention_may(p, index, p->call_module[call]);
}

/* The self-attention below an encoder layer, FXC_NONE for none. */
static uint32_t self_attention(const struct fxc_program *p, uint32_t module) {
    for (uint32_t m = module + 1; m < FXC_COUNT(p, module); m++) {
        if (p->module_parent[m] == module && strcmp(fxc_string(p, p->module_name[m]), "self_attn") == 0) {
            return m;
        }
    }
    return FXC_NONE;
}

/* Activations 1 and 2 are relu and gelu. */
static bool encoder_does(const struct fxc_analysis *analysis, const struct fxc_tool_index *index, uint32_t call) {
    const struct fxc_program *p = analysis->program;
    uint32_t module = p->call_module[call], attention = self_attention(p, module);
    int64_t activation;
    return is_batched(analysis, input_of(p, call, 0)) && attention != FXC_NONE && attention_may(p, index, attention) &&
           fxc_tool_config_int(p, index, module, "activation_relu_or_gelu", &activation) && activation > 0;
}

void fxc_tool_find_fast_paths(const struct fxc_analysis *analysis, struct fxc_tool_index *index) {
    const struct fxc_program *p = analysis->program;
    int64_t grad;
    if (fxc_program_capture(p, "grad", FXC_KIND_BOOL, &grad) && grad != 0) {
        return;
    }
    for (uint32_t call = 0; call < FXC_COUNT(p, call); call++) {
        const char *name = fxc_string(p, p->module_class[p->call_module[call]]);
        bool evaluates = (p->call_flags[call] & FXC_CALL_FLAG_TRAINING) == 0;
        if (evaluates && strcmp(name, "torch.nn.modules.activation.MultiheadAttention") == 0) {
            index->call_fast[call] = attention_does(analysis, index, call);
        } else if (evaluates && strcmp(name, "torch.nn.modules.transformer.TransformerEncoderLayer") == 0) {
            index->call_fast[call] = encoder_does(analysis, index, call);
        }
    }
}
