/* Models that are no program files: captured by the Python package, which the command of the same name in Python
 * announces through the environment variable FXCOST_PYTHON (the interpreter to run `-m fxcost` with). */
#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "fxcost/fusion.h"

extern char **environ;

static bool ends_with(const char *text, const char *suffix) {
    size_t length = strlen(text), end = strlen(suffix);
    return length >= end && strcmp(text + length - end, suffix) == 0;
}

static bool is_checkpoint(const char *operand) {
    static const char *const suffixes[] = {".pth", ".pt", ".bin", ".ckpt", ".safetensors"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (ends_with(operand, suffixes[i])) {
            return true;
        }
    }
    return false;
}

/* Does the operand name a model for Python, rather than a program file? */
static bool is_model(const char *operand) {
    struct stat info;
    bool file = stat(operand, &info) == 0;
    return ends_with(operand, ".py") || ends_with(operand, ".pt2") || is_checkpoint(operand) ||
           (!file && strchr(operand, ':') != NULL);
}

static fxc_status no_operand(fxc_error *err) {
    return cli_fail(err, FXC_USAGE,
                    "command line\n  expected: a model or a .fxir file\n  found: nothing\n  see: fxcost --help");
}

static fxc_status no_python(fxc_error *err) {
    return cli_fail(err, FXC_CAPTURE,
                    "capturing a model\n  expected: the Python package fxcost, which captures with torch.export\n"
                    "  found: this command without Python\n  install it with: pip install fxcost");
}

void cli_lowered_for(const char *name, char *device, size_t size) {
    fxc_profile_info info = {.struct_size = sizeof info};
    fxc_profile *own = NULL;
    device[0] = '\0';
    if (name == NULL || (fxc_profile_is_path(name) && fxc_profile_open(name, &own, NULL) != FXC_OK)) {
        return; /* what is wrong with a profile's file is said when it is set */
    }
    const fxc_profile *profile = own != NULL ? own : fxc_profile_find(name);
    if (profile != NULL && fxc_profile_describe(profile, &info, NULL) == FXC_OK) {
        (void)snprintf(device, size, "%s", info.lowered);
    }
    fxc_profile_free(own);
}

/* The device whose compiler's own graph is wanted, or "": where the way to capture has one. */
static void lowered_for(const struct cli_options *options, char *device, size_t size) {
    static const char *const without[] = {"--train",   "--record",      "--method", "--fx",
                                          "--lowered", "--lowered-for", "--check"};
    device[0] = '\0';
    for (int i = 0; i < options->capture_arg_count; i++) {
        for (size_t j = 0; j < sizeof without / sizeof without[0]; j++) {
            if (strcmp(options->capture_args[i], without[j]) == 0) {
                return;
            }
        }
    }
    cli_lowered_for(options->profile, device, size);
}

