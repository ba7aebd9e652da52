/* Runs a fuzzer's entry point on every file of the directories given: a corpus needs no fuzzing engine to be a test. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_file(const char *path, size_t size) {
    /* Exactly as large as the file, so that a sanitizer sees every overrun. */
    uint8_t *bytes = malloc(size == 0 ? 1 : size);
    FILE *file = fopen(path, "rb");
    if (bytes == NULL || file == NULL || fread(bytes, 1, size, file) != size) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
}

static unsigned replay_directory(const char *directory) {
    unsigned count = 0;
    DIR *opened = opendir(directory);
    if (opened == NULL) {
        (void)fprintf(stderr, "%s: %s\n", directory, strerror(errno));
        exit(1);
    }
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened)) {
        char path[4096];
        struct stat info;
        (void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
            replay_file(path, (size_t)info.st_size);
            count++;
        }
    }
    (void)closedir(opened);
    return count;
}

int main(int count, char **arguments) {
    unsigned files = 0;
    for (int i = 1; i < count; i++) {
        files += replay_directory(arguments[i]);
    }
    (void)printf("%u inputs replayed\n", files);
    return files > 0 ? 0 : 1;
}
