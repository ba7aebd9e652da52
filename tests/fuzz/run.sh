#!/bin/bash
# Fuzzes both readers and the rules, one after the other: tests/fuzz/run.sh [SECONDS each, default 300]
# New inputs go to build/fuzz/corpus; one that breaks a law is kept in build/fuzz and named in the output.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-300}
cmake --preset fuzz
cmake --build --preset fuzz --target fuzz_reader fuzz_text fuzz_rules
for reader in reader text rules; do
  found=build/fuzz/corpus/$reader
  mkdir -p "$found"
  echo "---- fuzz_$reader, $seconds seconds"
  dictionary=()
  longest=65536
  if [ "$reader" = rules ]; then
    longest=512 # a few nodes
    # Eight inputs for every row of the operator table, whose number is the first two bytes: rows that share a rule
    # are nothing new to libFuzzer.
    python3 - "$found" <<'END'
import random, sys
for row in range(1600):
    for i in range(8):
        with open(f"{sys.argv[1]}/row{row}-{i}", "wb") as file:
            file.write(row.to_bytes(2, "big") + random.Random(8 * row + i).randbytes(190))
END
  fi
  if [ -f "tests/fuzz/$reader.dict" ]; then
    dictionary=(-dict="tests/fuzz/$reader.dict")
  fi
  "build/fuzz/tests/fuzz/fuzz_$reader" "$found" "tests/fuzz/corpus/$reader" "tests/fuzz/regressions/$reader" "${dictionary[@]}" \
    -max_total_time="$seconds" -max_len=$longest -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix=build/fuzz/
done
