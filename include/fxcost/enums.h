/* Enumerations of the .fxir format and of the C API, each written once as a list X(NAME, text, ...).
 *
 * The numbers are part of the format: append at the end, never reorder; OPAQUE, where there is one, stands for
 * anything newer. The text is what the text form prints and what Python looks up through fxc_enum_text(), so neither
 * keeps a table of its own. */
#ifndef FXCOST_ENUMS_H
#define FXCOST_ENUMS_H

/* What a payload means. */
#define FXC_KIND_LIST(X)                                                                                               \
    X(NONE, "none")                                                                                                    \
    X(BOOL, "bool")                                                                                                    \
    X(INT, "int")                                                                                                      \
    X(SYMINT, "symint")                                                                                                \
    X(SYMFLOAT, "symfloat")                                                                                            \
    X(SYMBOOL, "symbool")                                                                                              \
    X(FLOAT, "float")                                                                                                  \
    X(COMPLEX, "complex")                                                                                              \
    X(STRING, "string")                                                                                                \
    X(DTYPE, "dtype")                                                                                                  \
    X(DEVICE, "device")                                                                                                \
    X(LAYOUT, "layout")                                                                                                \
    X(MEMORY_FORMAT, "memory_format")                                                                                  \
    X(VALUE, "value")                                                                                                  \
    X(GRAPH, "graph")                                                                                                  \
    X(OP, "op")                                                                                                        \
    X(SCRIPT_OBJECT, "script_object")                                                                                  \
    X(LIST, "list")                                                                                                    \
    X(DICT, "dict")                                                                                                    \
    X(TENSOR, "tensor")                                                                                                \
    X(TOKEN, "token")                                                                                                  \
    X(OPAQUE, "opaque")                                                                                                \
    X(SLICE, "slice")                                                                                                  \
    X(ELLIPSIS, "ellipsis")

/* Element types: X(NAME, torch's name, short name, bits per element). */
#define FXC_DTYPE_LIST(X)                                                                                              \
    X(FLOAT32, "float32", "f32", 32)                                                                                   \
    X(FLOAT64, "float64", "f64", 64)                                                                                   \
    X(FLOAT16, "float16", "f16", 16)                                                                                   \
    X(BFLOAT16, "bfloat16", "bf16", 16)                                                                                \
    X(INT64, "int64", "i64", 64)                                                                                       \
    X(INT32, "int32", "i32", 32)                                                                                       \
    X(INT16, "int16", "i16", 16)                                                                                       \
    X(INT8, "int8", "i8", 8)                                                                                           \
    X(UINT8, "uint8", "u8", 8)                                                                                         \
    X(BOOL, "bool", "b8", 8)                                                                                           \
    X(COMPLEX64, "complex64", "c64", 64)                                                                               \
    X(COMPLEX128, "complex128", "c128", 128)                                                                           \
    X(COMPLEX32, "complex32", "c32", 32)                                                                               \
    X(FLOAT8_E4M3FN, "float8_e4m3fn", "f8e4m3fn", 8)                                                                   \
    X(FLOAT8_E5M2, "float8_e5m2", "f8e5m2", 8)                                                                         \
    X(FLOAT8_E4M3FNUZ, "float8_e4m3fnuz", "f8e4m3fnuz", 8)                                                             \
    X(FLOAT8_E5M2FNUZ, "float8_e5m2fnuz", "f8e5m2fnuz", 8)                                                             \
    X(FLOAT8_E8M0FNU, "float8_e8m0fnu", "f8e8m0fnu", 8)                                                                \
    X(FLOAT4_E2M1FN_X2, "float4_e2m1fn_x2", "f4e2m1x2", 8)                                                             \
    X(UINT16, "uint16", "u16", 16)                                                                                     \
    X(UINT32, "uint32", "u32", 32)                                                                                     \
    X(UINT64, "uint64", "u64", 64)                                                                                     \
    X(QINT8, "qint8", "q8", 8)                                                                                         \
    X(QUINT8, "quint8", "qu8", 8)                                                                                      \
    X(QINT32, "qint32", "q32", 32)                                                                                     \
    X(OPAQUE, "opaque", "opaque", 0)

