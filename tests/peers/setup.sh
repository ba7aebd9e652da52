#!/usr/bin/env bash
# An environment for each group of peers: tests/peers/setup.sh VENV FOLDER [NAME...]
# VENV is the environment that holds torch; a peer's environment sees it through a .pth file, so that torch is there
# once. What cannot be installed is reported and left out: the tests that need it say so.
set -uo pipefail
venv=$(realpath "$1")
folder=$2
shift 2
cd "$(dirname "$0")/../.."
mkdir -p "$folder"
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
failed=0
while read -r name requirements; do
    case $name in '' | '#'*) continue ;; esac
    [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
    target=$folder/$name
    [ "$(cat "$target/.requirements" 2>/dev/null)" = "$requirements" ] && continue
    rm -rf "$target"
    "$venv/bin/python" -m venv --without-pip "$target" || exit 1
    site=$("$target/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$packages" >"$site/torch.pth"
    # shellcheck disable=SC2086
    if "$target/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps \
        $requirements; then
        echo "$requirements" >"$target/.requirements"
    else
        echo "peers: $name is not installed" >&2
        failed=1
    fi
done <tests/peers/environments.txt
exit $failed
