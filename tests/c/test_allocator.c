/* The model of the CUDA caching allocator on a trace of 361 requests whose states were worked out by hand from the
 * rules: sizes are multiples of 512; up to 1 MiB from 2 MiB segments; below 10 MiB from 20 MiB segments; above,
 * segments of multiples of 2 MiB; best fit; what is left of a small block is kept from 512 bytes on, of a large one
 * above 1 MiB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fxcost/memory.h"

enum { KB = 1 << 10, MB = 1 << 20, MANY = 128 };

static fxc_allocator *allocator;

static uint32_t take(int64_t bytes) {
    uint32_t block;
    assert_int_equal(fxc_allocator_take(allocator, bytes, &block, NULL), FXC_OK);
    return block;
}

static void expect(int64_t allocated, int64_t reserved) {
    fxc_allocator_state state = {.struct_size = sizeof state};
    fxc_allocator_get(allocator, &state);
    assert_int_equal(state.allocated, allocated);
    assert_int_equal(state.reserved, reserved);
}

static int set_up(void **state) {
    (void)state;
    return fxc_allocator_new(&allocator, NULL) == FXC_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    fxc_allocator_free(allocator);
    return 0;
}

static void test_trace(void **state) {
    uint32_t tiny[MANY], again[MANY / 2], half[4], odd[MANY];
    (void)state;

    /* 128 requests of 1 to 128 bytes: 512 each, all of one small segment. */
    for (int i = 0; i < MANY; i++) {
        tiny[i] = take(i + 1);
        expect((i + 1) * 512, 2 * MB);
    }
    /* Every second one back: 64 holes of 512 bytes that do not merge, so that 513 bytes come from behind. */
    for (int i = 0; i < MANY; i += 2) {
        fxc_allocator_give(allocator, tiny[i]);
    }
    expect(64 * 512, 2 * MB);
    uint32_t wide = take(513);
    expect(64 * 512 + 1024, 2 * MB);
    /* 64 requests fill the holes: still no new segment, and the same state as before the holes but for `wide`. */
    for (int i = 0; i < MANY / 2; i++) {
        again[i] = take(512);
    }
    expect(128 * 512 + 1024, 2 * MB);

    /* 66,560 bytes are taken, 2,030,592 left: 1 MiB fits once, 982,016 are left, the second opens a segment, which the
     * third fills to the byte. */
    half[0] = take(MB);
    expect(66560 + MB, 2 * MB);
    half[1] = take(MB);
    expect(66560 + 2 * MB, 4 * MB);
    half[2] = take(MB);
    expect(66560 + 3 * MB, 4 * MB);
    half[3] = take(MB - 512); /* 1,048,064: more than 982,016 */
    expect(66560 + 4 * MB - 512, 6 * MB);

    /* One byte more than 1 MiB is of the large pool: a segment of 20 MiB, of which 1,049,088 bytes. */
    uint32_t above = take(MB + 1);
    expect(66560 + 5 * MB, 26 * MB);
    /* 9 MiB and 9 MiB: 19 MiB less 512 bytes are left of it, so both fit; what is left (1 MiB less 512) is not above
     * 1 MiB, so the second block keeps it. */
    uint32_t nine = take(9 * MB);
    expect(66560 + 14 * MB, 26 * MB);
    uint32_t kept = take(9 * MB);
    expect(66560 + 24 * MB - 512, 26 * MB);
    fxc_allocator_give(allocator, kept);
    expect(66560 + 14 * MB, 26 * MB);
    /* 9.5 MiB fit into the 10 MiB less 512 bytes that came back, and take them whole. */
    kept = take(19 * (MB / 2));
    expect(66560 + 24 * MB - 512, 26 * MB);

    /* 10 MiB and more: a segment of their own. 10 MiB + 1: 12 MiB, whose rest of 2 MiB less 512 bytes is split off. */
    uint32_t ten = take(10 * MB);
    expect(66560 + 34 * MB - 512, 36 * MB);
    uint32_t eleven = take(10 * MB + 1);
    expect(66560 + 44 * MB, 48 * MB);
    /* That rest serves 1.5 MiB, and keeps the other 0.5 MiB less 512 bytes. */
    uint32_t rest = take(3 * MB / 2);
    expect(66560 + 46 * MB - 512, 48 * MB);

    /* All large blocks back: three whole segments; a request of 20 MiB takes the first again, 12 MiB the third. */
    fxc_allocator_give(allocator, above);
    fxc_allocator_give(allocator, kept);
    fxc_allocator_give(allocator, nine);
    fxc_allocator_give(allocator, rest);
    fxc_allocator_give(allocator, ten);
    fxc_allocator_give(allocator, eleven);
    expect(66560 + 4 * MB - 512, 48 * MB);
    uint32_t twenty = take(20 * MB), twelve = take(12 * MB);
    expect(66560 + 36 * MB - 512, 48 * MB);
    /* 33 MiB: a segment of 34 MiB, whose rest of 1 MiB is not above 1 MiB and stays in the block. */
    uint32_t large = take(33 * MB);
    expect(66560 + 70 * MB - 512, 82 * MB);
    fxc_allocator_give(allocator, large);
    fxc_allocator_give(allocator, twenty);
    fxc_allocator_give(allocator, twelve);

    /* Everything small back: three whole segments of 2 MiB. */
    for (int i = 0; i < MANY / 2; i++) {
        fxc_allocator_give(allocator, tiny[2 * i + 1]);
        fxc_allocator_give(allocator, again[i]);
    }
    for (int i = 0; i < 4; i++) {
        fxc_allocator_give(allocator, half[i]);
    }
    fxc_allocator_give(allocator, wide);
    expect(0, 82 * MB);

    /* 128 requests of 40 KiB: 51 to a segment of 2 MiB (8 KiB are left), so 102 in two and 26 in the third. */
    for (int i = 0; i < MANY; i++) {
        odd[i] = take(40 * KB - 100);
        expect((int64_t)(i + 1) * 40 * KB, 82 * MB);
    }
    /* 25 more fill the third, and one more opens a fourth. */
    for (int i = 0; i < 25; i++) {
        (void)take(40 * KB);
    }
    expect(153 * 40 * KB, 82 * MB);
    (void)take(40 * KB);
    expect(154 * 40 * KB, 84 * MB);
    for (int i = 0; i < MANY; i++) {
        fxc_allocator_give(allocator, odd[i]);
    }
    expect(26 * 40 * KB, 84 * MB);

    fxc_allocator_state end = {.struct_size = sizeof end};
    fxc_allocator_get(allocator, &end);
    assert_int_equal(end.most_allocated, 66560 + 70 * MB - 512);
    assert_int_equal(end.most_reserved, 84 * MB);
}

static void test_refusals(void **state) {
    uint32_t block = 7;
    (void)state;
    assert_int_equal(fxc_allocator_take(allocator, 0, &block, NULL), FXC_OK);
    assert_int_equal(block, FXC_NONE);
    fxc_allocator_give(allocator, FXC_NONE);
    assert_int_equal(fxc_allocator_take(allocator, -1, &block, NULL), FXC_USAGE);
    assert_int_equal(fxc_allocator_take(allocator, INT64_MAX, &block, NULL), FXC_OVERFLOW);
    assert_int_equal(fxc_allocator_take(allocator, INT64_MAX - 600, &block, NULL), FXC_OVERFLOW);
    block = take(100);
    fxc_allocator_give(allocator, block);
    fxc_allocator_give(allocator, block); /* twice is once */
    expect(0, 2 * MB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_trace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