#define FXC_LAYOUT_LIST(X)                                                                                             \
    X(STRIDED, "strided")                                                                                              \
    X(SPARSE_COO, "sparse_coo")                                                                                        \
    X(SPARSE_CSR, "sparse_csr")                                                                                        \
    X(SPARSE_CSC, "sparse_csc")                                                                                        \
    X(SPARSE_BSR, "sparse_bsr")                                                                                        \
    X(SPARSE_BSC, "sparse_bsc")                                                                                        \
    X(NESTED, "nested")                                                                                                \
    X(MKLDNN, "mkldnn")                                                                                                \
    X(OPAQUE, "opaque")

#define FXC_MEMORY_FORMAT_LIST(X)                                                                                      \
    X(CONTIGUOUS, "contiguous_format")                                                                                 \
    X(PRESERVE, "preserve_format")                                                                                     \
    X(CHANNELS_LAST, "channels_last")                                                                                  \
    X(CHANNELS_LAST_3D, "channels_last_3d")                                                                            \
    X(OPAQUE, "opaque")

/* Where an operator comes from. PACKET: an ATen packet whose overload was not resolved; METHOD and MODULE: fx nodes
 * call_method and call_module without shapes. */
#define FXC_OP_ORIGIN_LIST(X)                                                                                          \
    X(ATEN, "aten")                                                                                                    \
    X(CUSTOM, "custom")                                                                                                \
    X(BUILTIN, "builtin")                                                                                              \
    X(HIGHER_ORDER, "higher_order")                                                                                    \
    X(PACKET, "packet")                                                                                                \
    X(METHOD, "method")                                                                                                \
    X(MODULE, "module")                                                                                                \
    X(OPAQUE, "opaque")

/* Bits of op_tags, torch's own tags and three facts read off the overload. X(NAME, text, bit). */
#define FXC_OP_TAG_LIST(X)                                                                                             \
    X(CORE, "core", 0)                                                                                                 \
    X(POINTWISE, "pointwise", 1)                                                                                       \
    X(REDUCTION, "reduction", 2)                                                                                       \
    X(VIEW_COPY, "view_copy", 3)                                                                                       \
    X(INPLACE_VIEW, "inplace_view", 4)                                                                                 \
    X(DYNAMIC_OUTPUT_SHAPE, "dynamic_output_shape", 5)                                                                 \
    X(DATA_DEPENDENT_OUTPUT, "data_dependent_output", 6)                                                               \
    X(NONDETERMINISTIC_SEEDED, "nondeterministic_seeded", 7)                                                           \
    X(MAYBE_ALIASING_OR_MUTATING, "maybe_aliasing_or_mutating", 8)                                                     \
    X(MUTABLE, "mutable", 9)                                                                                           \
    X(VIEW, "view", 10)                                                                                                \
    X(COMPOSITE, "composite", 11)

/* Bits of symbol_flags and constraint_flags. TRIP: the number of a loop's trip, from 0, which nobody but the loop sets.
 */
#define FXC_SYMBOL_FLAG_LIST(X)                                                                                        \
    X(HAS_HINT, "hint", 0)                                                                                             \
    X(HAS_MIN, "min", 1)                                                                                               \
    X(HAS_MAX, "max", 2)                                                                                               \
    X(UNBACKED, "unbacked", 3)                                                                                         \
    X(FLOAT, "float", 4)                                                                                               \
    X(TRIP, "trip", 5)

