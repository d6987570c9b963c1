#!/usr/bin/env bash
# The main job on the sample corpus, in a new folder; no file outside it is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
out="demo/$(date +%Y%m%d-%H%M%S)"
mkdir -p "$out"
export OMP_NUM_THREADS=1 # one core for each of the two models

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

# Run a command, and record its start and end under a name.
timed() {
    local name="$1" began
    began="$(date +%s)"
    shift
    run "$@"
    printf '%s\t%s\t%s\n' "$name" "$began" "$(date +%s)" >>"$out/times.tsv"
}

# Evaluate a model on the rows kept from training, then annotate all rows.
measure() {
    run annoseq evaluate "$out/$1" "$out/pairs.csv" --json "$out/$1.json" --show 5
    timed "$1.annotation" annoseq annotate "$out/$1" "$out/pairs.csv" --out "$out/$1.jsonl"
}

# The network of the 2019 notebook, as it was trained there.
notebook() {
    run annoseq find-lr "$out/pairs.csv" --model gru --steps 50 --plot "$out/lr.png"
    timed notebook.training annoseq train "$out/pairs.csv" --out "$out/notebook" \
        --model gru --epochs 5 --max-lr 5e-3 --plot "$out/notebook.png"
    measure notebook
}

# The tagger, with default options.
tagger() {
    timed tagger.training annoseq train "$out/pairs.csv" --out "$out/tagger" --plot "$out/tagger.png"
    measure tagger
}

run annoseq sample "$out/pairs.csv" --rows 4000 --seed 42
run annoseq check "$out/pairs.csv" --rows 1
run annoseq show-batch "$out/pairs.csv" --rows 2

printf '\nThe notebook network is trained at the same time; its output follows that of the tagger.\n'
set -m # a process group of its own, so that it ends with this script
notebook >"$out/notebook.log" 2>&1 </dev/null &
background=$!
set +m
trap 'kill -- "-$background" 2>/dev/null || true' EXIT
tagger
ended=0
wait "$background" || ended=$?
trap - EXIT
cat "$out/notebook.log"
[ "$ended" -eq 0 ] || exit "$ended"

printf '\n'
python scripts/side_by_side.py "$out"
printf '\nEverything is in %s (the .png files are the plots). Next: annoseq annotate %s/tagger YOUR.csv --column TEXT\n' "$out" "$out"
