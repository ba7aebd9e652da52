/* Which lists are written once and referred to by number: large ones that occur more than once (lists may share rows,
 * so that writing all out could take exponential space), and deep ones. */
#include <string.h>

#include "ir/text_plan.h"

struct lists {
    struct fxc_text_plan *plan;
    uint32_t *row;        /* per canonical list: its first row */
    uint32_t *references; /* per canonical list, saturating at 2; 0: not reached */
};

static bool holds_list(uint8_t kind) {
    return kind == FXC_KIND_LIST || kind == FXC_KIND_DICT || kind == FXC_KIND_SLICE || kind == FXC_KIND_COMPLEX;
}

static void refer(struct lists *lists, uint32_t row) {
    uint32_t *count = &lists->references[lists->plan->map.list[row]];
    *count += *count < 2;
}

static void refer_payloads(struct lists *lists, const uint8_t *kind, const int64_t *payload, uint32_t begin,
                           uint32_t end) {
    for (uint32_t i = begin; i < end; i++) {
        if (holds_list(kind[i])) {
            refer(lists, (uint32_t)payload[i]);
        }
    }
}

static void refer_rows(struct lists *lists, const uint32_t *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i] != FXC_NONE) {
            refer(lists, rows[i]);
        }
    }
}

/* Counts how often each list that is reached occurs. Nested lists have smaller rows, so one walk down suffices. */
static void count_references(struct lists *lists) {
    const struct fxc_program *p = lists->plan->program;
    refer_payloads(lists, p->capture_kind, p->capture_payload, 0, FXC_COUNT(p, capture));
    refer_payloads(lists, p->value_kind, p->value_payload, 0, FXC_COUNT(p, value));
    refer_payloads(lists, p->arg_kind, p->arg_payload, 0, FXC_COUNT(p, arg));
    refer_payloads(lists, p->output_kind, p->output_payload, 0, FXC_COUNT(p, output));
    refer_payloads(lists, p->config_kind, p->config_payload, 0, FXC_COUNT(p, config));
    refer_rows(lists, p->call_inputs, FXC_COUNT(p, call));
    refer_rows(lists, p->call_outputs, FXC_COUNT(p, call));
    refer_rows(lists, p->region_config, FXC_COUNT(p, region));
    for (uint32_t row = FXC_COUNT(p, list); row-- > 0;) {
        uint32_t list = lists->plan->map.list[row];
        if (lists->row[list] == row && lists->references[list] > 0) {
            refer_payloads(lists, p->item_kind, p->item_payload, p->list_begin[row], p->list_begin[row + 1]);
        }
    }
}

static bool must_table(uint32_t references, uint64_t items, uint32_t height) {
    return (references > 1 && items > FXC_TEXT_INLINE_ITEMS) || height >= FXC_TEXT_INLINE_DEPTH;
}

/* Sizes and heights upwards; a list in the table counts as one item where it is referred to. */
static void fill_table(struct lists *lists, uint64_t *items, uint32_t *height) {
    struct fxc_text_plan *plan = lists->plan;
    const struct fxc_program *p = plan->program;
    struct fxc_text_table *table = &plan->lists;
    for (uint32_t row = 0; row < FXC_COUNT(p, list); row++) {
        uint32_t list = plan->map.list[row];
        if (lists->row[list] != row || lists->references[list] == 0) {
            continue;
        }
        uint32_t begin = p->list_begin[row], end = p->list_begin[row + 1];
        uint64_t total = end - begin;
        uint32_t highest = 0;
        for (uint32_t i = begin; i < end; i++) {
            uint32_t nested = holds_list(p->item_kind[i]) ? plan->map.list[p->item_payload[i]] : FXC_NONE;
            if (nested != FXC_NONE && !fxc_text_in_table(table, nested)) {
                total += items[nested];
                highest = height[nested] > highest ? height[nested] : highest;
            }
        }
        items[list] = total;
        height[list] = highest + 1;
        if (must_table(lists->references[list], total, highest + 1)) {
            table->row[table->count] = row;
            table->number[list] = table->count++;
        }
    }
}

bool fxc_text_plan_lists(struct fxc_text_plan *plan) {
    const struct fxc_program *p = plan->program;
    uint32_t count = plan->canon.lists.count;
    struct lists lists = {plan, FXC_NEW(&plan->arena, uint32_t, count), FXC_NEW(&plan->arena, uint32_t, count)};
    uint64_t *items = FXC_NEW(&plan->arena, uint64_t, count);
    uint32_t *height = FXC_NEW(&plan->arena, uint32_t, count);
    plan->lists.number = FXC_NEW(&plan->arena, uint32_t, count);
    plan->lists.row = FXC_NEW(&plan->arena, uint32_t, count);
    if (lists.row == NULL || lists.references == NULL || items == NULL || height == NULL ||
        plan->lists.number == NULL || plan->lists.row == NULL) {
        return false;
    }
    memset(plan->lists.number, 0xFF, count * sizeof(uint32_t));
    memset(lists.row, 0xFF, count * sizeof(uint32_t));
    for (uint32_t row = FXC_COUNT(p, list); row-- > 0;) {
        lists.row[plan->map.list[row]] = row;
    }
    count_references(&lists);
    fill_table(&lists, items, height);
    return true;
}
