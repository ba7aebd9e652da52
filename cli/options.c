/* The command line: one table of options, which the parser and the help both read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const struct command {
    const char *name, *operand, *help;
    int more; /* operands after the first */
} commands[] = {
    {"report", "MODEL", "print what a model costs; the default: fxcost MODEL is fxcost report MODEL", 0},
    {"capture", "MODEL", "capture a model into a .fxir file (-o FILE)", 0},
    {"measure", "MODEL", "run a model and its operators here, and report times beside costs (-o FILE keeps them)", 0},
    {"calibrate", "[FOLDER]", "measure this host, and write it as a device for --device (-o FILE.device)", 0},
    {"annotate", "MODEL TRACE", "FLOPs, bytes and bounds of the operators in a trace of torch.profiler (-o FILE)", 1},
    {"print", "MODEL", "print the program in text form", 0},
    {"check", "MODEL", "run torch's FlopCounterMode on the same inputs and compare", 0},
    {"verify", "MODEL", "check a program and say what is in it", 0},
    {"sweep", "MODEL", "totals over a grid of sizes: --dim batch=1..256 --dim seq=128,512", 0},
    {"formula", "MODEL", "totals as exact formulas in the dynamic dimensions", 0},
    {"explain", "MODEL A B", "why nodes A and B are or are not one kernel under --fusion (inductor-cpu)", 2},
    {"diff", "A [B]", "kernels under two profiles (--fusion none,inductor-cpu), or of two models, side by side", 1},
    {"partition", "MODEL", "cut it into stages of a pipeline: --stages 4 --device NAME", 0},
    {"stubs", "MODEL", "stubs of formulas to complete, for operators that have none", 0},
    {"ops", "[PATTERN]", "list the operators that have a row in the table", 0},
    {"passes", "", "list the passes and what each needs", 0},
    {"devices", "[NAME]", "list the devices, or the figures of one as a device file", 0},
    {"profiles", "[NAME]", "list the fusion profiles (what runs as one kernel), or one as a profile file", 0},
    {"conventions", "[NAME]", "list how other counters count, or the rows of one", 0},
};

/* CAPTURE and CAPTURE_FLAG are handed to the Python side as they are. */
enum value_kind { FLAG, TEXT, COUNT, LIST, PAIRS, CAPTURE, CAPTURE_FLAG };

