// A compiler for hardware of its own: an operator, a device and a way to fuse that fxcost does not know.
//
//   cmake -S examples/cpp -B build-example -DCMAKE_PREFIX_PATH=PREFIX && cmake --build build-example
//   ./accelerator examples/cpp/scan.txt
#include <fxcost/device.h>
#include <fxcost/fusion.h>
#include <fxcost/op.h>

#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

// Figures as its designers give them; what is left out is unknown. Nothing was measured, so times are a roofline.
constexpr const char *device_file = "device = accelerator\n"
                                    "description = an accelerator that is not built yet\n"
                                    "source = its design\n"
                                    "model = roofline\n"
                                    "matrix_f32 = 4e12\n"
                                    "vector_f32 = 2.5e11\n"
                                    "memory_bytes = 8e9\n"
                                    "memory_bytes_per_second = 1e11\n"
                                    "kernel_overhead_seconds = 2e-6\n";

// Its matrix unit applies one pointwise operator to what it writes, and no more.
constexpr const char *profile_file = "profile = accelerator\n"
                                     "summary = A product with one pointwise operator behind it.\n"
                                     "source = its design\n"
                                     "engine = nodes\n"
                                     "max_nodes = 2\n"
                                     "rule = anchor | anchor | pointwise | same_elements | one\n";

// Its library's scan: three operations an element.
fxc_status count_scan(const fxc_op_call *call, fxc_counts *out, void *, fxc_error *) {
    fxc_tensor_info x = {};
    x.struct_size = sizeof x;
    if (!fxc_op_call_tensor(call, "x", &x)) {
        return FXC_UNKNOWN_OPS;
    }
    out->vector_flops = 3 * x.numel;
    return FXC_OK;
}

void check(fxc_status status, const fxc_error &err) {
    if (status != FXC_OK) {
        throw std::runtime_error(err.message);
    }
}

// A text as a file for as long as this lives.
class File {
  public:
    File(const std::filesystem::path &folder, const char *name, const char *text) : path_(folder / name) {
        std::ofstream(path_) << text;
    }
    ~File() {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    std::string path() const {
        return path_.string();
    }

  private:
    std::filesystem::path path_;
};

struct Free {
    void operator()(fxc_program *program) const {
        fxc_program_free(program);
    }
    void operator()(fxc_analysis *analysis) const {
        fxc_analysis_free(analysis);
    }
};
using Program = std::unique_ptr<fxc_program, Free>;
using Analysis = std::unique_ptr<fxc_analysis, Free>;

Program open(const char *path) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program = nullptr;
    check(fxc_program_open(path, &program, &err), err);
    return Program(program);
}

Analysis analyse(const fxc_program *program, const File &device, const File &profile) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_analysis *made = nullptr;
    check(fxc_analysis_new(program, &made, &err), err);
    Analysis analysis(made);
    fxc_op_desc scan = {};
    scan.struct_size = sizeof scan;
    scan.name = "mylib.scan";
    scan.count = count_scan;
    check(fxc_analysis_add_op(made, &scan, &err), err);
    check(fxc_analysis_set(made, "device", device.path().c_str(), &err), err);
    check(fxc_analysis_set(made, "profile", profile.path().c_str(), &err), err);
    return analysis;
}

void print(const fxc_program *program, fxc_analysis *analysis) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_totals totals = {};
    totals.struct_size = sizeof totals;
    check(fxc_analysis_totals(analysis, &totals, &err), err);
    std::printf("flops %" PRId64 "\nunknown_nodes %" PRId64 "\n", totals.flops, totals.unknown_nodes);
    uint32_t count = 0;
    check(fxc_analysis_kernel_count(analysis, &count, &err), err);
    for (uint32_t i = 0; i < count; i++) {
        fxc_kernel_info kernel = {};
        kernel.struct_size = sizeof kernel;
        check(fxc_analysis_kernel(analysis, i, &kernel, &err), err);
        std::printf("kernel");
        for (uint32_t n = 0; n < kernel.node_count; n++) {
            fxc_node_info node = {};
            node.struct_size = sizeof node;
            check(fxc_program_get_node(program, kernel.nodes[n], &node, &err), err);
            std::printf(" %s", node.name);
        }
        std::printf(": %" PRId64 " B, %.9g s\n", kernel.bytes_read + kernel.bytes_written, kernel.seconds);
    }
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::fputs("usage: accelerator FILE.fxir\n", stderr);
        return FXC_USAGE;
    }
    try {
        const auto folder = std::filesystem::current_path();
        const File device(folder, "accelerator.device", device_file),
            profile(folder, "accelerator.profile", profile_file);
        const Program program = open(argv[1]);
        const Analysis analysis = analyse(program.get(), device, profile);
        print(program.get(), analysis.get());
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
