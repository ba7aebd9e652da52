/* The list of what the user added to an analysis. */
#include "passes/custom/custom.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/error.h"
#include "passes/grow.h"

enum { MAX_NAME = 200, MAX_DIGITS = 9 };

static void clear(struct fxc_custom_entry *entry) {
    for (uint32_t i = 0; i < entry->term_count; i++) {
        free(entry->terms[i].text);
    }
    free(entry->terms);
    free(entry->name);
    free(entry->text);
    *entry = (struct fxc_custom_entry){0};
}

static void clear_all(struct fxc_custom *custom) {
    for (uint32_t i = 0; i < custom->count; i++) {
        clear(&custom->entries[i]);
    }
    free(custom->entries);
}

void fxc_custom_free(struct fxc_custom *custom) {
    if (custom == NULL) {
        return;
    }
    clear_all(custom);
    free(custom);
}

void fxc_custom_metrics_free(struct fxc_custom_metrics *metrics) {
    for (uint32_t i = 0; metrics != NULL && i < metrics->count; i++) {
        clear_all(&metrics->metric[i].formulas);
    }
    free(metrics);
}

/* "ns::op" as "ns.op": both ways of writing an operator's name are in use. */
static void write_dots(char *name) {
    char *colons = strstr(name, "::");
    if (colons != NULL) {
        colons[0] = '.';
        memmove(colons + 1, colons + 2, strlen(colons + 2) + 1);
    }
}

struct fxc_custom *fxc_custom_counts(struct fxc_analysis *analysis) {
    if (analysis->custom == NULL) {
        analysis->custom = calloc(1, sizeof *analysis->custom);
    }
    fxc_drop_facts(analysis, FXC_OPTION_FORMULAS);
    return analysis->custom;
}

struct fxc_custom_entry *fxc_custom_add(struct fxc_custom *custom, enum fxc_custom_kind kind, const char *name) {
    static const char *const words[] = {"formula", "formula of module class", "ignore", "ignore module", "scale"};
    if (custom == NULL || !FXC_ROOM(custom->entries, custom->capacity, custom->count + 1)) {
        return NULL;
    }
    size_t length = strlen(name), size = length + strlen(words[kind]) + 40;
    struct fxc_custom_entry entry = {.kind = kind, .name = malloc(length + 1), .text = malloc(size)};
    if (entry.name == NULL || entry.text == NULL) {
        clear(&entry);
        return NULL;
    }
    memcpy(entry.name, name, length + 1);
    write_dots(entry.name);
    (void)snprintf(entry.text, size, "%s %s", words[kind], entry.name);
    struct fxc_custom_entry *added = &custom->entries[custom->count++];
    *added = entry;
    return added;
}

void fxc_custom_drop_last(struct fxc_custom *custom) {
    clear(&custom->entries[--custom->count]);
}

/* ---- public ---------------------------------------------------------------------------------------------------------
 */

fxc_status fxc_custom_check_name(const char *function, const char *name, fxc_error *err) {
    if (name == NULL || name[0] == '\0' || strlen(name) > MAX_NAME) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s", function);
        fxc_expected(err, "a name of 1 to %d characters", MAX_NAME);
        fxc_found(err, "%s", name == NULL ? "none" : name[0] == '\0' ? "an empty one" : "a longer one");
        return status;
    }
    return FXC_OK;
}

fxc_status fxc_analysis_add_op(fxc_analysis *analysis, const fxc_op_desc *desc, fxc_error *err) {
    if (desc->struct_size < sizeof *desc || desc->count == NULL) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_add_op: %s",
                        desc->struct_size < sizeof *desc ? "struct_size is smaller than this version's structure"
                                                         : "count is NULL");
    }
    FXC_TRY(fxc_custom_check_name("fxc_analysis_add_op", desc->name, err));
    struct fxc_custom_entry *entry =
        fxc_custom_add(fxc_custom_counts(analysis), desc->is_module ? FXC_CUSTOM_MODULE : FXC_CUSTOM_OP, desc->name);
    if (entry == NULL) {
        return fxc_fail_memory(err, "fxc_analysis_add_op");
    }
    entry->count = desc->count;
    entry->context = desc->context;
    return FXC_OK;
}

static fxc_status ignore(fxc_analysis *analysis, enum fxc_custom_kind kind, const char *function, const char *name,
                         fxc_error *err) {
    FXC_TRY(fxc_custom_check_name(function, name, err));
    return fxc_custom_add(fxc_custom_counts(analysis), kind, name) == NULL ? fxc_fail_memory(err, function) : FXC_OK;
}

fxc_status fxc_analysis_ignore_op(fxc_analysis *analysis, const char *name, fxc_error *err) {
    return ignore(analysis, FXC_CUSTOM_IGNORE_OP, "fxc_analysis_ignore_op", name, err);
}

fxc_status fxc_analysis_ignore_module(fxc_analysis *analysis, const char *module, fxc_error *err) {
    return ignore(analysis, FXC_CUSTOM_IGNORE_MODULE, "fxc_analysis_ignore_module", module, err);
}

/* "1.07" as 107 / 100: at most nine digits, so that products of counts can be rounded exactly. */
static bool parse_decimal(const char *text, int64_t *numerator, int64_t *denominator) {
    int digits = 0;
    bool point = false;
    *numerator = 0;
    *denominator = 1;
    for (; *text != '\0'; text++) {
        if (*text == '.' && !point) {
            point = true;
        } else if (isdigit((unsigned char)*text) && ++digits <= MAX_DIGITS) {
            *numerator = *numerator * 10 + (*text - '0');
            *denominator *= point ? 10 : 1;
        } else {
            return false;
        }
    }
    return digits > 0;
}

fxc_status fxc_analysis_scale_op(fxc_analysis *analysis, const char *name, const char *factor, fxc_error *err) {
    int64_t numerator, denominator;
    FXC_TRY(fxc_custom_check_name("fxc_analysis_scale_op", name, err));
    if (!parse_decimal(factor, &numerator, &denominator)) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "scale of %s", name);
        fxc_expected(err, "a decimal number from 0 on of at most %d digits, such as 1.07", MAX_DIGITS);
        fxc_found(err, "'%.60s'", factor);
        return status;
    }
    struct fxc_custom_entry *entry = fxc_custom_add(fxc_custom_counts(analysis), FXC_CUSTOM_SCALE, name);
    if (entry == NULL) {
        return fxc_fail_memory(err, "fxc_analysis_scale_op");
    }
    entry->numerator = numerator;
    entry->denominator = denominator;
    size_t used = strlen(entry->text); /* fxc_custom_add left room for this */
    (void)snprintf(entry->text + used, 24, " by %.16s", factor);
    return FXC_OK;
}

fxc_status fxc_analysis_correction(fxc_analysis *analysis, uint32_t index, fxc_correction *out, fxc_error *err) {
    const struct fxc_custom *custom = analysis->custom;
    if (out->struct_size < sizeof *out || custom == NULL || index >= custom->count) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_correction: entry %u of %u", index,
                        custom == NULL ? 0 : custom->count);
    }
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(flops), err));
    *out = (fxc_correction){out->struct_size, custom->entries[index].text, analysis->flops->custom->entry_nodes[index]};
    return FXC_OK;
}
