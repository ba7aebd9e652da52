/* Byte-mutated and truncated files of both forms: no crash, every rejection with a place and a message, and the laws of
 * the text form for what is still accepted. test_mutation [COUNT [SEED]]; the seeds are tests/fuzz/corpus. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fuzz/laws.h"

enum { DEFAULT_COUNT = 10000, MAX_SEEDS = 64, MAX_SIZE = 1 << 16 };

struct seed {
    char name[128];
    uint8_t *bytes;
    size_t size;
};

struct mutation_test {
    struct seed seeds[MAX_SEEDS];
    uint32_t seed_count;
    uint32_t count;
    uint64_t random;
};

/* splitmix64: the same sequence everywhere. */
static uint64_t draw(struct mutation_test *test, uint64_t below) {
    uint64_t z = test->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return below == 0 ? 0 : z % below;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct seed *)a)->name, ((const struct seed *)b)->name);
}

static void read_seeds(struct mutation_test *test, const char *directory) {
    DIR *opened = opendir(directory);
    assert_non_null(opened);
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened)) {
        char path[1024];
        if (entry->d_name[0] == '.') {
            continue;
        }
        assert_true(test->seed_count < MAX_SEEDS);
        struct seed *seed = &test->seeds[test->seed_count++];
        (void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        (void)snprintf(seed->name, sizeof seed->name, "%.120s", entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        seed->bytes = malloc(MAX_SIZE);
        assert_non_null(seed->bytes);
        seed->size = fread(seed->bytes, 1, MAX_SIZE, file);
        assert_true(seed->size > 0 && seed->size < MAX_SIZE);
        (void)fclose(file);
    }
    (void)closedir(opened);
    /* Directory order differs between machines. */
    qsort(test->seeds, test->seed_count, sizeof test->seeds[0], by_name);
}

/* One change of `bytes`, which has room for MAX_SIZE. Returns the new size. */
static size_t mutate(struct mutation_test *test, uint8_t *bytes, size_t size) {
    static const uint8_t interesting[] = {0x00, 0x01, 0x7F, 0x80, 0xFF, '#', '%', '"', '(', '\n'};
    size_t at = draw(test, size);
    switch (draw(test, 7)) {
    case 0:
        bytes[at] ^= (uint8_t)(1u << draw(test, 8));
        return size;
    case 1:
        bytes[at] = (uint8_t)draw(test, 256);
        return size;
    case 2:
        bytes[at] = interesting[draw(test, sizeof interesting)];
        return size;
    case 3: { /* an aligned word, as an element of a column would be */
        uint32_t word = (uint32_t)(draw(test, 2) == 0 ? draw(test, 64) : draw(test, UINT64_C(1) << 32));
        at &= ~(size_t)3;
        if (at + sizeof word <= size) {
            memcpy(bytes + at, &word, sizeof word);
        }
        return size;
    }
    case 4: /* truncated */
        return at;
    case 5: { /* a part repeated elsewhere */
        size_t length = 1 + draw(test, 32), to = draw(test, size);
        if (at + length <= size && to + length <= size) {
            memmove(bytes + to, bytes + at, length);
        }
        return size;
    }
    default: { /* a part left out */
        size_t length = 1 + draw(test, 16);
        if (at + length >= size) {
            return size;
        }
        memmove(bytes + at, bytes + at + length, size - at - length);
        return size - length;
    }
    }
}

static void test_mutations(void **state) {
    struct mutation_test *test = *state;
    uint32_t accepted_count = 0;
    uint8_t *work = malloc(MAX_SIZE);
    assert_non_null(work);
    for (uint32_t i = 0; i < test->count; i++) {
        const struct seed *seed = &test->seeds[i % test->seed_count];
        size_t size = seed->size;
        memcpy(work, seed->bytes, size);
        for (uint64_t changes = 1 + draw(test, 3); changes > 0 && size > 0; changes--) {
            size = mutate(test, work, size);
        }
        /* An allocation of its own size: the sanitizer sees any read past the end. */
        uint8_t *exact = malloc(size == 0 ? 1 : size);
        assert_non_null(exact);
        memcpy(exact, work, size);
        fxc_error err = FXC_ERROR_INIT;
        bool accepted;
        const char *broken = laws_of_input(exact, size, &accepted, &err);
        free(exact);
        if (broken != NULL) {
            fail_msg("mutation %u of %s: %s\n%s", i, seed->name, broken, err.message);
        }
        accepted_count += accepted;
    }
    free(work);
    print_message("%u mutations of %u seeds: %u accepted, %u refused with a message\n", test->count, test->seed_count,
                  accepted_count, test->count - accepted_count);
    assert_true(accepted_count > 0 && accepted_count < test->count);
}

/* Seeds cut short, at every length of a binary. */
static void test_truncations(void **state) {
    struct mutation_test *test = *state;
    for (uint32_t s = 0; s < test->seed_count; s++) {
        const struct seed *seed = &test->seeds[s];
        bool binary = seed->size > 8 && memcmp(seed->bytes + 4, "FXIR", 4) == 0;
        size_t step = binary || seed->size < 512 ? 1 : 7;
        for (size_t size = 0; size < seed->size; size += step) {
            uint8_t *exact = malloc(size == 0 ? 1 : size);
            assert_non_null(exact);
            memcpy(exact, seed->bytes, size);
            fxc_error err = FXC_ERROR_INIT;
            bool accepted;
            const char *broken = laws_of_input(exact, size, &accepted, &err);
            free(exact);
            if (broken != NULL) {
                fail_msg("%s cut at %zu: %s\n%s", seed->name, size, broken, err.message);
            }
        }
    }
}

static void test_seeds_are_accepted(void **state) {
    struct mutation_test *test = *state;
    for (uint32_t s = 0; s < test->seed_count; s++) {
        fxc_error err = FXC_ERROR_INIT;
        bool accepted;
        const char *broken = laws_of_input(test->seeds[s].bytes, test->seeds[s].size, &accepted, &err);
        if (broken != NULL || !accepted) {
            fail_msg("%s: %s\n%s", test->seeds[s].name, broken == NULL ? "refused" : broken, err.message);
        }
    }
}

static void test_foreign_files(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "x",
                                        "fxir",
                                        "fxir 2.0\n",
                                        "fxir 1\n",
                                        "PK\x03\x04 a zip file",
                                        "{\"json\": 1}",
                                        "fxir 1.0",
                                        "fxir 1.0\ngraph"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        fxc_error err = FXC_ERROR_INIT;
        bool accepted;
        assert_null(laws_of_input(texts[i], strlen(texts[i]), &accepted, &err));
        assert_false(accepted);
        assert_int_equal(err.status, FXC_FORMAT);
    }
}

int main(int argument_count, char **arguments) {
    static struct mutation_test test;
    test.count = argument_count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : DEFAULT_COUNT;
    test.random = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    read_seeds(&test, FXC_TEST_DATA "/fuzz/corpus/reader");
    read_seeds(&test, FXC_TEST_DATA "/fuzz/corpus/text");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_seeds_are_accepted, &test),
        cmocka_unit_test_prestate(test_mutations, &test),
        cmocka_unit_test_prestate(test_truncations, &test),
        cmocka_unit_test(test_foreign_files),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (uint32_t s = 0; s < test.seed_count; s++) {
        free(test.seeds[s].bytes);
    }
    return failed;
}
