/* Shared by the commands of the fxcost program. */
#ifndef FXC_CLI_CLI_H
#define FXC_CLI_CLI_H

#include <stdio.h>

#include "fxcost/fxcost.h"

enum { CLI_MAX_DIMS = 64, CLI_MAX_CAPTURE_ARGS = 128 };

/* The parsed command line. */
/* Values of an option that may be repeated. */
struct cli_list {
    const char *item[CLI_MAX_DIMS];
    int count;
};

struct cli_options {
    const char *command; /* "report", "print", "verify", "ops", "passes", "devices", "capture" */
    const char *operand; /* the file, model or pattern; NULL when absent */
    const char *more[2]; /* operands after it, of commands that take them */
    int more_count;
    fxc_render_options render; /* --format --by --sort --root --depth --top --raw --unfold */
    const char *device, *backend, *measured, *convention, *profile, *attention, *sequences, *world_size,
        *model_parallel, *optimizer, *allocator;
    const char *fits;                          /* a device */
    const char *stages, *stage_memory, *slack; /* of a partition */
    const char *forward_pass;                  /* file of the forward pass of a training step */
    const char *decode_step;                   /* file of a step over a cache */
    bool generate;
    fxc_program *beside;    /* opened by cli_open, main frees it: a forward pass or a decode step */
    const char *quantity;   /* of a formula; NULL for all */
    const char *output;     /* -o, NULL for standard output */
    struct cli_list dims;   /* NAME=VALUE */
    struct cli_list shapes; /* NAME=SIZES of inputs */
    struct cli_list probabilities;
    struct cli_list formulas; /* files */
    struct cli_list ignored_ops, ignored_modules;
    struct cli_list scales;                         /* NAME=FACTOR */
    const char *capture_args[CLI_MAX_CAPTURE_ARGS]; /* options for the Python side, as given */
    int capture_arg_count;
    uint32_t threads;    /* of a sweep; 0: as many as there are processors */
    const char *compare; /* conventions, separated by commas; NULL for none */
    bool fail_on_unknown, against_recorded, group_by_shape, help, version;
    char host[4096]; /* path of this host's device file, once --device host was met */
    bool noisy;
    bool reported; /* the Python side has already said what went wrong */
};

/* Parses argv; FXC_USAGE with a message in err for anything that is not understood. */
fxc_status cli_parse(int argc, char **argv, struct cli_options *out, fxc_error *err);
void cli_print_help(FILE *stream);

/* Where a command writes: standard output, or a temporary file that replaces `path` on success. */
struct cli_output {
    FILE *stream;
    const char *path; /* NULL for standard output */
    char temporary[4096];
};
fxc_status cli_output_open(struct cli_output *output, const char *path, fxc_error *err);
/* Flushes; on success renames the temporary file, otherwise removes it. Returns status, or FXC_IO. */
fxc_status cli_output_close(struct cli_output *output, fxc_status status, fxc_error *err);
/* The whole of a file, which the caller frees. */
fxc_status cli_read(const char *path, char **bytes, size_t *size, fxc_error *err);
/* Sets what the command line says of an analysis: convention, device, sizes, corrections. */
fxc_status cli_set_options(const struct cli_options *options, fxc_analysis *analysis, fxc_error *err);
/* fxc_write_fn over a cli_output. */
bool cli_write(void *context, const char *bytes, size_t size);

/* Hands a failure on to the caller. */
#define CLI_TRY(call)                                                                                                  \
    do {                                                                                                               \
        fxc_status try_status_ = (call);                                                                               \
        if (try_status_ != FXC_OK) {                                                                                   \
            return try_status_;                                                                                        \
        }                                                                                                              \
    } while (0)

/* Fills err as the library does. */
fxc_status cli_fail(fxc_error *err, fxc_status status, const char *message);

/* Derives the program at the sizes of --input-shape, when there are any. */
fxc_status cli_apply_shapes(const struct cli_options *options, fxc_program **program, fxc_error *err);

/* Opens the operand: a program file as it is, a model by capturing it into a temporary file; at the sizes of
 * --input-shape. */
fxc_status cli_open(struct cli_options *options, fxc_program **program, fxc_error *err);

/* Checks a program file and prints one line about it. */
fxc_status cli_describe(const char *path, fxc_error *err);
/* Runs the shape rules against the recording; prints, per operator, what follows from a rule and what rests on it. */
fxc_status cli_against_recorded(const fxc_program *program, fxc_analysis *analysis, const char *label, FILE *stream,
                                fxc_error *err);

/* Runs the Python side: arguments[0] is put in; NULL ends them. Its exit code is a status; *reported tells that it has
 * said what went wrong. */
fxc_status cli_run_python(const char **arguments, bool *reported, fxc_error *err);

fxc_status cli_capture(struct cli_options *options, fxc_error *err);
fxc_status cli_calibrate(struct cli_options *options, fxc_error *err);
/* --device host: becomes the path of this host's device file, which is measured when there is none yet. */
fxc_status cli_name_host(struct cli_options *options, fxc_error *err);
fxc_status cli_formula(struct cli_options *options, fxc_error *err);
fxc_status cli_diff(struct cli_options *options, fxc_error *err);
fxc_status cli_partition(struct cli_options *options, fxc_error *err);
fxc_status cli_explain(struct cli_options *options, fxc_error *err);
fxc_status cli_stubs(struct cli_options *options, fxc_error *err);
fxc_status cli_sweep(struct cli_options *options, fxc_error *err);
fxc_status cli_report(struct cli_options *options, fxc_error *err);
fxc_status cli_print(struct cli_options *options, fxc_error *err);
fxc_status cli_verify(struct cli_options *options, fxc_error *err);
/* --fits: whether one run fits on a device (fits_command.c). */
fxc_status cli_fits(const struct cli_options *options, const fxc_program *program, fxc_analysis *analysis,
                    fxc_error *err);
/* Commands that list things print text, or Markdown with --format md (list_commands.c). */
bool cli_wants_markdown(const struct cli_options *options);
fxc_status cli_check_list_format(struct cli_options *options, fxc_error *err);
/* The device that a profile's lowered graph is made for, "" without one. */
void cli_lowered_for(const char *profile, char *device, size_t size);
fxc_status cli_ops(struct cli_options *options, fxc_error *err);
fxc_status cli_passes(struct cli_options *options, fxc_error *err);
fxc_status cli_devices(struct cli_options *options, fxc_error *err);
fxc_status cli_profiles(struct cli_options *options, fxc_error *err);
fxc_status cli_conventions(struct cli_options *options, fxc_error *err);
fxc_status cli_compare(struct cli_options *options, fxc_error *err);
fxc_status cli_check(struct cli_options *options, fxc_error *err);
fxc_status cli_measure(struct cli_options *options, fxc_error *err);
fxc_status cli_annotate(struct cli_options *options, fxc_error *err);

#endif