#define AT(field) offsetof(struct cli_options, field)
static const struct option {
    const char *name, *value, *help;
    enum value_kind kind;
    size_t field;
} options[] = {
    {"--by", "KIND", "module (default), caller, class, op, node, op_shape, module_op, kernel", TEXT, AT(render.by)},
    {"--format", "F", "tree (default), table, json, csv, md, latex; chrome, speedscope, pprof, chakra, tvm", TEXT,
     AT(render.format)},
    {"--axis", "KIND", "of a trace: seconds (default with --device), flops (default without) or bytes", TEXT,
     AT(render.axis)},
    {"--depth", "N", "levels of the module tree", COUNT, AT(render.depth)},
    {"--top", "N", "rows to show, of siblings in a tree", COUNT, AT(render.top)},
    {"--group-by-shape", NULL, "the same as --by op_shape: operators with the sizes of what they take", FLAG,
     AT(group_by_shape)},
    {"--sort", "KEY", "order, flops, bytes, params, seconds or calls", TEXT, AT(render.sort)},
    {"--root", "MODULE", "report on this module and what is below it", TEXT, AT(render.root)},
    {"--device", "NAME", "predict times on a device: a name (see fxcost devices), a device file, or host", TEXT,
     AT(device)},
    {"--backend", "FILE.so", "a plug-in with devices or a timing model; see docs/cost.md", TEXT, AT(backend)},
    {"--measured", "SECONDS", "that one run took: achieved FLOP/s and utilisation", TEXT, AT(measured)},
    {"--convention", "NAME", "count as another tool does beside; see fxcost conventions", TEXT, AT(convention)},
    {"--world-size", "N", "devices in all, for the head of the report", TEXT, AT(world_size)},
    {"--model-parallel", "N", "of these, devices that one copy of the model is spread over", TEXT, AT(model_parallel)},
    {"--forward-pass", "FILE", "of a training step that is a file: its forward pass, for --convention", TEXT,
     AT(forward_pass)},
    {"--fits", "DEVICE", "does it fit into the device's memory, and up to which sizes", TEXT, AT(fits)},
    {"--stages", "N", "of a partition: how many", TEXT, AT(stages)},
    {"--stage-memory", "BYTES", "of a partition: at most for a stage, or none (default: the device's)", TEXT,
     AT(stage_memory)},
    {"--slack", "PART", "of a partition: a slowest stage above the best, to send less (default 0.01)", TEXT, AT(slack)},
    {"--allocator", "NAME", "exact (default), or cuda: what torch's allocator would take for it too", TEXT,
     AT(allocator)},
    {"--optimizer", "NAME", "count its step too: sgd, momentum, adam, adamw, adafactor, lion", TEXT, AT(optimizer)},
    {"--fusion", "NAME", "what runs as one kernel: a name (see fxcost profiles) or a profile file", TEXT, AT(profile)},
    {"--attention", "KIND", "full (default), causal: without pairs that is_causal hides, or window:N", TEXT,
     AT(attention)},
    {"--sequences", "N,N,...", "lengths of the sequences packed for varlen attention, which are data", TEXT,
     AT(sequences)},
    {"--dim", "NAME=N", "value of a dynamic dimension, a list or range in a sweep; repeatable", PAIRS, AT(dims)},
    {"--input-shape", "NAME=N,N", "other sizes of an input, NAME=1,3,64,64 or NAME=f32[1,3,64,64]; repeatable", PAIRS,
     AT(shapes)},
    {"--probability", "NAME=P", "that the condition of a cond is true; repeatable (default: the dearer branch)", PAIRS,
     AT(probabilities)},
    {"--formulas", "FILE", "formulas, metrics and corrections of your own (docs/formulas.md); repeatable", LIST,
     AT(formulas)},
    {"--ignore-op", "NAME", "leave this operator out of every total; repeatable", LIST, AT(ignored_ops)},
    {"--ignore-module", "NAME", "leave out what is below this module; repeatable", LIST, AT(ignored_modules)},
    {"--scale", "OP=F", "multiply the counts of an operator, such as aten.mm=1.07; repeatable", PAIRS, AT(scales)},
    {"--generate", NULL, "formula of generating tokens: a pass over the prompt, then a step for each", FLAG,
     AT(generate)},
    {"--decode-step", "FILE", "of a first pass that is a file: a step over its cache", TEXT, AT(decode_step)},
    {"--quantity", "NAME", "formula of this only: flops, macs, bytes, ...", TEXT, AT(quantity)},
    {"--threads", "N", "threads of a sweep (default: all processors), or of torch to calibrate for (default: 1)", COUNT,
     AT(threads)},
    {"--noisy", NULL, "calibrate: write a device even if repeated measurements disagree", FLAG, AT(noisy)},
    {"--raw", NULL, "exact integers instead of K, M, G, T", FLAG, AT(render.raw)},
    {"--unfold", NULL, "show every module, equal siblings and idle ones too", FLAG, AT(render.unfold)},
    {"--self", NULL, "by module: calls, and FLOPs without the modules below, instead of bytes", FLAG, AT(render.own)},
    {"--memory", NULL, "bytes alive instead of bytes moved, and what makes up the peak", FLAG, AT(render.memory)},
    {"--compare", "A,B,...", "what several tools say, side by side; see fxcost conventions", TEXT, AT(compare)},
    {"--fail-on-unknown", NULL, "exit with 1 when an operator has no formula", FLAG, AT(fail_on_unknown)},
    {"--against-recorded", NULL, "verify: hold the shape rules against the recorded shapes", FLAG,
     AT(against_recorded)},
    {"--batch", "N", "capture: batch size of the example inputs", CAPTURE, 0},
    {"--seq", "N", "capture: sequence length", CAPTURE, 0},
    {"--image", "N[xM]", "capture: height (and width) of images", CAPTURE, 0},
    {"--dtype", "TYPE", "capture: dtype of the parameters, such as bf16", CAPTURE, 0},
    {"--set", "KEY=V", "capture: a setting of the model's config; repeatable", CAPTURE, 0},
    {"--input", "N=T[S]", "capture: an example input: x=f32[1,3,224,224], ids=i64[1,128]<30522; repeatable", CAPTURE,
     0},
    {"--model", "MODEL", "checkpoint files: the model that the tensors are for", CAPTURE, 0},
    {"--trust-pickle", NULL, "checkpoint files: unpickle a module, which runs code that the file holds", CAPTURE_FLAG,
     0},
    {"--dynamic", "NAMES", "capture: dimensions that may vary: batch,seq,image or INPUT.DIM=NAME", CAPTURE, 0},
    {"--train", NULL, "capture: a training step, forward and backward, in training mode", CAPTURE_FLAG, 0},
    {"--eval", NULL, "capture: with --train, modules in evaluation mode", CAPTURE_FLAG, 0},
    {"--forward", NULL, "capture: with --train, the forward pass alone", CAPTURE_FLAG, 0},
    {"--input-grad", NULL, "capture: with --train, gradients of the inputs too", CAPTURE_FLAG, 0},
    {"--grad", NULL, "capture: with gradients enabled", CAPTURE_FLAG, 0},
    {"--strict", NULL, "capture: by torch.export's strict mode", CAPTURE_FLAG, 0},
    {"--route", "ROUTE", "capture: auto (default), export, record (what the model runs) or submodules", CAPTURE, 0},
    {"--record", NULL, "capture: the same as --route record", CAPTURE_FLAG, 0},
    {"--method", "CALL", "capture: record another method than forward: 'generate(max_new_tokens=16)'", CAPTURE, 0},
    {"--fx", NULL, "capture: by torch.fx's symbolic trace, without example inputs or shapes", CAPTURE_FLAG, 0},
    {"--lowered", NULL, "capture: with the graph that torch's compiler fuses", CAPTURE_FLAG, 0},
    {"--lowered-for", "DEVICE", "capture: the same for cpu or cuda, which need not be there", CAPTURE, 0},
    {"--repeats", "N", "measure: runs that count (default 10)", CAPTURE, 0},
    {"--warmup", "N", "measure: runs before them (default 3)", CAPTURE, 0},
    {"--compiled", NULL, "measure: torch.compile's form of the model too; calibrate: loops that it makes", CAPTURE_FLAG,
     0},
    {"--output", "FILE", "write to FILE (also -o)", TEXT, AT(output)},
    {"--help", NULL, "print this (also -h)", FLAG, AT(help)},
    {"--version", NULL, "print the version", FLAG, AT(version)},
};
enum { OPTION_COUNT = sizeof options / sizeof options[0], COMMAND_COUNT = sizeof commands / sizeof commands[0] };

