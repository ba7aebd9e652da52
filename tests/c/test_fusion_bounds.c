/* Laws of kernels on random programs, under every profile: no FLOPs are lost, and bytes lie between those of the whole
 * program as one kernel and those of unfused nodes, once what is read again to compute again and copies into other
 * layouts are left out. With an argument: so many programs, which the check fusion_bounds asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fxcost/fusion.h"

enum { TEXT = 16384, VALUES = 64, RANK = 4, FEW = 300 };

/* A tensor of the program at hand; `owned` by an input or computed, else a view. */
struct value {
    int64_t size[RANK], stride[RANK];
    uint32_t rank, storage, users;
    bool input;
};

struct maker {
    char text[TEXT];
    size_t used;
    struct value value[VALUES];
    uint32_t count, storages;
    bool viewed[2 * VALUES], joined[2 * VALUES]; /* per storage: has a view, is part of a concatenation */
    uint64_t state;
};

static uint32_t number(struct maker *m, uint32_t below) {
    m->state = m->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(m->state >> 33) % below;
}

static void say(struct maker *m, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int length = vsnprintf(m->text + m->used, TEXT - m->used, format, list);
    va_end(list);
    assert_true(length >= 0 && (size_t)length < TEXT - m->used);
    m->used += (size_t)length;
}

static struct value contiguous(struct maker *m, uint32_t rank, const int64_t *size) {
    struct value v = {.rank = rank, .storage = m->storages++};
    int64_t next = 1;
    for (uint32_t d = rank; d-- > 0;) {
        v.size[d] = size[d];
        v.stride[d] = next;
        next *= size[d];
    }
    return v;
}

static void say_numbers(struct maker *m, const char *open, const int64_t *numbers, uint32_t count, const char *close) {
    say(m, "%s", open);
    for (uint32_t i = 0; i < count; i++) {
        say(m, "%s%lld", i == 0 ? "" : ", ", (long long)numbers[i]);
    }
    say(m, "%s", close);
}

/* Ends a line with what the value is, and adds it. */
static uint32_t add(struct maker *m, const struct value *v) {
    say_numbers(m, "f32[", v->size, v->rank, "]");
    say_numbers(m, "{", v->stride, v->rank, "}");
    say(m, " @%u\n", v->storage);
    m->value[m->count] = *v;
    return m->count++;
}

static uint32_t input(struct maker *m, uint32_t rank, const int64_t *size) {
    say(m, "input %%v%u: ", m->count);
    struct value v = contiguous(m, rank, size);
    v.input = true;
    return add(m, &v);
}

/* ---- matrices -------------------------------------------------------------------------------------------------------
 */

static int64_t side(struct maker *m) {
    static const int64_t sides[] = {4, 12, 16};
    return sides[number(m, 3)];
}

/* A value of two dimensions, FXC_NONE when there is none that fits; sizes below 0 are any. */
static uint32_t find(struct maker *m, int64_t rows, int64_t columns) {
    for (uint32_t tries = 0; tries < 16; tries++) {
        uint32_t i = number(m, m->count);
        const struct value *v = &m->value[i];
        if (v->rank == 2 && (rows < 0 || v->size[0] == rows) && (columns < 0 || v->size[1] == columns)) {
            return i;
        }
    }
    return FXC_NONE;
}

static void use(struct maker *m, uint32_t value) {
    m->value[value].users++;
}

static void unary(struct maker *m, uint32_t x) {
    static const char *const names[] = {"sin", "exp", "relu", "neg", "sigmoid", "tanh", "sqrt"};
    struct value v = m->value[x];
    bool dense = v.stride[0] * v.stride[1] == v.size[v.stride[0] == 1 ? 0 : 1]; /* in either order */
    if (dense) {
        v.storage = m->storages++;
        v.users = 0;
        v.input = false;
    } else {
        v = contiguous(m, 2, m->value[x].size);
    }
    say(m, "%%v%u = aten.%s.default(self=%%v%u) -> ", m->count, names[number(m, 7)], x);
    use(m, x);
    (void)add(m, &v);
}

static void binary(struct maker *m, uint32_t x) {
    static const char *const names[] = {"add", "mul", "sub", "div"};
    const int64_t *size = m->value[x].size;
    uint32_t kind = number(m, 3), y;
    y = kind == 0 ? find(m, size[0], 1) : find(m, kind == 1 ? size[0] : 1, size[1]);
    if (y == FXC_NONE) {
        return;
    }
    struct value v = contiguous(m, 2, size);
    say(m, "%%v%u = aten.%s.Tensor(self=%%v%u, other=%%v%u) -> ", m->count, names[number(m, 4)], x, y);
    use(m, x);
    use(m, y);
    (void)add(m, &v);
}

