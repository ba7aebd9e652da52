/* Well-known argument names, so that rules compare numbers, not strings. */
#ifndef FXC_IR_NAMES_H
#define FXC_IR_NAMES_H

#include <stdint.h>

enum fxc_name {
    FXC_NAME_other_name = 0, /* an argument that no rule reads */
#define NAME(identifier) FXC_NAME_##identifier,
#include "ir/names.def"
    FXC_NAME_COUNT
};

/* The text of a name; "" for FXC_NAME_other_name. */
extern const char *const fxc_name_texts[FXC_NAME_COUNT];
/* The name with this text; FXC_NAME_other_name for one that is not listed. */
uint16_t fxc_name_of(const char *text);

#endif
