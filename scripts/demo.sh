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

# Run, and keep how long it took under a name.
timed() {
    local name="$1" began
    began="$(date +%s)"
    shift
    run "$@"
    printf '%s\t%s\t%s\n' "$name" "$began" "$(date +%s)" >>"$out/times.tsv"
}

run annoseq sample "$out/pairs.csv" --rows 4000 --seed 42
run annoseq check "$out/pairs.csv" --rows 1
run annoseq show-batch "$out/pairs.csv" --rows 2

# The tagger, with no options, and the 2019 notebook's network, on the same rows.
timed tagger.training annoseq train "$out/pairs.csv" --out "$out/tagger" --plot "$out/tagger.png"
run annoseq find-lr "$out/pairs.csv" --model gru --plot "$out/lr.png"
timed notebook.training annoseq train "$out/pairs.csv" --out "$out/notebook" \
    --model gru --epochs 5 --max-lr 5e-3 --plot "$out/notebook.png"
for model in tagger notebook; do
    run annoseq evaluate "$out/$model" "$out/pairs.csv" --json "$out/$model.json" --show 5
    timed "$model.annotation" annoseq annotate "$out/$model" "$out/pairs.csv" --out "$out/$model.jsonl"
done

printf '\n'
python scripts/side_by_side.py "$out"
printf '\nEverything is in %s (the .png files are the plots). Next: annoseq annotate %s/tagger YOUR.csv --column TEXT\n' "$out" "$out"