static void fold(struct maker *m, uint32_t x) {
    static const char *const names[] = {"sum.dim_IntList", "amax.default", "mean.dim"};
    uint32_t dim = number(m, 2);
    int64_t size[2] = {m->value[x].size[0], m->value[x].size[1]};
    size[dim] = 1;
    struct value v = contiguous(m, 2, size);
    if (number(m, 4) == 0) {
        say(m, "%%v%u = aten.var.correction(self=%%v%u, dim=[%u], correction=0, keepdim=true) -> ", m->count, x, dim);
    } else {
        say(m, "%%v%u = aten.%s(self=%%v%u, dim=[%u], keepdim=true) -> ", m->count, names[number(m, 3)], x, dim);
    }
    use(m, x);
    (void)add(m, &v);
}

static void product(struct maker *m, uint32_t x) {
    uint32_t y = find(m, m->value[x].size[1], -1);
    if (y == FXC_NONE) {
        return;
    }
    int64_t size[2] = {m->value[x].size[0], m->value[y].size[1]};
    struct value v = contiguous(m, 2, size);
    say(m, "%%v%u = aten.mm.default(self=%%v%u, mat2=%%v%u) -> ", m->count, x, y);
    use(m, x);
    use(m, y);
    (void)add(m, &v);
}

static void transpose(struct maker *m, uint32_t x) {
    struct value v = m->value[x];
    if (m->joined[v.storage]) {
        return;
    }
    m->viewed[v.storage] = true;
    for (uint32_t d = 0; d < 2; d++) {
        v.size[d] = m->value[x].size[1 - d];
        v.stride[d] = m->value[x].stride[1 - d];
    }
    v.users = 0;
    v.input = false;
    say(m, "%%v%u = aten.permute.default(self=%%v%u, dims=[1, 0]) -> ", m->count, x);
    use(m, x);
    (void)add(m, &v);
}

/* No view of a part is returned: a compiler that computes the part in its place returns memory of the whole twice. */
static void concatenate(struct maker *m, uint32_t x) {
    uint32_t dim = number(m, 2), y = find(m, dim == 0 ? -1 : m->value[x].size[0], dim == 0 ? m->value[x].size[1] : -1);
    if (y == FXC_NONE) {
        return;
    }
    int64_t size[2] = {m->value[x].size[0], m->value[x].size[1]};
    size[dim] += m->value[y].size[dim];
    if (size[dim] > 64 || m->viewed[m->value[x].storage] || m->viewed[m->value[y].storage]) {
        return;
    }
    m->joined[m->value[x].storage] = m->joined[m->value[y].storage] = true;
    struct value v = contiguous(m, 2, size);
    say(m, "%%v%u = aten.cat.default(tensors=[%%v%u, %%v%u], dim=%u) -> ", m->count, x, y, dim);
    use(m, x);
    use(m, y);
    (void)add(m, &v);
}

/* Of an input alone: a compiler that computes no more than is used of a computed value does better than the whole. */
static void slice(struct maker *m, uint32_t x) {
    struct value v = m->value[x];
    if (!v.input || v.size[0] < 4) {
        return;
    }
    v.size[0] /= 2;
    v.users = 0;
    v.input = false;
    say(m, "%%v%u = aten.slice.Tensor(self=%%v%u, dim=0, start=0, end=%lld) -> ", m->count, x, (long long)v.size[0]);
    use(m, x);
    (void)add(m, &v);
}

static void matrices(struct maker *m) {
    static void (*const makers[])(struct maker *, uint32_t) = {unary, unary,   binary,    binary,      binary, fold,
                                                               fold,  product, transpose, concatenate, slice};
    uint32_t inputs = 2 + number(m, 3), nodes = 2 + number(m, 24);
    for (uint32_t i = 0; i < inputs; i++) {
        int64_t size[2] = {number(m, 5) == 0 ? 1 : side(m), side(m)};
        (void)input(m, 2, size);
    }
    for (uint32_t i = 0; i < nodes && m->count < VALUES; i++) {
        makers[number(m, sizeof makers / sizeof makers[0])](m, find(m, -1, -1));
    }
}

/* ---- images ---------------------------------------------------------------------------------------------------------
 */

