/* The FLOP rule of collectives that combine what several devices have. */
#include <string.h>

#include "ir/program.h"
#include "passes/flops/rules.h"

/* How many devices take part: the argument, or what the capture says of the group by its name. */
bool fxc_group_size(const struct fxc_rule *rule, int64_t *out) {
    const struct fxc_program *p = rule->program;
    const char *name = fxc_rule_string(rule, FXC_NAME_group_name);
    int64_t dict;
    if (fxc_rule_int(rule, FXC_NAME_group_size, 0, out) && *out > 0) {
        return true;
    }
    name = name != NULL ? name : fxc_rule_string(rule, FXC_NAME_process_group);
    if (name == NULL || !fxc_program_capture(p, "groups", FXC_KIND_DICT, &dict)) {
        return false;
    }
    for (uint32_t i = p->list_begin[dict]; i + 1 < p->list_begin[dict + 1]; i += 2) {
        if (p->item_kind[i] == FXC_KIND_STRING && p->item_kind[i + 1] == FXC_KIND_INT &&
            strcmp(fxc_string(p, (uint32_t)p->item_payload[i]), name) == 0) {
            *out = p->item_payload[i + 1];
            return *out > 0;
        }
    }
    return false;
}

/* Adds up the elements of a tensor, or of those in a list; the inner list has the smaller index. */
static bool elements(const struct fxc_rule *rule, uint8_t kind, int64_t payload, struct fxc_tensor *one, int64_t *sum) {
    const struct fxc_program *p = rule->program;
    if (kind == FXC_KIND_VALUE && fxc_list_row(p, kind, payload) == FXC_NONE) {
        return fxc_rule_value(rule, (uint32_t)payload, one) && one->numel >= 0 && !fxc_add(*sum, one->numel, sum);
    }
    uint32_t list = fxc_list_row(p, kind, payload);
    bool known = list != FXC_NONE;
    for (uint32_t i = 0; known && fxc_list_item(p, list, i) != FXC_NONE; i++) {
        uint32_t item = fxc_list_item(p, list, i);
        known = elements(rule, p->item_kind[item], p->item_payload[item], one, sum);
    }
    return known;
}

/* A ring of g devices passes g parts around and adds its own to each but one: n - n / g operations on n elements for
 * every device. What all_reduce sends back afterwards is not computed. */
fxc_status fxc_flops_combine(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    static const enum fxc_name names[] = {FXC_NAME_input, FXC_NAME_inputs, FXC_NAME_input_tensor,
                                          FXC_NAME_input_tensors, FXC_NAME_tensors};
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor one = {0};
    enum fxc_kind kind;
    int64_t devices, payload, count = 0;
    (void)params;
    FXC_NEED(fxc_group_size(rule, &devices));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (fxc_rule_arg(rule, names[i], &kind, &payload)) {
            FXC_NEED(elements(rule, (uint8_t)kind, payload, &one, &count));
            fxc_tally_work(&tally, one.dtype, count - count / devices, 0);
            return fxc_tally_end(&tally, rule, err);
        }
    }
    return FXC_UNKNOWN_OPS;
}
