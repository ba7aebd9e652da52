/* fxcost calibrate: this host as a device file. Python runs what is measured and writes programs with times; the
 * library fits them. --device host does so once and keeps the file. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "fxcost/calibrate.h"

enum { MOST_PROGRAMS = 256 };

/* ---- folders --------------------------------------------------------------------------------------------------------
 */

static bool ends_with(const char *text, const char *suffix) {
    size_t length = strlen(text), end = strlen(suffix);
    return length >= end && strcmp(text + length - end, suffix) == 0;
}

static int is_program(const struct dirent *entry) {
    return ends_with(entry->d_name, ".fxir");
}

static fxc_status fail_folder(const char *folder, const char *expected, fxc_error *err) {
    char message[1000];
    (void)snprintf(message, sizeof message, "%.600s\n  expected: %s\n  found: %s", folder, expected,
                   errno == 0 ? "none" : strerror(errno));
    return cli_fail(err, FXC_IO, message);
}

/* The names of the programs in a folder; none where there is no folder. */
static int list_programs(const char *folder, struct dirent ***names) {
    *names = NULL;
    int count = scandir(folder, names, is_program, alphasort);
    return count < 0 ? 0 : count;
}

static void free_names(struct dirent **names, int count) {
    for (int i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

static void remove_folder(const char *folder) {
    struct dirent **names;
    int count = list_programs(folder, &names);
    for (int i = 0; i < count; i++) {
        char path[4096];
        if (snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name) < (int)sizeof path) {
            (void)unlink(path);
        }
    }
    free_names(names, count);
    (void)rmdir(folder);
}

/* Makes a folder and those above it. */
static bool make_folders(const char *folder) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s", folder) >= (int)sizeof path) {
        return false;
    }
    for (char *slash = path + 1; *slash != '\0'; slash++) {
        if (*slash == '/') {
            *slash = '\0';
            (void)mkdir(path, 0777);
            *slash = '/';
        }
    }
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

/* ---- calibrating ----------------------------------------------------------------------------------------------------
 */

static bool write_report(void *context, const char *bytes, size_t size) {
    return fwrite(bytes, 1, size, (FILE *)context) == size;
}

static fxc_status fit(const struct cli_options *options, const fxc_program *const *programs, uint32_t count,
                      const char *file, fxc_error *err) {
    struct cli_output output;
    fxc_calibration calibration = {.struct_size = sizeof calibration,
                                   .programs = programs,
                                   .count = count,
                                   .report = write_report,
                                   .report_context = stderr,
                                   .noisy = options->noisy};
    fxc_status status = cli_output_open(&output, file, err);
    if (status != FXC_OK) {
        return status;
    }
    status = fxc_calibrate(&calibration, cli_write, &output, err);
    return cli_output_close(&output, status, err);
}

/* Fits the programs of a folder. */
static fxc_status fit_folder(const struct cli_options *options, const char *folder, const char *file, fxc_error *err) {
    struct dirent **names;
    fxc_program *programs[MOST_PROGRAMS] = {NULL};
    int count = list_programs(folder, &names);
    fxc_status status = FXC_OK;
    if (count == 0 || count > MOST_PROGRAMS) {
        free_names(names, count);
        return fail_folder(folder, "measured programs, at most 256", err);
    }
    for (int i = 0; i < count && status == FXC_OK; i++) {
        char path[4096];
        bool fits = snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name) < (int)sizeof path;
        status = fits ? fxc_program_open(path, &programs[i], err) : cli_fail(err, FXC_IO, "a path is too long");
    }
    if (status == FXC_OK) {
        status = fit(options, (const fxc_program *const *)programs, (uint32_t)count, file, err);
    }
    for (int i = 0; i < count; i++) {
        fxc_program_free(programs[i]);
    }
    free_names(names, count);
    return status;
}

static fxc_status measure_into(struct cli_options *options, const char *folder, fxc_error *err) {
    char threads[16];
    (void)snprintf(threads, sizeof threads, "%u", options->threads == 0 ? 1 : options->threads);
    const char *arguments[CLI_MAX_CAPTURE_ARGS + 8] = {NULL, "-m", "fxcost.calibrating", folder, "--threads", threads};
    memcpy(arguments + 6, options->capture_args, (size_t)options->capture_arg_count * sizeof *arguments);
    return cli_run_python(arguments, &options->reported, err);
}

/* Measures and fits. A folder that the user names keeps what was measured, and is not measured again. */
static fxc_status calibrate(struct cli_options *options, const char *folder, const char *file, fxc_error *err) {
    char temporary[4096];
    const char *base = getenv("TMPDIR");
    struct dirent **names;
    if (folder != NULL) {
        int count = list_programs(folder, &names);
        free_names(names, count);
        CLI_TRY(count > 0 ? FXC_OK : measure_into(options, folder, err));
        return fit_folder(options, folder, file, err);
    }
    if (snprintf(temporary, sizeof temporary, "%s/fxcost-XXXXXX", base == NULL ? "/tmp" : base) >=
            (int)sizeof temporary ||
        mkdtemp(temporary) == NULL) {
        return fail_folder("calibrating", "a folder that can be made in TMPDIR", err);
    }
    fxc_status status = measure_into(options, temporary, err);
    if (status == FXC_OK) {
        status = fit_folder(options, temporary, file, err);
    }
    remove_folder(temporary);
    return status;
}

fxc_status cli_calibrate(struct cli_options *options, fxc_error *err) {
    if (options->output == NULL) {
        return cli_fail(err, FXC_USAGE, "fxcost calibrate\n  expected: -o FILE.device\n  found: no output");
    }
    return calibrate(options, options->operand, options->output, err);
}

/* ---- --device host --------------------------------------------------------------------------------------------------
 */

fxc_status cli_name_host(struct cli_options *options, fxc_error *err) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char name[256] = "host", folder[3000];
    struct stat info;
    (void)gethostname(name, sizeof name - 1);
    bool own = cache != NULL && cache[0] == '/';
    int length = snprintf(folder, sizeof folder, "%s%s/fxcost",
                          own            ? cache
                          : home == NULL ? ""
                                         : home,
                          own ? "" : "/.cache");
    if ((!own && home == NULL) || length < 0 || (size_t)length >= sizeof folder || !make_folders(folder)) {
        return fail_folder("--device host", "a folder for its device file, in XDG_CACHE_HOME or HOME", err);
    }
    (void)snprintf(options->host, sizeof options->host, "%s/%s.device", folder, name);
    if (stat(options->host, &info) == 0) {
        return FXC_OK;
    }
    (void)fprintf(stderr, "fxcost: calibrating this host, once; its figures are kept in %s\n", options->host);
    return calibrate(options, NULL, options->host, err);
}
