/* fxcost sweep FILE --dim NAME=VALUES ...: totals over a grid of sizes, as CSV or JSON. */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "fxcost/omp.h"

enum { MAX_POINTS = 10 * 1000 * 1000, INTEGER_COLUMNS = 9 };

static const char *const integer_names[INTEGER_COLUMNS] = {
    "flops",   "macs",       "matrix_flops",  "vector_flops",  "transcendentals",
    "int_ops", "bytes_read", "bytes_written", "unknown_nodes",
};

struct sweep {
    fxc_axis axes[CLI_MAX_DIMS];
    char names[CLI_MAX_DIMS][96];
    fxc_sweep_grid grid;
    size_t points;
    int64_t *cells; /* [INTEGER_COLUMNS][points] */
    double *seconds;
};

/* ---- axes: NAME=1,2,8 or NAME=1..256 or NAME=10..50:20
 * --------------------------------------------------------------- */

static fxc_status bad_axis(const char *text, const char *expected, fxc_error *err) {
    char message[512];
    (void)snprintf(message, sizeof message, "option --dim\n  expected: %.200s\n  found: '%.200s'", expected, text);
    return cli_fail(err, FXC_USAGE, message);
}

static bool parse_number(const char **text, int64_t *out) {
    char *end;
    errno = 0;
    long long number = strtoll(*text, &end, 10);
    bool good = end != *text && errno == 0;
    *text = end;
    *out = number;
    return good;
}

/* One item of the list: a number or a range, which is inclusive. */
static bool parse_item(const char **text, int64_t *first, int64_t *last, int64_t *step) {
    *step = 1;
    if (!parse_number(text, first)) {
        return false;
    }
    *last = *first;
    if (strncmp(*text, "..", 2) != 0) {
        return true;
    }
    *text += 2;
    if (!parse_number(text, last) || *last < *first) {
        return false;
    }
    if (**text == ':') {
        ++*text;
        return parse_number(text, step) && *step > 0;
    }
    return true;
}

static fxc_status add_values(int64_t first, int64_t last, int64_t step, const char *option, int64_t **values,
                             size_t *count, fxc_error *err) {
    /* last >= first, so the difference fits in an unsigned number. */
    uint64_t added = ((uint64_t)last - (uint64_t)first) / (uint64_t)step + 1;
    if (added > MAX_POINTS || *count + added > MAX_POINTS) {
        return bad_axis(option, "at most 10,000,000 points", err);
    }
    int64_t *more = realloc(*values, (*count + added) * sizeof *more);
    if (more == NULL) {
        return cli_fail(err, FXC_MEMORY, "sweep: out of memory");
    }
    *values = more;
    for (uint64_t i = 0; i < added; i++) {
        more[(*count)++] = first + (int64_t)i * step;
    }
    return FXC_OK;
}

static fxc_status parse_axis(const char *option, char name[96], fxc_axis *axis, fxc_error *err) {
    const char *text = strchr(option, '=') + 1;
    int64_t *values = NULL;
    size_t count = 0, length = (size_t)(text - 1 - option);
    if (length == 0 || length >= 96) {
        return bad_axis(option, "NAME=VALUES", err);
    }
    memcpy(name, option, length);
    name[length] = '\0';
    fxc_status status = FXC_OK;
    do {
        int64_t first, last, step;
        if (!parse_item(&text, &first, &last, &step) || (*text != ',' && *text != '\0')) {
            status = bad_axis(option, "numbers and ranges, such as 1,2,8 or 1..256 or 10..50:20", err);
        } else {
            status = add_values(first, last, step, option, &values, &count, err);
        }
    } while (status == FXC_OK && *text++ == ',');
    *axis = (fxc_axis){name, values, count};
    return status;
}

static void free_sweep(struct sweep *sweep) {
    for (size_t i = 0; i < sweep->grid.axis_count; i++) {
        free((void *)(uintptr_t)sweep->axes[i].values);
    }
    free(sweep->cells);
    free(sweep->seconds);
}

static fxc_status prepare(const struct cli_options *options, struct sweep *sweep, fxc_error *err) {
    sweep->grid = (fxc_sweep_grid){sizeof sweep->grid, sweep->axes, 0, options->device};
    if (options->dims.count == 0) {
        return bad_axis("", "--dim NAME=VALUES, the dimensions to sweep over", err);
    }
    for (int i = 0; i < options->dims.count; i++) {
        sweep->grid.axis_count++;
        fxc_status status = parse_axis(options->dims.item[i], sweep->names[i], &sweep->axes[i], err);
        if (status != FXC_OK) {
            return status;
        }
    }
    fxc_status status = fxc_sweep_count(&sweep->grid, &sweep->points, err);
    if (status == FXC_OK && sweep->points > MAX_POINTS) {
        return bad_axis("a larger grid", "at most 10,000,000 points", err);
    }
    if (status == FXC_OK) {
        sweep->cells = calloc(sweep->points * INTEGER_COLUMNS, sizeof *sweep->cells);
        sweep->seconds = calloc(sweep->points, sizeof *sweep->seconds);
        if (sweep->cells == NULL || sweep->seconds == NULL) {
            return cli_fail(err, FXC_MEMORY, "sweep: out of memory");
        }
    }
    return status;
}

/* ---- running
 * --------------------------------------------------------------------------------------------------------- */