void cli_print_help(FILE *stream) {
    (void)fputs("fxcost: what a PyTorch model costs, op by op\n\nUsage: fxcost [COMMAND] [OPERAND] [OPTION]...\n\n",
                stream);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        (void)fprintf(stream, "  %-11s %-10s %s\n", commands[i].name, commands[i].operand, commands[i].help);
    }
    (void)fputs("\nMODEL is a .fxir file or its text form; with the Python package also FILE.py[:NAME],\n"
                "package.module:NAME, hf:MODEL_TYPE, hf:PATH/config.json, timm:NAME, torchvision:NAME, a .pt2 file,\n"
                "or a checkpoint (.pth, .pt, .bin, .ckpt, .safetensors), of which nothing is unpickled.\n\nOptions:\n",
                stream);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *value = options[i].value == NULL ? "" : options[i].value;
        (void)fprintf(stream, "  %-18s %-8s %s\n", options[i].name, value, options[i].help);
    }
    (void)fputs("\nExit codes:\n", stream);
#define X(name, number, text) (void)fprintf(stream, "  %2d  %s\n", number, text);
    FXC_STATUS_LIST(X)
#undef X
}

/* ---- parsing ----------------------------------------------------------------------------------------------------- */

static fxc_status usage(fxc_error *err, const char *expected, const char *found) {
    fxc_status status = cli_fail(err, FXC_USAGE, "command line");
    (void)snprintf(err->message, sizeof err->message,
                   "command line\n  expected: %.400s\n  found: %.400s\n  see: fxcost --help", expected, found);
    return status;
}

