/* partition: as a table, CSV or JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "passes/partition/partition.h"
#include "passes/report/json.h"

static int64_t memory_of(const fxc_stage_info *stage) {
    return stage->held_bytes + stage->alive_bytes; /* fits: the cut was found with it */
}

static double share_of(const struct fxc_partition *partition, double seconds) {
    return partition->info.seconds > 0 ? seconds / partition->info.seconds : 0;
}

/* ---- table ------------------------------------------------------------------------------------------------------- */

static void put_head(const struct fxc_partition *partition, bool raw, struct fxc_stream *out) {
    const fxc_partition_info *info = &partition->info;
    char a[FXC_NUMBER_SIZE], b[FXC_NUMBER_SIZE];
    fxc_putf(out, "%s: %u stages on %s, %s in all\n", partition->program->file, info->stages, info->device,
             fxc_human_seconds(info->seconds, raw, a));
    fxc_putf(out, "slowest     %s, %.1f %% above the mean; the best such cut has %s\n",
             fxc_human_seconds(info->bottleneck_seconds, raw, a), 100 * info->imbalance,
             fxc_human_seconds(info->best_seconds, raw, b));
    fxc_putf(out, "largest     node %s takes %s, %.0f %% of a mean stage\n",
             fxc_node_name(partition->program, info->largest_node), fxc_human_seconds(info->largest_seconds, raw, a),
             100 * share_of(partition, info->largest_seconds) * info->stages);
    fxc_putf(out, "sent        %s over %u cut%s\n", fxc_human_bytes(info->sent_bytes, raw, a), info->stages - 1,
             info->stages == 2 ? "" : "s");
    if (info->memory_bytes >= 0) {
        fxc_putf(out, "memory      %s a stage at most\n", fxc_human_bytes(info->memory_bytes, raw, a));
    } else {
        fxc_put(out, "memory      no limit\n");
    }
    if (info->untimed_nodes > 0) {
        fxc_putf(out, "unknown     the time of %u nodes, which count as nothing: times are at least these\n",
                 info->untimed_nodes);
    }
    if (info->unsized_values > 0 || info->bound) {
        fxc_put(out, "unknown     the size of some tensors: bytes are at least these\n");
    }
}

static void put_bytes(struct fxc_stream *out, int64_t bytes, bool raw) {
    char text[FXC_NUMBER_SIZE];
    fxc_put_cell(out, fxc_human_bytes(bytes, raw, text), raw ? 18 : 9, true);
    fxc_put(out, " ");
}

static void put_row(const struct fxc_partition *partition, uint32_t index, bool raw, struct fxc_stream *out) {
    const struct fxc_stage *stage = &partition->stage[index];
    char text[FXC_NUMBER_SIZE];
    fxc_putf(out, "%5u %6u ", index, stage->info.nodes);
    fxc_put_cell(out, fxc_human_seconds(stage->info.seconds, raw, text), raw ? 16 : 9, true);
    fxc_put(out, " ");
    fxc_put_cell(out, fxc_percent(share_of(partition, stage->info.seconds), 1, text), 7, true);
    fxc_put(out, " ");
    fxc_put_cell(out, fxc_human(stage->info.flops, raw, text), raw ? 18 : 8, true);
    fxc_put(out, " ");
    put_bytes(out, stage->info.held_bytes, raw);
    put_bytes(out, stage->info.alive_bytes, raw);
    put_bytes(out, memory_of(&stage->info), raw);
    put_bytes(out, stage->info.sent_bytes, raw);
    fxc_putf(out, " %s .. %s", stage->first, stage->last);
    fxc_putf(out, "%s%s\n", stage->info.module[0] == '\0' ? "" : "  from ", stage->info.module);
}

static void put_table(const struct fxc_partition *partition, bool raw, struct fxc_stream *out) {
    put_head(partition, raw, out);
    if (raw) {
        fxc_put(out, "\nstage  nodes             time   share              FLOPs            weights              alive"
                     "             memory              sends  nodes\n");
    } else {
        fxc_put(out, "\nstage  nodes      time   share    FLOPs   weights     alive    memory     sends  nodes\n");
    }
    for (uint32_t i = 0; i < partition->info.stages; i++) {
        put_row(partition, i, raw, out);
    }
}

/* ---- CSV, JSON --------------------------------------------------------------------------------------------------- */