typedef fxc_status (*parallel_fn)(const fxc_program *, const fxc_sweep_grid *, uint32_t, const fxc_sweep_columns *,
                                  fxc_error *);

/* The parallel driver, when its library and an OpenMP runtime are there: looked for beside this program's libraries. */
static parallel_fn find_parallel(void) {
    static const char *const places[] = {"libfxcost_omp.so.0", "../lib/libfxcost_omp.so.0"};
    char program[2048], path[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(program, '/');
    if (slash == NULL) {
        return NULL;
    }
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", program, places[i]);
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library != NULL) {
            union {
                void *object;
                parallel_fn function;
            } symbol = {dlsym(library, "fxc_omp_sweep")};
            return symbol.function;
        }
    }
    return NULL;
}

static fxc_status run(const struct cli_options *options, const fxc_program *program, struct sweep *sweep,
                      fxc_error *err) {
    int64_t *c = sweep->cells;
    size_t n = sweep->points;
    fxc_sweep_columns columns = {sizeof columns, c,         c + n,     c + 2 * n, c + 3 * n,     c + 4 * n,
                                 c + 5 * n,      c + 6 * n, c + 7 * n, c + 8 * n, sweep->seconds};
    parallel_fn parallel = options->threads == 1 ? NULL : find_parallel();
    if (parallel == NULL && options->threads > 1) {
        return cli_fail(err, FXC_USAGE,
                        "option --threads\n  expected: libfxcost_omp and LLVM's libomp on this machine\n"
                        "  found: no such library that loads");
    }
    return parallel == NULL ? fxc_sweep(program, &sweep->grid, 0, n, &columns, err)
                            : parallel(program, &sweep->grid, options->threads, &columns, err);
}

/* ---- output
 * ------------------------------------------------------------------------------------------------------------ */

static void put_csv(FILE *out, const struct sweep *sweep, bool timed) {
    for (size_t a = 0; a < sweep->grid.axis_count; a++) {
        (void)fprintf(out, "%s,", sweep->names[a]);
    }
    for (size_t c = 0; c < INTEGER_COLUMNS; c++) {
        (void)fprintf(out, "%s%s", integer_names[c], c + 1 < INTEGER_COLUMNS ? "," : timed ? ",seconds\n" : "\n");
    }
    for (size_t i = 0; i < sweep->points; i++) {
        for (size_t a = 0; a < sweep->grid.axis_count; a++) {
            (void)fprintf(out, "%" PRId64 ",", fxc_sweep_value(&sweep->grid, i, a));
        }
        for (size_t c = 0; c < INTEGER_COLUMNS; c++) {
            (void)fprintf(out, "%s%" PRId64, c == 0 ? "" : ",", sweep->cells[c * sweep->points + i]);
        }
        if (timed) {
            (void)fprintf(out, ",%.9g", sweep->seconds[i]);
        }
        (void)fputs("\n", out);
    }
}

static void put_json(FILE *out, const struct sweep *sweep, bool timed) {
    (void)fputs("{\"schema\": \"fxcost.sweep\", \"version\": 1, \"rows\": [", out);
    for (size_t i = 0; i < sweep->points; i++) {
        (void)fputs(i == 0 ? "\n{" : ",\n{", out);
        for (size_t a = 0; a < sweep->grid.axis_count; a++) {
            (void)fprintf(out, "\"%s\": %" PRId64 ", ", sweep->names[a], fxc_sweep_value(&sweep->grid, i, a));
        }
        for (size_t c = 0; c < INTEGER_COLUMNS; c++) {
            (void)fprintf(out, "%s\"%s\": %" PRId64, c == 0 ? "" : ", ", integer_names[c],
                          sweep->cells[c * sweep->points + i]);
        }
        if (timed && isfinite(sweep->seconds[i])) {
            (void)fprintf(out, ", \"seconds\": %.9g", sweep->seconds[i]);
        }
        (void)fputs("}", out);
    }
    (void)fputs("]}\n", out);
}

static fxc_status put(const struct cli_options *options, const struct sweep *sweep, fxc_error *err) {
    struct cli_output output;
    bool timed = options->device != NULL && options->device[0] != '\0';
    bool json = options->render.format != NULL && strcmp(options->render.format, "json") == 0;
    fxc_status status = cli_output_open(&output, options->output, err);
    if (status != FXC_OK) {
        return status;
    }
    (json ? put_json : put_csv)(output.stream, sweep, timed);
    return cli_output_close(&output, FXC_OK, err);
}

fxc_status cli_sweep(struct cli_options *options, fxc_error *err) {
    struct sweep sweep = {.points = 0};
    fxc_program *program = NULL;
    if (options->render.format != NULL && strcmp(options->render.format, "json") != 0 &&
        strcmp(options->render.format, "csv") != 0) {
        return cli_fail(err, FXC_USAGE,
                        "option --format\n  expected: csv or json for a sweep\n  found: another format");
    }
    fxc_status status = prepare(options, &sweep, err);
    if (status == FXC_OK) {
        status = cli_open(options, &program, err);
    }
    if (status == FXC_OK) {
        status = run(options, program, &sweep, err);
    }
    if (status == FXC_OK) {
        status = put(options, &sweep, err);
    }
    fxc_program_free(program);
    free_sweep(&sweep);
    return status;
}
