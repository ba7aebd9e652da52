/* Files: whole ones are read, and output is whole or absent (written under a temporary name, renamed at the end). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

fxc_status cli_fail(fxc_error *err, fxc_status status, const char *message) {
    err->status = (int32_t)status;
    (void)snprintf(err->message, sizeof err->message, "%s", message);
    return status;
}

static fxc_status fail_system(fxc_error *err, const char *path) {
    char message[1024];
    (void)snprintf(message, sizeof message, "%.800s\n  expected: a file that can be written\n  found: %s", path,
                   strerror(errno));
    return cli_fail(err, FXC_IO, message);
}

fxc_status cli_output_open(struct cli_output *output, const char *path, fxc_error *err) {
    *output = (struct cli_output){.stream = stdout, .path = path};
    if (path == NULL) {
        return FXC_OK;
    }
    int length = snprintf(output->temporary, sizeof output->temporary, "%s.%ld.part", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof output->temporary) {
        errno = ENAMETOOLONG;
        return fail_system(err, path);
    }
    output->stream = fopen(output->temporary, "w");
    return output->stream == NULL ? fail_system(err, path) : FXC_OK;
}

fxc_status cli_output_close(struct cli_output *output, fxc_status status, fxc_error *err) {
    bool failed = fflush(output->stream) != 0 || ferror(output->stream) != 0;
    if (output->path == NULL) {
        return failed && status == FXC_OK ? fail_system(err, "standard output") : status;
    }
    failed |= fclose(output->stream) != 0;
    bool keep = status == FXC_OK || status == FXC_UNKNOWN_OPS;
    if (!failed && keep && rename(output->temporary, output->path) == 0) {
        return status;
    }
    if (keep) {
        status = fail_system(err, output->path);
    }
    (void)unlink(output->temporary);
    return status;
}

bool cli_write(void *context, const char *bytes, size_t size) {
    struct cli_output *output = context;
    return fwrite(bytes, 1, size, output->stream) == size;
}

fxc_status cli_read(const char *path, char **bytes, size_t *size, fxc_error *err) {
    struct stat info;
    FILE *file = fopen(path, "rb");
    char message[512];
    *bytes = NULL;
    if (file != NULL && fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode)) {
        *size = (size_t)info.st_size;
        *bytes = malloc(*size + 1);
        if (*bytes != NULL && fread(*bytes, 1, *size, file) == *size) {
            (void)fclose(file);
            return FXC_OK;
        }
    }
    (void)snprintf(message, sizeof message, "%.200s\n  expected: a file that can be read\n  found: %s", path,
                   file == NULL ? strerror(errno) : "none");
    if (file != NULL) {
        (void)fclose(file);
    }
    return cli_fail(err, FXC_IO, message);
}