static void images(struct maker *m) {
    int64_t size[4] = {1, 4 + 4 * number(m, 2), 8, 8}, weight[4] = {0, 0, 3, 3};
    uint32_t x = input(m, 4, size), before = x, nodes = 2 + number(m, 10), weights[8], count = 0;
    for (uint32_t i = 0; i < 4; i++) {
        weight[0] = weight[1] = size[1];
        weights[count++] = input(m, 4, weight);
    }
    for (uint32_t i = 0; i < nodes && m->count < VALUES; i++) {
        uint32_t kind = number(m, 4);
        struct value v = contiguous(m, 4, size);
        if (kind == 0) {
            uint32_t w = weights[number(m, count)];
            say(m,
                "%%v%u = aten.convolution.default(input=%%v%u, weight=%%v%u, bias=none, stride=[1, 1], padding=[1, 1], "
                "dilation=[1, 1], transposed=false, output_padding=[0, 0], groups=1) -> ",
                m->count, x, w);
            use(m, w);
        } else if (kind == 1) {
            say(m, "%%v%u = aten.add.Tensor(self=%%v%u, other=%%v%u) -> ", m->count, x, before);
            use(m, before);
        } else {
            say(m, "%%v%u = aten.%s.default(self=%%v%u) -> ", m->count, kind == 2 ? "relu" : "sigmoid", x);
        }
        use(m, x);
        before = number(m, 2) == 0 ? x : before;
        x = add(m, &v);
    }
}

static void make(struct maker *m, uint64_t seed) {
    *m = (struct maker){.state = seed * 0x9e3779b97f4a7c15u + 1};
    say(m, "fxir 1.0\ndevice \"cpu\"\ngraph \"main\" captured\n");
    if (number(m, 4) == 0) {
        images(m);
    } else {
        matrices(m);
    }
    uint32_t returned = 0;
    say(m, "return [");
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->value[i].users == 0 && !m->value[i].input) {
            say(m, "%s%%v%u", returned++ == 0 ? "" : ", ", i);
        }
    }
    say(m, "]\n");
}

/* ---- laws -----------------------------------------------------------------------------------------------------------
 */

struct totals {
    int64_t bytes, apart, flops, executed;
};

static struct totals totals_of(const fxc_program *p, const char *profile) {
    fxc_analysis *analysis = NULL;
    fxc_error err = FXC_ERROR_INIT;
    struct totals t = {0};
    uint32_t count = 0;
    if (fxc_analysis_new(p, &analysis, &err) != FXC_OK ||
        fxc_analysis_set(analysis, "profile", profile, &err) != FXC_OK ||
        fxc_analysis_kernel_count(analysis, &count, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    for (uint32_t i = 0; i < count; i++) {
        fxc_kernel_info k = {.struct_size = sizeof k};
        assert_int_equal(fxc_analysis_kernel(analysis, i, &k, &err), FXC_OK);
        assert_true(k.bytes_copied >= 0 && k.bytes_reread >= 0);
        assert_true(k.bytes_copied + k.bytes_reread <= k.bytes_read + k.bytes_written);
        t.bytes += k.bytes_read + k.bytes_written;
        t.apart += k.bytes_copied + k.bytes_reread;
        t.flops += k.matrix_flops + k.vector_flops;
        t.executed += k.executed_flops;
    }
    fxc_analysis_free(analysis);
    return t;
}

static uint32_t programs = FEW;

static void test_bounds(void **state) {
    fxc_profile_info info = {.struct_size = sizeof info};
    (void)state;
    for (uint32_t seed = 0; seed < programs; seed++) {
        static struct maker m;
        fxc_program *p = NULL;
        fxc_error err = FXC_ERROR_INIT;
        make(&m, seed);
        if (fxc_program_from_memory(m.text, m.used, "random", &p, &err) != FXC_OK) {
            fail_msg("%s\n%s", err.message, m.text);
        }
        struct totals none = totals_of(p, "none"), ideal = totals_of(p, "ideal");
        for (uint32_t i = 0; fxc_profile_get(i, &info, NULL) == FXC_OK; i++) {
            struct totals t = totals_of(p, info.name);
            if (t.executed < t.flops || ideal.bytes > t.bytes || t.bytes - t.apart > none.bytes) {
                (void)fputs(m.text, stderr); /* all of it: a message is cut */
                fail_msg("program %u under %s: %lld FLOPs, %lld executed; %lld bytes, %lld of them apart; ideal %lld, "
                         "none %lld",
                         seed, info.name, (long long)t.flops, (long long)t.executed, (long long)t.bytes,
                         (long long)t.apart, (long long)ideal.bytes, (long long)none.bytes);
            }
        }
        fxc_program_free(p);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds)};
    programs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : FEW;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
