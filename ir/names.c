/* Texts of the well-known argument names. */
#include "ir/names.h"

const char *const fxc_name_texts[FXC_NAME_COUNT] = {
    "",
#define NAME(identifier) #identifier,
#include "ir/names.def"
};
