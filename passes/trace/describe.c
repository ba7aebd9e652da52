/* trace: what a step is called, and the module calls around it. */
#include <stdio.h>
#include <string.h>

#include "fxcost/fusion.h"
#include "passes/trace/steps.h"

static uint32_t call_depth(const struct fxc_program *p, uint32_t call) {
    uint32_t depth = 0;
    for (; call != FXC_NONE; call = p->call_parent[call]) {
        depth++;
    }
    return depth;
}

static uint32_t module_depth(const struct fxc_program *p, uint32_t module) {
    uint32_t depth = 0;
    for (; module != FXC_NONE; module = p->module_parent[module]) {
        depth++;
    }
    return depth;
}

/* The calls of a stack, or, where no call is known, the modules by their places. */
uint32_t fxc_step_stack(const struct fxc_program *p, const struct fxc_step *step,
                        struct fxc_open_call stack[FXC_STEP_DEPTH]) {
    uint32_t call = step->call, module = step->module, count = 0;
    uint32_t depth = call != FXC_NONE ? call_depth(p, call) : module_depth(p, module);
    stack[0] = (struct fxc_open_call){0, FXC_NONE};
    for (uint32_t at = depth; at-- > 0;) {
        struct fxc_open_call open = {call != FXC_NONE ? p->call_module[call] : module, call};
        if (at + 1 < FXC_STEP_DEPTH) { /* one place is kept for the model below */
            stack[at + 1] = open;
        }
        module = call != FXC_NONE ? module : p->module_parent[module];
        call = call != FXC_NONE ? p->call_parent[call] : FXC_NONE;
    }
    count = depth + 1 < FXC_STEP_DEPTH ? depth + 1 : FXC_STEP_DEPTH;
    if (count > 1 && stack[1].module == 0) { /* the model's own call is the bottom */
        memmove(stack, stack + 1, (count - 1) * sizeof *stack);
        count--;
    }
    return count;
}

/* "pointwise add mul +3": the kind and what it computes, in order. */
static void kernel_text(fxc_analysis *analysis, uint32_t kernel, bool operators, char *buffer) {
    const struct fxc_program *p = analysis->program;
    fxc_kernel_info k = {.struct_size = sizeof k};
    (void)fxc_analysis_kernel(analysis, kernel, &k, NULL);
    size_t used = (size_t)snprintf(buffer, FXC_STEP_NAME, "%s", k.kind_text);
    for (uint32_t i = 0; i < k.node_count; i++) {
        const char *text = operators ? fxc_node_op_name(p, k.nodes[i]) : fxc_node_name(p, k.nodes[i]);
        if (used + strlen(text) + 16 > FXC_STEP_NAME) {
            (void)snprintf(buffer + used, FXC_STEP_NAME - used, " +%u", k.node_count - i);
            return;
        }
        used += (size_t)snprintf(buffer + used, FXC_STEP_NAME - used, " %s", text);
    }
}

static const char *param_name(const struct fxc_program *p, uint32_t param) {
    return fxc_string(p, p->param_name[param]);
}

const char *fxc_step_name(fxc_analysis *analysis, const struct fxc_step *step, char buffer[FXC_STEP_NAME]) {
    const struct fxc_program *p = analysis->program;
    if (step->kernel != FXC_NONE) {
        kernel_text(analysis, step->kernel, false, buffer);
    } else if (step->node != FXC_NONE) {
        (void)snprintf(buffer, FXC_STEP_NAME, "%s", fxc_node_name(p, step->node));
    } else {
        (void)snprintf(buffer, FXC_STEP_NAME, "optimizer step of %.200s", param_name(p, step->param));
    }
    return buffer;
}

const char *fxc_step_label(fxc_analysis *analysis, const struct fxc_step *step, char buffer[FXC_STEP_NAME]) {
    if (step->kernel != FXC_NONE) {
        kernel_text(analysis, step->kernel, true, buffer);
    } else if (step->node != FXC_NONE) {
        (void)snprintf(buffer, FXC_STEP_NAME, "%s", fxc_node_op_name(analysis->program, step->node));
    } else {
        (void)snprintf(buffer, FXC_STEP_NAME, "optimizer step");
    }
    return buffer;
}

bool fxc_step_source(fxc_analysis *analysis, const struct fxc_step *step, const char **file, uint32_t *line) {
    uint32_t node = step->node;
    fxc_node_info info = {.struct_size = sizeof info};
    if (step->kernel != FXC_NONE) {
        fxc_kernel_info k = {.struct_size = sizeof k};
        bool found = fxc_analysis_kernel(analysis, step->kernel, &k, NULL) == FXC_OK && k.node_count > 0;
        node = found ? k.nodes[0] : FXC_NONE;
    }
    if (node == FXC_NONE || fxc_program_get_node(analysis->program, node, &info, NULL) != FXC_OK || info.file == NULL) {
        return false;
    }
    *file = info.file;
    *line = info.line;
    return true;
}

const char *fxc_module_label(const struct fxc_program *p, uint32_t module, char *buffer, size_t size) {
    char path[512];
    const char *class_name = fxc_string(p, p->module_class[module]), *dot = strrchr(class_name, '.');
    class_name = dot == NULL ? class_name : dot + 1;
    (void)fxc_module_path(p, module, path, sizeof path);
    (void)snprintf(buffer, size, "%.100s%s%.400s", class_name, class_name[0] == '\0' ? "" : " ",
                   path[0] == '\0' ? "(model)" : path);
    return buffer;
}