static void put_csv(const struct fxc_partition *partition, struct fxc_stream *out) {
    fxc_put(out, "stage,first_node,last_node,nodes,module,seconds,flops,held_bytes,alive_bytes,memory_bytes,"
                 "received_bytes,sent_bytes\n");
    for (uint32_t i = 0; i < partition->info.stages; i++) {
        const struct fxc_stage *stage = &partition->stage[i];
        const fxc_stage_info *s = &stage->info;
        fxc_putf(out, "%u,%s,%s,%u,%s,%.17g,%" PRId64, i, stage->first, stage->last, s->nodes, s->module, s->seconds,
                 s->flops);
        fxc_putf(out, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "\n", s->held_bytes, s->alive_bytes,
                 memory_of(s), s->received_bytes, s->sent_bytes);
    }
}

static void put_json_stage(struct fxc_json *json, const struct fxc_stage *stage) {
    fxc_put(json->out, "\n");
    fxc_json_open(json, NULL, '{');
    fxc_json_string(json, "first_node", stage->first);
    fxc_json_string(json, "last_node", stage->last);
    fxc_json_int(json, "nodes", stage->info.nodes);
    fxc_json_string(json, "module", stage->info.module);
    fxc_json_double(json, "seconds", stage->info.seconds);
    fxc_json_int(json, "flops", stage->info.flops);
    fxc_json_int(json, "held_bytes", stage->info.held_bytes);
    fxc_json_int(json, "alive_bytes", stage->info.alive_bytes);
    fxc_json_int(json, "memory_bytes", memory_of(&stage->info));
    fxc_json_int(json, "received_bytes", stage->info.received_bytes);
    fxc_json_int(json, "sent_bytes", stage->info.sent_bytes);
    fxc_json_close(json, '}');
}

static void put_json(const struct fxc_partition *partition, struct fxc_stream *out) {
    const fxc_partition_info *info = &partition->info;
    struct fxc_json json = {out, false};
    fxc_json_open(&json, NULL, '{');
    fxc_json_string(&json, "schema", "fxcost.partition");
    fxc_json_int(&json, "version", 1);
    fxc_json_string(&json, "fxcost", fxc_version());
    fxc_json_string(&json, "file", partition->program->file);
    fxc_json_string(&json, "device", info->device);
    fxc_json_double(&json, "seconds", info->seconds);
    fxc_json_double(&json, "bottleneck_seconds", info->bottleneck_seconds);
    fxc_json_double(&json, "best_seconds", info->best_seconds);
    fxc_json_double(&json, "imbalance", info->imbalance);
    fxc_json_string(&json, "largest_node", fxc_node_name(partition->program, info->largest_node));
    fxc_json_double(&json, "largest_seconds", info->largest_seconds);
    if (info->memory_bytes >= 0) {
        fxc_json_int(&json, "memory_limit", info->memory_bytes);
    } else {
        fxc_json_string(&json, "memory_limit", NULL);
    }
    fxc_json_int(&json, "sent_bytes", info->sent_bytes);
    fxc_json_int(&json, "untimed_nodes", info->untimed_nodes);
    fxc_json_int(&json, "unsized_values", info->unsized_values);
    fxc_json_bool(&json, "memory_is_lower_bound", info->bound);
    fxc_json_open(&json, "stages", '[');
    for (uint32_t i = 0; i < info->stages; i++) {
        put_json_stage(&json, &partition->stage[i]);
    }
    fxc_json_close(&json, ']');
    fxc_json_close(&json, '}');
    fxc_put(out, "\n");
}

fxc_status fxc_partition_render(const fxc_partition *partition, const fxc_render_options *options, fxc_write_fn write,
                                void *context, fxc_error *err) {
    struct fxc_stream out = {write, context, false};
    const char *format = options->format == NULL || options->format[0] == '\0' ? "table" : options->format;
    if (options->struct_size < sizeof *options) {
        return fxc_fail(err, FXC_USAGE, "fxc_partition_render: struct_size is smaller than this version's structure");
    }
    if (strcmp(format, "table") == 0 || strcmp(format, "tree") == 0) {
        put_table(partition, options->raw, &out);
    } else if (strcmp(format, "csv") == 0) {
        put_csv(partition, &out);
    } else if (strcmp(format, "json") == 0) {
        put_json(partition, &out);
    } else {
        fxc_status status = fxc_fail(err, FXC_USAGE, "option format");
        fxc_expected(err, "table, csv or json, of a partition");
        fxc_found(err, "'%s'", format);
        return status;
    }
    return out.failed ? fxc_fail(err, FXC_IO, "writing the partition") : FXC_OK;
}
