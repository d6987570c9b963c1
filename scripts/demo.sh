#!/usr/bin/env bash
# The main job on the sample corpus, in a new folder: nothing that is there is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
out="demo/$(date +%Y%m%d-%H%M%S)"
mkdir -p "$out"

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

run annoseq sample "$out/pairs.csv" --rows 4000 --seed 42
run annoseq check "$out/pairs.csv" --rows 1
run annoseq show-batch "$out/pairs.csv" --rows 2
run annoseq find-lr "$out/pairs.csv" --plot "$out/lr.png"
run annoseq train "$out/pairs.csv" --out "$out/model" --epochs 5 --max-lr 5e-3 --plot "$out/curves.png"
run annoseq evaluate "$out/model" "$out/pairs.csv" --json "$out/scores.json" --show 10

printf '\nEverything is in %s (lr.png and curves.png are the plots). Next: annoseq annotate %s/model YOUR.csv --column TEXT\n' "$out" "$out"