static const struct option *find_option(const char *name, size_t length) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(options[i].name) == length && strncmp(options[i].name, name, length) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

static fxc_status set_count(const struct option *option, const char *text, void *field, fxc_error *err) {
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] == '-' || end == text || *end != '\0' || errno != 0 || number == 0 || number > UINT32_MAX) {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "a number from 1 on after %s", option->name);
        return usage(err, expected, text);
    }
    *(uint32_t *)field = (uint32_t)number;
    return FXC_OK;
}

static fxc_status keep_for_capture(const struct option *option, const char *value, struct cli_options *out,
                                   fxc_error *err) {
    if (out->capture_arg_count + 2 > CLI_MAX_CAPTURE_ARGS) {
        return usage(err, "fewer options for the capture", option->name);
    }
    out->capture_args[out->capture_arg_count++] = option->name;
    if (value != NULL) {
        out->capture_args[out->capture_arg_count++] = value;
    }
    return FXC_OK;
}

static fxc_status add_item(const struct option *option, const char *value, struct cli_options *out, fxc_error *err) {
    struct cli_list *list = (struct cli_list *)((char *)out + option->field);
    if (list->count == CLI_MAX_DIMS || (option->kind == PAIRS && strchr(value, '=') == NULL)) {
        char expected[96];
        (void)snprintf(expected, sizeof expected, "%s %s, at most 64 times", option->name, option->value);
        return usage(err, expected, value);
    }
    list->item[list->count++] = value;
    return FXC_OK;
}

static bool is_flag(const struct option *option) {
    return option->kind == FLAG || option->kind == CAPTURE_FLAG;
}

static fxc_status set_option(const struct option *option, const char *value, struct cli_options *out, fxc_error *err) {
    void *field = (char *)out + option->field;
    switch (option->kind) {
    case FLAG:
        *(bool *)field = true;
        return FXC_OK;
    case TEXT:
        *(const char **)field = value;
        return FXC_OK;
    case COUNT:
        return set_count(option, value, field, err);
    case LIST:
    case PAIRS:
        return add_item(option, value, out, err);
    case CAPTURE:
    case CAPTURE_FLAG:
        return keep_for_capture(option, value, out, err);
    }
    return FXC_INTERNAL;
}

/* One option at argv[*i]; advances *i past its value. */
static fxc_status parse_option(int argc, char **argv, int *i, struct cli_options *out, fxc_error *err) {
    const char *text = argv[*i];
    text = strcmp(text, "-o") == 0 ? "--output" : strcmp(text, "-h") == 0 ? "--help" : text;
    size_t length = strcspn(text, "=");
    const struct option *option = find_option(text, length);
    const char *value = NULL;
    if (option == NULL) {
        return usage(err, "an option of fxcost", argv[*i]);
    }
    if (text[length] == '=') {
        value = text + length + 1;
        if (is_flag(option)) {
            return usage(err, "no value after a flag", argv[*i]);
        }
    } else if (!is_flag(option)) {
        if (*i + 1 >= argc) {
            return usage(err, "a value after the option", argv[*i]);
        }
        value = argv[++*i];
    }
    return set_option(option, value, out, err);
}

static const struct command *find_command(const char *text) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, text) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

fxc_status cli_parse(int argc, char **argv, struct cli_options *out, fxc_error *err) {
    *out = (struct cli_options){.render.struct_size = sizeof out->render};
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            fxc_status status = parse_option(argc, argv, &i, out, err);
            if (status != FXC_OK) {
                return status;
            }
        } else if (out->command == NULL && out->operand == NULL && find_command(argv[i]) != NULL) {
            out->command = argv[i];
        } else if (out->operand == NULL) {
            out->operand = argv[i];
        } else if (out->command != NULL && out->more_count < find_command(out->command)->more) {
            out->more[out->more_count++] = argv[i];
        } else {
            return usage(err, "one operand", argv[i]);
        }
    }
    out->command = out->command == NULL ? "report" : out->command;
    out->render.by = out->group_by_shape ? "op_shape" : out->render.by;
    return FXC_OK;
}
