#include "ir/canon.h"

#include <stdlib.h>
#include <string.h>

#include "ir/error.h"

/* Words that describe one row, reused from row to row. */
struct words {
    int64_t *data;
    size_t length, capacity;
    bool failed;
};

static void add_word(struct words *words, int64_t word) {
    if (words->length == words->capacity) {
        size_t capacity = words->capacity == 0 ? 256 : words->capacity * 2;
        int64_t *data = capacity > SIZE_MAX / sizeof *data ? NULL : realloc(words->data, capacity * sizeof *data);
        if (data == NULL) {
            words->failed = true;
            return;
        }
        words->data = data;
        words->capacity = capacity;
    }
    words->data[words->length++] = word;
}

static uint32_t intern_words(struct fxc_intern *intern, struct words *words) {
    uint32_t id = words->failed ? FXC_NONE : fxc_intern(intern, words->data, words->length * sizeof *words->data);
    words->length = 0;
    return id;
}

int64_t fxc_canon_symint(const struct fxc_canon_map *map, int64_t symint) {
    return fxc_is_literal(symint) ? symint : -1 - (int64_t)map->expr[fxc_symint_expr(symint)];
}

static int64_t known(int64_t enumerator, int64_t count, int64_t opaque) {
    return enumerator >= 0 && enumerator < count ? enumerator : opaque;
}

int64_t fxc_canon_payload(const struct fxc_canon_map *map, uint8_t kind, int64_t payload) {
    switch ((enum fxc_kind)kind) {
    case FXC_KIND_SYMINT:
    case FXC_KIND_SYMFLOAT:
    case FXC_KIND_SYMBOOL:
        return map->expr[payload];
    case FXC_KIND_STRING:
    case FXC_KIND_DEVICE:
    case FXC_KIND_SCRIPT_OBJECT:
    case FXC_KIND_OPAQUE:
        return map->string[payload];
    case FXC_KIND_COMPLEX:
    case FXC_KIND_LIST:
    case FXC_KIND_DICT:
    case FXC_KIND_SLICE:
        return map->list[payload];
    case FXC_KIND_TENSOR:
        return map->meta[payload];
    case FXC_KIND_DTYPE:
        return known(payload, FXC_DTYPE_COUNT, FXC_DTYPE_OPAQUE);
    case FXC_KIND_LAYOUT:
        return known(payload, FXC_LAYOUT_COUNT, FXC_LAYOUT_OPAQUE);
    case FXC_KIND_MEMORY_FORMAT:
        return known(payload, FXC_MEMORY_FORMAT_COUNT, FXC_MEMORY_FORMAT_OPAQUE);
    case FXC_KIND_NONE:
    case FXC_KIND_TOKEN:
    case FXC_KIND_ELLIPSIS:
        return 0;
    case FXC_KIND_BOOL:
    case FXC_KIND_INT:
    case FXC_KIND_FLOAT:
    case FXC_KIND_VALUE:
    case FXC_KIND_GRAPH:
    case FXC_KIND_OP:
    case FXC_KIND_COUNT:
        break;
    }
    return payload;
}

static bool has_payload(uint8_t token) {
    return token == FXC_TOKEN_CONST || token == FXC_TOKEN_FLOAT || token == FXC_TOKEN_SYMBOL;
}

static void add_exprs(struct fxc_canon *canon, const struct fxc_program *p, struct fxc_canon_map *map,
                      struct words *words) {
    for (uint32_t expr = 0; expr < FXC_COUNT(p, expr); expr++) {
        for (uint32_t i = p->expr_begin[expr]; i < p->expr_begin[expr + 1]; i++) {
            add_word(words, p->token_op[i]);
            add_word(words, has_payload(p->token_op[i]) ? p->token_payload[i] : 0);
        }
        map->expr[expr] = intern_words(&canon->exprs, words);
    }
}

static void add_metas(struct fxc_canon *canon, const struct fxc_program *p, struct fxc_canon_map *map,
                      struct words *words) {
    for (uint32_t meta = 0; meta < FXC_COUNT(p, meta); meta++) {
        add_word(words, p->meta_dtype[meta] | (int64_t)p->meta_layout[meta] << 8 | (int64_t)p->meta_flags[meta] << 16);
        add_word(words, fxc_canon_symint(map, p->meta_offset[meta]));
        for (uint32_t i = p->meta_dim_begin[meta]; i < p->meta_dim_begin[meta + 1]; i++) {
            add_word(words, fxc_canon_symint(map, p->dim_size[i]));
            add_word(words, fxc_canon_symint(map, p->dim_stride[i]));
        }
        map->meta[meta] = intern_words(&canon->metas, words);
    }
}

/* Nested lists have smaller rows (fxc_program_check), so theirs are known. */
static void add_lists(struct fxc_canon *canon, const struct fxc_program *p, struct fxc_canon_map *map,
                      struct words *words) {
    for (uint32_t list = 0; list < FXC_COUNT(p, list); list++) {
        for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
            add_word(words, p->item_kind[i]);
            add_word(words, fxc_canon_payload(map, p->item_kind[i], p->item_payload[i]));
        }
        map->list[list] = intern_words(&canon->lists, words);
    }
}

static uint32_t *new_map(uint32_t count) {
    return malloc((count == 0 ? 1 : (size_t)count) * sizeof(uint32_t));
}

fxc_status fxc_canon_add(struct fxc_canon *canon, const struct fxc_program *p, struct fxc_canon_map *map,
                         fxc_error *err) {
    struct words words = {0};
    *map = (struct fxc_canon_map){new_map(FXC_COUNT(p, string)), new_map(FXC_COUNT(p, expr)),
                                  new_map(FXC_COUNT(p, meta)), new_map(FXC_COUNT(p, list))};
    bool ready = map->string != NULL && map->expr != NULL && map->meta != NULL && map->list != NULL;
    if (ready) {
        for (uint32_t i = 0; i < FXC_COUNT(p, string); i++) {
            map->string[i] = fxc_intern(&canon->strings, fxc_string(p, i), strlen(fxc_string(p, i)));
        }
        add_exprs(canon, p, map, &words);
        add_metas(canon, p, map, &words);
        add_lists(canon, p, map, &words);
    }
    free(words.data);
    if (!ready || words.failed || canon->strings.failed || canon->exprs.failed || canon->metas.failed ||
        canon->lists.failed) {
        fxc_canon_map_free(map);
        return fxc_fail_memory(err, p->file);
    }
    return FXC_OK;
}

void fxc_canon_map_free(struct fxc_canon_map *map) {
    free(map->string);
    free(map->expr);
    free(map->meta);
    free(map->list);
    *map = (struct fxc_canon_map){0};
}

void fxc_canon_free(struct fxc_canon *canon) {
    fxc_intern_free(&canon->strings);
    fxc_intern_free(&canon->exprs);
    fxc_intern_free(&canon->metas);
    fxc_intern_free(&canon->lists);
}
