// The only C++ file: reads the FlatBuffers envelope of a .fxir file with the official generated code and verifier.
// Compiled without exceptions and RTTI and linked without a C++ runtime.
#include "ir/reader.h"

#include "fxir_generated.h"

extern "C" enum fxc_raw_status fxc_raw_read(const void *bytes, size_t size, struct fxc_raw_program *out) {
    const uint8_t *buffer = static_cast<const uint8_t *>(bytes);
    const size_t smallest = sizeof(flatbuffers::uoffset_t) + flatbuffers::FlatBufferBuilder::kFileIdentifierLength;
    if (size < smallest || !fxir::ProgramBufferHasIdentifier(buffer)) {
        return FXC_RAW_NO_IDENTIFIER;
    }
    if (size >= FLATBUFFERS_MAX_BUFFER_SIZE) {
        return FXC_RAW_DAMAGED;
    }
    // One table and flat vectors: depth and table limits stay at the verifier's defaults.
    flatbuffers::Verifier verifier(buffer, size);
    if (!fxir::VerifyProgramBuffer(verifier)) {
        return FXC_RAW_DAMAGED;
    }
    const fxir::Program *program = fxir::GetProgram(buffer);
    out->version_major = program->version_major();
    out->version_minor = program->version_minor();
    struct fxc_raw_column *column = out->columns;
#define GROUP(name)
#define COLUMN(group, type, name, need, check, bound)                                                                  \
    {                                                                                                                  \
        const flatbuffers::Vector<type> *vector = program->name();                                                     \
        column->data = vector == nullptr ? nullptr : vector->Data();                                                   \
        column->length = vector == nullptr ? 0 : vector->size();                                                       \
        ++column;                                                                                                      \
    }
#include "ir/columns.def"
    return FXC_RAW_OK;
}