/* Expression tokens: X(NAME, text, operands taken). SYMBOL, CONST and FLOAT push their payload. */
#define FXC_TOKEN_LIST(X)                                                                                              \
    X(CONST, "const", 0)                                                                                               \
    X(FLOAT, "float", 0)                                                                                               \
    X(SYMBOL, "symbol", 0)                                                                                             \
    X(ADD, "Add", 2)                                                                                                   \
    X(MUL, "Mul", 2)                                                                                                   \
    X(POW, "Pow", 2)                                                                                                   \
    X(MIN, "Min", 2)                                                                                                   \
    X(MAX, "Max", 2)                                                                                                   \
    X(FLOOR_DIV, "FloorDiv", 2)                                                                                        \
    X(MOD, "Mod", 2)                                                                                                   \
    X(PYTHON_MOD, "PythonMod", 2)                                                                                      \
    X(MODULAR_INDEXING, "ModularIndexing", 3)                                                                          \
    X(INT_TRUE_DIV, "IntTrueDiv", 2)                                                                                   \
    X(FLOAT_TRUE_DIV, "FloatTrueDiv", 2)                                                                               \
    X(TO_FLOAT, "ToFloat", 1)                                                                                          \
    X(CEIL_TO_INT, "CeilToInt", 1)                                                                                     \
    X(FLOOR_TO_INT, "FloorToInt", 1)                                                                                   \
    X(TRUNC_TO_INT, "TruncToInt", 1)                                                                                   \
    X(ROUND_TO_INT, "RoundToInt", 1)                                                                                   \
    X(ABS, "Abs", 1)                                                                                                   \
    X(SQRT, "Sqrt", 1)                                                                                                 \
    X(EQ, "Eq", 2)                                                                                                     \
    X(NE, "Ne", 2)                                                                                                     \
    X(LT, "Lt", 2)                                                                                                     \
    X(LE, "Le", 2)                                                                                                     \
    X(GT, "Gt", 2)                                                                                                     \
    X(GE, "Ge", 2)                                                                                                     \
    X(AND, "And", 2)                                                                                                   \
    X(OR, "Or", 2)                                                                                                     \
    X(NOT, "Not", 1)                                                                                                   \
    X(WHERE, "Where", 3)                                                                                               \
    X(OPAQUE, "opaque", 0)

#define FXC_STORAGE_ORIGIN_LIST(X)                                                                                     \
    X(INTERMEDIATE, "intermediate")                                                                                    \
    X(PARAMETER, "parameter")                                                                                          \
    X(BUFFER, "buffer")                                                                                                \
    X(CONSTANT, "constant")                                                                                            \
    X(USER_INPUT, "user_input")                                                                                        \
    X(OPAQUE, "opaque")

/* Bits of meta_flags. */
#define FXC_TENSOR_FLAG_LIST(X)                                                                                        \
    X(REQUIRES_GRAD, "requires_grad", 0)                                                                               \
    X(CONJ, "conj", 1)                                                                                                 \
    X(NEG, "neg", 2)                                                                                                   \
    X(QUANTIZED, "quantized", 3)                                                                                       \
    X(SUBCLASS, "subclass", 4)

/* Bits of node_flags. */
#define FXC_NODE_FLAG_LIST(X)                                                                                          \
    X(BACKWARD, "backward", 0)                                                                                         \
    X(OPTIMIZER, "optimizer", 1)                                                                                       \
    X(GRADIENT_ACCUMULATION, "gradient_accumulation", 2)                                                               \
    X(RECOMPUTED, "recomputed", 3)                                                                                     \
    X(DEAD, "dead", 4)

/* Parts of a training step, in the order of columns. A node's part follows from its flags: what autograd adds up
 * (gradients of a tensor that is used several times, and into .grad) is ACCUMULATION, what a checkpoint computes again
 * is RECOMPUTE. */
#define FXC_PHASE_LIST(X)                                                                                              \
    X(FORWARD, "forward")                                                                                              \
    X(BACKWARD, "backward")                                                                                            \
    X(ACCUMULATION, "accumulation")                                                                                    \
    X(RECOMPUTE, "recompute")                                                                                          \
    X(OPTIMIZER, "optimizer")

#define FXC_VIEW_LIST(X)                                                                                               \
    X(CAPTURED, "captured")                                                                                            \
    X(LOWERED, "lowered")                                                                                              \
    X(JOINT, "joint")                                                                                                  \
    X(BODY, "body")                                                                                                    \
    X(OPAQUE, "opaque")

#define FXC_INPUT_KIND_LIST(X)                                                                                         \
    X(USER_INPUT, "user_input")                                                                                        \
    X(PARAMETER, "parameter")                                                                                          \
    X(BUFFER, "buffer")                                                                                                \
    X(CONSTANT, "constant")                                                                                            \
    X(TOKEN, "token")                                                                                                  \
    X(SCRIPT_OBJECT, "script_object")                                                                                  \
    X(OPAQUE, "opaque")

#define FXC_OUTPUT_KIND_LIST(X)                                                                                        \
    X(USER_OUTPUT, "user_output")                                                                                      \
    X(LOSS, "loss")                                                                                                    \
    X(BUFFER_MUTATION, "buffer_mutation")                                                                              \
    X(PARAMETER_MUTATION, "parameter_mutation")                                                                        \
    X(USER_INPUT_MUTATION, "user_input_mutation")                                                                      \
    X(GRADIENT_TO_PARAMETER, "gradient_to_parameter")                                                                  \
    X(GRADIENT_TO_USER_INPUT, "gradient_to_user_input")                                                                \
    X(TOKEN, "token")                                                                                                  \
    X(OPAQUE, "opaque")                                                                                                \
    X(SAVED, "saved") /* for the backward graph */