fxc_status cli_run_python(const char **arguments, bool *reported, fxc_error *err) {
    const char *python = getenv("FXCOST_PYTHON");
    int state = 0;
    pid_t child;
    if (python == NULL) {
        return no_python(err);
    }
    arguments[0] = python;
    int number = posix_spawnp(&child, python, NULL, NULL, (char *const *)(uintptr_t)arguments, environ);
    if (number != 0) {
        char message[400];
        (void)snprintf(message, sizeof message, "%.200s\n  expected: the Python interpreter\n  found: %s", python,
                       strerror(number));
        return cli_fail(err, FXC_IO, message);
    }
    while (waitpid(child, &state, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(state)) {
        return cli_fail(err, FXC_CAPTURE, "running Python\n  expected: it to end\n  found: it was killed");
    }
    *reported = WEXITSTATUS(state) != 0;
    return (fxc_status)WEXITSTATUS(state);
}

/* Runs python -m fxcost MODEL -o FILE OPTION...; its messages go to standard error, its exit code is a status. A
 * second file is for a training step's forward pass, or for a decode step. */
static fxc_status run_capture(const struct cli_options *options, const char *file, const char *second, bool *reported,
                              fxc_error *err) {
    const char *arguments[CLI_MAX_CAPTURE_ARGS + 16] = {NULL, "-m", "fxcost", options->operand, "-o", file};
    int count = 6;
    char depth[16], device[16];
    for (int i = 0; i < options->capture_arg_count; i++) {
        arguments[count++] = options->capture_args[i];
    }
    if (second != NULL) {
        arguments[count++] = options->generate ? "--decode-step" : "--forward-pass";
        arguments[count++] = second;
    }
    lowered_for(options, device, sizeof device);
    if (device[0] != '\0') { /* models are captured on the CPU, which then needs no stand-in */
        arguments[count++] = strcmp(device, "cpu") == 0 ? "--lowered" : "--lowered-for";
        if (strcmp(device, "cpu") != 0) {
            arguments[count++] = device;
        }
    }
    if (is_checkpoint(options->operand)) { /* it may come to a listing, which Python prints */
        if (options->render.depth != 0) {
            (void)snprintf(depth, sizeof depth, "%" PRIu32, options->render.depth);
            arguments[count++] = "--depth";
            arguments[count++] = depth;
        }
        if (options->render.format != NULL) {
            arguments[count++] = "--format";
            arguments[count++] = options->render.format;
        }
        if (options->render.raw) {
            arguments[count++] = "--raw";
        }
    }
    return cli_run_python(arguments, reported, err);
}

static fxc_status capture_to(struct cli_options *options, const char *file, const char *forward, fxc_error *err) {
    return run_capture(options, file, forward, &options->reported, err);
}

/* Opens a file under another name, so that messages speak of the model and not of a temporary file. */
static fxc_status open_as(const char *path, const char *name, fxc_program **program, fxc_error *err) {
    char *bytes = NULL;
    size_t size = 0;
    fxc_status status = cli_read(path, &bytes, &size, err);
    if (status == FXC_OK) {
        status = fxc_program_from_memory(bytes, size, name, program, err);
    }
    free(bytes);
    return status;
}

static fxc_status make_temporary(char *path, size_t size, fxc_error *err) {
    const char *folder = getenv("TMPDIR");
    int length = snprintf(path, size, "%s/fxcost-XXXXXX.fxir", folder == NULL ? "/tmp" : folder);
    int descriptor = length > 0 && (size_t)length < size ? mkstemps(path, 5) : -1;
    if (descriptor < 0) {
        return cli_fail(err, FXC_IO, "capturing a model\n  expected: a temporary file that can be written in TMPDIR");
    }
    (void)close(descriptor);
    return FXC_OK;
}

static bool is_given(const struct cli_options *options, const char *name) {
    for (int i = 0; i < options->capture_arg_count; i++) {
        if (strcmp(options->capture_args[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Other tools see only the forward pass of a training step; a generation is two programs. */
static bool wants_second(const struct cli_options *options) {
    bool tools = options->convention != NULL || options->compare != NULL;
    if (options->generate) {
        return options->decode_step == NULL;
    }
    return tools && options->forward_pass == NULL && is_given(options, "--train") && !is_given(options, "--forward");
}

static fxc_status capture_and_open(struct cli_options *options, const char *path, const char *forward,
                                   fxc_program **program, fxc_error *err) {
    fxc_status status = capture_to(options, path, forward, err);
    if (status == FXC_OK) {
        status = open_as(path, options->operand, program, err);
    }
    if (status != FXC_OK) {
        return status;
    }
    status = forward == NULL ? FXC_OK : open_as(forward, options->operand, &options->beside, err);
    if (status != FXC_OK) {
        fxc_program_free(*program);
        *program = NULL;
    }
    return status;
}

static fxc_status open_operand(struct cli_options *options, fxc_program **program, fxc_error *err) {
    char path[4096], forward[4096];
    bool both = wants_second(options);
    if (!is_model(options->operand)) {
        return fxc_program_open(options->operand, program, err);
    }
    fxc_status status = make_temporary(path, sizeof path, err);
    if (status != FXC_OK) {
        return status;
    }
    status = both ? make_temporary(forward, sizeof forward, err) : FXC_OK;
    if (status == FXC_OK) {
        status = capture_and_open(options, path, both ? forward : NULL, program, err);
        if (both) {
            (void)unlink(forward);
        }
    }
    (void)unlink(path);
    return status;
}

fxc_status cli_open(struct cli_options *options, fxc_program **program, fxc_error *err) {
    if (options->operand == NULL) {
        return no_operand(err);
    }
    fxc_status status = open_operand(options, program, err);
    const char *second = options->generate ? options->decode_step : options->forward_pass;
    if (status == FXC_OK && second != NULL) {
        status = fxc_program_open(second, &options->beside, err);
        if (status != FXC_OK) {
            fxc_program_free(*program);
            *program = NULL;
        }
    }
    if (status == FXC_OK) {
        status = cli_apply_shapes(options, program, err);
        if (status != FXC_OK) {
            fxc_program_free(*program);
            *program = NULL;
        }
    }
    return status;
}

fxc_status cli_capture(struct cli_options *options, fxc_error *err) {
    if (options->operand == NULL) {
        return no_operand(err);
    }
    if (options->output == NULL) {
        return cli_fail(err, FXC_USAGE, "fxcost capture\n  expected: -o FILE.fxir\n  found: no output");
    }
    if (options->shapes.count > 0) {
        return cli_fail(err, FXC_USAGE,
                        "fxcost capture\n  expected: the sizes to capture at, as example inputs\n"
                        "  found: --input-shape, which is for programs that are captured");
    }
    fxc_status status = capture_to(options, options->output, NULL, err);
    return status == FXC_OK ? cli_describe(options->output, err) : status;
}

/* Hands one more word to the Python side, of a command that needs a model rather than a program file. */
static fxc_status for_model(struct cli_options *options, const char *word, const char *command, fxc_error *err) {
    char message[256];
    if (options->operand == NULL) {
        return no_operand(err);
    }
    if (!is_model(options->operand) || options->capture_arg_count == CLI_MAX_CAPTURE_ARGS) {
        (void)snprintf(message, sizeof message,
                       "fxcost %s\n  expected: a model that can run, such as FILE.py or hf:bert\n"
                       "  found: a captured program",
                       command);
        return cli_fail(err, FXC_USAGE, message);
    }
    options->capture_args[options->capture_arg_count++] = word;
    return FXC_OK;
}

fxc_status cli_check(struct cli_options *options, fxc_error *err) {
    CLI_TRY(for_model(options, "--check", "check", err));
    return capture_to(options, "-", NULL, err);
}

/* fxcost annotate MODEL TRACE: a model or a program file, which Python matches the trace to. */
fxc_status cli_annotate(struct cli_options *options, fxc_error *err) {
    if (options->operand == NULL || options->more_count != 1) {
        return cli_fail(err, FXC_USAGE,
                        "fxcost annotate\n  expected: a model or program, and a trace of torch.profiler\n"
                        "  see: fxcost --help");
    }
    if (options->capture_arg_count + 4 > CLI_MAX_CAPTURE_ARGS) {
        return cli_fail(err, FXC_USAGE, "fxcost annotate\n  expected: fewer options of the capture");
    }
    options->capture_args[options->capture_arg_count++] = "--annotate";
    options->capture_args[options->capture_arg_count++] = options->more[0];
    if (options->device != NULL) {
        options->capture_args[options->capture_arg_count++] = "--device";
        options->capture_args[options->capture_arg_count++] = options->device;
    }
    return capture_to(options, options->output == NULL ? "-" : options->output, NULL, err);
}

/* The report of what was measured; -o keeps the program with the measurements. */
fxc_status cli_measure(struct cli_options *options, fxc_error *err) {
    CLI_TRY(for_model(options, "--measure", "measure", err));
    if (options->output != NULL) {
        CLI_TRY(capture_to(options, options->output, NULL, err));
        options->operand = options->output;
        options->output = NULL;
    }
    return cli_report(options, err);
}
