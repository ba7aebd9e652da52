// The same library from C++17: owning handles, and the JSON report collected into a string.
//
//   cmake -S examples/cpp -B build-example -DCMAKE_PREFIX_PATH=PREFIX && cmake --build build-example
//   ./cost bert.fxir
#include <fxcost/fxcost.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

struct Free {
    void operator()(fxc_program *program) const { fxc_program_free(program); }
    void operator()(fxc_analysis *analysis) const { fxc_analysis_free(analysis); }
};
using Program = std::unique_ptr<fxc_program, Free>;
using Analysis = std::unique_ptr<fxc_analysis, Free>;

void check(fxc_status status, const fxc_error &err) {
    if (status != FXC_OK) {
        throw std::runtime_error(err.message);
    }
}

std::string report(const char *path) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program = nullptr;
    check(fxc_program_open(path, &program, &err), err);
    Program owned_program(program);
    fxc_analysis *analysis = nullptr;
    check(fxc_analysis_new(program, &analysis, &err), err);
    Analysis owned_analysis(analysis);

    fxc_render_options options = {};
    options.struct_size = sizeof options;
    options.format = "json";
    options.by = "op";
    std::string text;
    auto append = [](void *context, const char *bytes, size_t size) {
        static_cast<std::string *>(context)->append(bytes, size);
        return true;
    };
    check(fxc_analysis_render(analysis, &options, append, &text, &err), err);
    return text;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::fputs("usage: cost FILE.fxir\n", stderr);
        return FXC_USAGE;
    }
    try {
        std::fputs(report(argv[1]).c_str(), stdout);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