/* Bits of call_flags. */
#define FXC_CALL_FLAG_LIST(X)                                                                                          \
    X(TRAINING, "training", 0)                                                                                         \
    X(OWNER_VIEW, "owner_view", 1)                                                                                     \
    X(INFERRED, "inferred", 2)

/* Bits of param_flags. */
#define FXC_PARAM_FLAG_LIST(X)                                                                                         \
    X(REQUIRES_GRAD, "requires_grad", 0)                                                                               \
    X(PERSISTENT, "persistent", 1)                                                                                     \
    X(UNUSED, "unused", 2)

/* FUNCTION: what one call of a function of torch ran, under the function's name. GRADIENT: what one node of autograd
 * ran in the backward pass, which lets go of what it was given and what it had saved when it is through. */
#define FXC_REGION_KIND_LIST(X)                                                                                        \
    X(CHECKPOINT, "checkpoint")                                                                                        \
    X(AUTOCAST, "autocast")                                                                                            \
    X(GRAD_MODE, "grad_mode")                                                                                          \
    X(OPAQUE, "opaque")                                                                                                \
    X(FUNCTION, "function")                                                                                            \
    X(GRADIENT, "gradient")

/* What was measured: of a node run by itself, or of the whole program (which alone has COMPILED times). Times are
 * nanoseconds, of all repetitions the least or the median; bytes are those of live tensors on the device. */
#define FXC_MEASURE_LIST(X)                                                                                            \
    X(MIN_NS, "min_ns")                                                                                                \
    X(MEDIAN_NS, "median_ns")                                                                                          \
    X(COMPILED_MIN_NS, "compiled_min_ns")                                                                              \
    X(COMPILED_MEDIAN_NS, "compiled_median_ns")                                                                        \
    X(BYTES_BEFORE, "bytes_before")                                                                                    \
    X(BYTES_AFTER, "bytes_after")                                                                                      \
    X(BYTES_PEAK, "bytes_peak")                                                                                        \
    X(OPAQUE, "opaque")

/* Options of an analysis that facts depend on. */
#define FXC_OPTION_LIST(X)                                                                                             \
    X(SYMBOLS, "dim", 0)                                                                                               \
    X(CONVENTION, "convention", 1)                                                                                     \
    X(PROFILE, "profile", 2)                                                                                           \
    X(DEVICE, "device", 3)                                                                                             \
    X(PROBABILITY, "probability", 4)                                                                                   \
    X(FORMULAS, "formulas", 5)                                                                                         \
    X(ATTENTION, "attention", 6)                                                                                       \
    X(OPTIMIZER, "optimizer", 7)                                                                                       \
    X(ALLOCATOR, "allocator", 8)                                                                                       \
    X(METRICS, "metrics", 9)

/* The enumerations themselves. */
#define FXC_X_KIND(name, ...) FXC_KIND_##name,
#define FXC_X_DTYPE(name, ...) FXC_DTYPE_##name,
#define FXC_X_LAYOUT(name, ...) FXC_LAYOUT_##name,
#define FXC_X_MEMORY_FORMAT(name, ...) FXC_MEMORY_FORMAT_##name,
#define FXC_X_OP_ORIGIN(name, ...) FXC_OP_ORIGIN_##name,
#define FXC_X_OP_TAG(name, text, bit) FXC_OP_TAG_##name = 1u << (bit),
#define FXC_X_SYMBOL_FLAG(name, text, bit) FXC_SYMBOL_FLAG_##name = 1u << (bit),
#define FXC_X_TOKEN(name, ...) FXC_TOKEN_##name,
#define FXC_X_STORAGE_ORIGIN(name, ...) FXC_STORAGE_ORIGIN_##name,
#define FXC_X_TENSOR_FLAG(name, text, bit) FXC_TENSOR_FLAG_##name = 1u << (bit),
#define FXC_X_NODE_FLAG(name, text, bit) FXC_NODE_FLAG_##name = 1u << (bit),
#define FXC_X_PHASE(name, ...) FXC_PHASE_##name,
#define FXC_X_VIEW(name, ...) FXC_VIEW_##name,
#define FXC_X_INPUT_KIND(name, ...) FXC_INPUT_KIND_##name,
#define FXC_X_OUTPUT_KIND(name, ...) FXC_OUTPUT_KIND_##name,
#define FXC_X_CALL_FLAG(name, text, bit) FXC_CALL_FLAG_##name = 1u << (bit),
#define FXC_X_PARAM_FLAG(name, text, bit) FXC_PARAM_FLAG_##name = 1u << (bit),
#define FXC_X_REGION_KIND(name, ...) FXC_REGION_KIND_##name,
#define FXC_X_MEASURE(name, ...) FXC_MEASURE_##name,
#define FXC_X_OPTION(name, text, bit) FXC_OPTION_##name = 1u << (bit),

