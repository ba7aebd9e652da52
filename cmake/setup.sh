#!/usr/bin/env bash
# Sets up a Debian 12 or Ubuntu 24.04 machine: cmake/setup.sh run|test VENV
#   run   what `make demo` needs: a C compiler, Python with venv, torch and transformers
#   test  what `make test` needs besides: clang 19, libomp 19, cmocka, the tools of the Python tests
set -euo pipefail
what=$1
venv=$2
cd "$(dirname "$0")/.."

run_packages="gcc g++ make cmake ninja-build python3-venv python3-dev flatbuffers-compiler libflatbuffers-dev"
test_packages="clang-19 clang-format-19 libomp-19-dev libclang-rt-19-dev libcmocka-dev pkg-config file"
torch=${FXC_TORCH:-torch==2.13.0}

missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
    done
}

install_packages() {
    local missing
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086
    set -- $missing
    if [ "$(id -u)" = 0 ]; then
        (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@") >&2
    elif sudo -n true 2>/dev/null; then
        (sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@") >&2
    else
        echo "fxcost needs system packages and may not install them here. Run this, then try again:" >&2
        echo "  sudo apt-get install $*" >&2
        exit 2
    fi
}

if ! command -v dpkg-query >/dev/null; then
    echo "no Debian packages here: install the equivalents of: $run_packages $test_packages" >&2
elif [ "$what" = run ]; then
    # shellcheck disable=SC2086
    install_packages $run_packages
else
    # shellcheck disable=SC2086
    install_packages $test_packages
fi

if [ ! -x "$venv/bin/python" ]; then
    # A torch that the machine already has is used, whatever its build.
    if python3 -c 'import torch' 2>/dev/null; then
        echo "using the torch that is installed" >&2
        python3 -m venv --system-site-packages "$venv"
    else
        python3 -m venv "$venv"
    fi
fi
pip="$venv/bin/python -m pip --disable-pip-version-check"
if ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
    "$venv/bin/python" cmake/download_size.py "$torch"
    $pip install --quiet "$torch" numpy
fi
case $what in
run) $pip install --quiet --upgrade-strategy only-if-needed "$torch" numpy flatbuffers transformers ;;
test) $pip install --quiet --upgrade-strategy only-if-needed "$torch" pytest ruff mypy jsonschema expecttest tabulate protobuf ;;
esac
