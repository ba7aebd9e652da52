/* Choice of ATen overloads by what arguments are. Expected overloads are those that torch 2.13's torch.export records
 * for the call in the comment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/overload.h"

#define TENSOR {NULL, FXC_KIND_TENSOR, FXC_KIND_NONE}
#define INT {NULL, FXC_KIND_INT, FXC_KIND_NONE}
#define FLOAT {NULL, FXC_KIND_FLOAT, FXC_KIND_NONE}
#define LIST_OF(item) {NULL, FXC_KIND_LIST, FXC_KIND_##item}
#define NAMED(name, kind) {name, FXC_KIND_##kind, FXC_KIND_NONE}

static void expect(const char *packet_name, const struct fxc_call_arg *args, uint32_t count, const char *expected,
                   const uint32_t *places) {
    struct fxc_arena arena = {0};
    struct fxc_packet packet;
    uint32_t place[8];
    assert_int_equal(fxc_packet_find(&arena, packet_name, &packet), FXC_OK);
    const struct fxc_overload *found = fxc_packet_choose(&packet, args, count, place);
    if (expected == NULL) {
        assert_null(found);
    } else {
        assert_non_null(found);
        assert_string_equal(found->row->name, expected);
        assert_memory_equal(place, places, count * sizeof place[0]);
    }
    fxc_arena_free(&arena);
}

#define EXPECT(packet, expected, places, ...)                                                                          \
    do {                                                                                                               \
        const struct fxc_call_arg args[] = {__VA_ARGS__};                                                              \
        expect(packet, args, sizeof args / sizeof args[0], expected, places);                                          \
    } while (0)

static const uint32_t in_order[] = {0, 1, 2, 3};

static void test_numbers_and_tensors(void **state) {
    (void)state;
    EXPECT("aten.add", "aten.add.Tensor", in_order, TENSOR, TENSOR);                 /* x + y */
    EXPECT("aten.add", "aten.add.Tensor", in_order, TENSOR, FLOAT);                  /* x + 1. */
    EXPECT("aten.eq", "aten.eq.Scalar", in_order, TENSOR, INT);                      /* x == 1 */
    EXPECT("aten.eq", "aten.eq.Tensor", in_order, TENSOR, TENSOR);                   /* x == y */
    EXPECT("aten.pow", "aten.pow.Tensor_Scalar", in_order, TENSOR, INT);             /* x ** 2 */
    EXPECT("aten.pow", "aten.pow.Scalar", in_order, INT, TENSOR);                    /* 2 ** x */
    EXPECT("aten.where", "aten.where.ScalarOther", in_order, TENSOR, TENSOR, FLOAT); /* torch.where(c, x, 0.) */
    EXPECT("aten.where", "aten.where.self", in_order, TENSOR, TENSOR, TENSOR);
}

static void test_dimensions(void **state) {
    (void)state;
    const uint32_t keep[] = {0, 1, 2};
    EXPECT("aten.max", "aten.max.default", in_order, TENSOR);       /* x.max() */
    EXPECT("aten.max", "aten.max.dim", in_order, TENSOR, INT);      /* x.max(1) */
    EXPECT("aten.max", "aten.max.other", in_order, TENSOR, TENSOR); /* torch.max(x, y) */
    EXPECT("aten.mean", "aten.mean.dim", in_order, TENSOR, INT);    /* x.mean(1) */
    EXPECT("aten.mean", "aten.mean.dim", keep, TENSOR, NAMED("axis", INT), NAMED("keepdims", BOOL));
    EXPECT("aten.mean", "aten.mean.dim", in_order, TENSOR, LIST_OF(INT));
    EXPECT("aten.split", "aten.split.Tensor", in_order, TENSOR, INT); /* x.split(2) */
    EXPECT("aten.conv2d", "aten.conv2d.default", in_order, TENSOR, TENSOR, NAMED("bias", NONE),
           {"stride", FXC_KIND_LIST, FXC_KIND_INT});
}

static void test_integers_in_a_row_are_one_list(void **state) {
    (void)state;
    const uint32_t row[] = {0, 1, 1, 1};
    EXPECT("aten.view", "aten.view.default", row, TENSOR, INT, INT, INT);     /* x.view(2, 3, 4) */
    EXPECT("aten.view", "aten.view.default", in_order, TENSOR, LIST_OF(INT)); /* x.view((2, 3)) */
    EXPECT("aten.view", "aten.view.dtype", in_order, TENSOR, NAMED("dtype", DTYPE));
    EXPECT("aten.permute", "aten.permute.default", row, TENSOR, INT, INT, INT); /* x.permute(0, 2, 1) */
    EXPECT("aten.sum", NULL, NULL, TENSOR, INT, INT, INT); /* no list in a row: keepdim, dtype follow */
}

static void test_what_fits_nothing(void **state) {
    (void)state;
    EXPECT("aten.relu", NULL, NULL, TENSOR, TENSOR);
    EXPECT("aten.relu", NULL, NULL, NAMED("other", TENSOR));
    EXPECT("aten.matmul", NULL, NULL, TENSOR);
    EXPECT("aten.no_such_operator", NULL, NULL, TENSOR);
    EXPECT("aten.add", NULL, NULL, TENSOR, {NULL, FXC_KIND_OPAQUE, FXC_KIND_NONE});
}

static void test_an_overload_by_its_own_name(void **state) {
    (void)state;
    EXPECT("aten.add.Scalar", "aten.add.Scalar", in_order, TENSOR, INT);
    EXPECT("aten.upsample_nearest2d.vec", "aten.upsample_nearest2d.vec", in_order, TENSOR, LIST_OF(INT),
           {NULL, FXC_KIND_NONE, FXC_KIND_NONE});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_and_tensors),
        cmocka_unit_test(test_dimensions),
        cmocka_unit_test(test_integers_in_a_row_are_one_list),
        cmocka_unit_test(test_what_fits_nothing),
        cmocka_unit_test(test_an_overload_by_its_own_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
