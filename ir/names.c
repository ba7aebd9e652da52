/* Texts of the well-known argument names. */
#include "ir/names.h"

#include <string.h>

const char *const fxc_name_texts[FXC_NAME_COUNT] = {
    "",
#define NAME(identifier) #identifier,
#include "ir/names.def"
};

uint16_t fxc_name_of(const char *text) {
    for (uint16_t id = 1; id < FXC_NAME_COUNT; id++) {
        if (strcmp(fxc_name_texts[id], text) == 0) {
            return id;
        }
    }
    return FXC_NAME_other_name;
}