enum fxc_kind { FXC_KIND_LIST(FXC_X_KIND) FXC_KIND_COUNT };
enum fxc_dtype { FXC_DTYPE_LIST(FXC_X_DTYPE) FXC_DTYPE_COUNT };
enum fxc_layout { FXC_LAYOUT_LIST(FXC_X_LAYOUT) FXC_LAYOUT_COUNT };
enum fxc_memory_format { FXC_MEMORY_FORMAT_LIST(FXC_X_MEMORY_FORMAT) FXC_MEMORY_FORMAT_COUNT };
enum fxc_op_origin { FXC_OP_ORIGIN_LIST(FXC_X_OP_ORIGIN) FXC_OP_ORIGIN_COUNT };
enum fxc_op_tag { FXC_OP_TAG_LIST(FXC_X_OP_TAG) };
enum fxc_symbol_flag { FXC_SYMBOL_FLAG_LIST(FXC_X_SYMBOL_FLAG) };
enum fxc_token { FXC_TOKEN_LIST(FXC_X_TOKEN) FXC_TOKEN_COUNT };
enum fxc_storage_origin { FXC_STORAGE_ORIGIN_LIST(FXC_X_STORAGE_ORIGIN) FXC_STORAGE_ORIGIN_COUNT };
enum fxc_tensor_flag { FXC_TENSOR_FLAG_LIST(FXC_X_TENSOR_FLAG) };
enum fxc_node_flag { FXC_NODE_FLAG_LIST(FXC_X_NODE_FLAG) };
enum fxc_phase { FXC_PHASE_LIST(FXC_X_PHASE) FXC_PHASE_COUNT };
enum fxc_view { FXC_VIEW_LIST(FXC_X_VIEW) FXC_VIEW_COUNT };
enum fxc_input_kind { FXC_INPUT_KIND_LIST(FXC_X_INPUT_KIND) FXC_INPUT_KIND_COUNT };
enum fxc_output_kind { FXC_OUTPUT_KIND_LIST(FXC_X_OUTPUT_KIND) FXC_OUTPUT_KIND_COUNT };
enum fxc_call_flag { FXC_CALL_FLAG_LIST(FXC_X_CALL_FLAG) };
enum fxc_param_flag { FXC_PARAM_FLAG_LIST(FXC_X_PARAM_FLAG) };
enum fxc_region_kind { FXC_REGION_KIND_LIST(FXC_X_REGION_KIND) FXC_REGION_KIND_COUNT };
enum fxc_measure { FXC_MEASURE_LIST(FXC_X_MEASURE) FXC_MEASURE_COUNT };
enum fxc_option { FXC_OPTION_LIST(FXC_X_OPTION) };

#undef FXC_X_KIND
#undef FXC_X_DTYPE
#undef FXC_X_LAYOUT
#undef FXC_X_MEMORY_FORMAT
#undef FXC_X_OP_ORIGIN
#undef FXC_X_OP_TAG
#undef FXC_X_SYMBOL_FLAG
#undef FXC_X_TOKEN
#undef FXC_X_STORAGE_ORIGIN
#undef FXC_X_TENSOR_FLAG
#undef FXC_X_NODE_FLAG
#undef FXC_X_PHASE
#undef FXC_X_VIEW
#undef FXC_X_INPUT_KIND
#undef FXC_X_OUTPUT_KIND
#undef FXC_X_CALL_FLAG
#undef FXC_X_PARAM_FLAG
#undef FXC_X_REGION_KIND
#undef FXC_X_MEASURE
#undef FXC_X_OPTION

#endif
