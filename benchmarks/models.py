"""All of annoseq's models after equal processor time: what they write, and how fast.

One command trains and judges them one after the other. Or each is run by itself (`--only`), two
at once on two cores if need be, and `--join` makes the table of what they left.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from annoseq.annotator.annotator import Annotator
from annoseq.config import (
    AttentionConfig,
    BatchConfig,
    DataConfig,
    DeviceConfig,
    GruConfig,
    SearchConfig,
    TrainingConfig,
    TransformerConfig,
)
from annoseq.errors import OptionError
from annoseq.evaluation.accuracy import Accuracy, measure
from annoseq.files import replacing
from annoseq.text.dataset import Dataset
from annoseq.text.segmentation import segmentation
from annoseq.text.vocabulary import END, SPECIALS
from annoseq.training.learner import Learner
from benchmarks.budget import (
    EXPLAINED,
    Plan,
    Stopwatch,
    cache_folder,
    note,
    one_core,
    row_seconds,
)
from benchmarks.command import guarded, made_by, make_parser, read_options
from benchmarks.eole_rows import judge
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import read_tables
from benchmarks.subsets import draw, draw_two, keep_short, take

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from annoseq.config import AnyNetworkConfig
    from annoseq.pairs.pairs import Pairs

REPORT = Path(__file__).with_suffix(".md")
CPU = DeviceConfig(device="cpu")
WORD, BPE = DataConfig(tokens="word"), DataConfig(tokens="bpe")
WATCHED = 64
"""Dev rows, none of those judged, that are validated on after each epoch; the time counts."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A network, its tokens, and how it is trained."""

    data: DataConfig
    network: AnyNetworkConfig
    max_lr: float
    batch_size: int


MODELS = {
    "gru-word": Recipe(WORD, GruConfig(), 5e-3, 16),
    "attention-bpe": Recipe(BPE, AttentionConfig(), 4e-3, 16),
    "transformer-bpe": Recipe(BPE, TransformerConfig(), 3e-3, 16),
}


@dataclass(frozen=True, slots=True)
class Trained:
    """What training came to: processor seconds, target words learned from, and its story."""

    seconds: float
    words: int
    story: str


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of a model; shares are of the dev rows, speeds in processor seconds."""

    trained: Trained
    faithful_f1: float
    faithful_changed: float
    free_f1: float
    free_exact: float
    free_changed: float
    token_accuracy: float
    bleu: float | None
    free_speed: float
    faithful_speed: float

    def cells(self) -> list[str]:
        """Return the figures in the order of `FIGURES`."""
        return [
            f"{self.trained.seconds / 60:.1f}",
            f"{self.trained.words / self.trained.seconds:,.0f}",
            f"{self.faithful_f1:.3f}",
            f"{self.faithful_changed:.1%}",
            f"{self.free_f1:.3f}",
            f"{self.free_exact:.1%}",
            f"{self.token_accuracy:.4f}",
            "-" if self.bleu is None else f"{self.bleu:.1f}",
            f"{self.free_changed:.1%}",
            f"{self.free_speed:,.1f}",
            f"{self.faithful_speed:,.1f}",
        ]


FIGURES = (
    "training, processor minutes",
    "training, target words/s",
    "faithful, span F1",
    "faithful, texts changed",
    "free, span F1",
    "free, exact match",
    "free, token accuracy",
    "free, BLEU",
    "free, texts changed",
    "free, greedy lines/s",
    "faithful, greedy lines/s",
)


def train(
    recipe: Recipe,
    pairs: Pairs,
    watched: Pairs,
    folder: Path,
    *,
    seconds: float,
    max_tokens: int,
    seed: int,
) -> Trained:
    """Train for about `seconds` of processor time, and save the model.

    The vocabularies are those of all pairs, the rows learned from those of up to `max_tokens`. A
    learner that is thrown away first tells how many epochs there is time for.
    """
    whole = keep_short(
        Dataset.from_pairs(pairs, valid=watched, config=recipe.data), max_tokens=max_tokens
    )
    learner = _learner(recipe, whole, seed=seed)
    speed = row_seconds(learner, max_lr=recipe.max_lr)
    plan = Plan.fit(len(whole.train), row_seconds=speed, seconds=seconds)
    rows = take(whole.train, draw(len(whole.train), plan.rows, seed=seed))
    learner = _learner(recipe, replace(whole, train=rows), seed=seed)
    with Stopwatch() as watch:
        learner.fit_one_cycle(plan.epochs, recipe.max_lr, report=note)
    learner.save(folder)
    words = sum(len(words_of(pair.target)) + 1 for pair in rows.pairs)
    return Trained(
        watch.seconds,
        plan.epochs * words,
        f"{plan.epochs} epochs of {plan.rows:,} of {len(whole.train):,} rows, "
        f"batches of {recipe.batch_size}, highest rate {recipe.max_lr:g}",
    )


def _learner(recipe: Recipe, dataset: Dataset, *, seed: int) -> Learner:
    training = TrainingConfig(max_lr=recipe.max_lr, clip_norm=1.0, keep="last", seed=seed)
    batching = BatchConfig(batch_size=recipe.batch_size)
    return Learner(dataset, model=recipe.network, training=training, batching=batching, device=CPU)


def words_of(annotated: str) -> list[str]:
    """Cut annotated text into words, a tag being one."""
    rule = segmentation(keeps_tags=True)
    return [word for word, _ in rule.pre_tokenize_str(annotated)]


def word_accuracy(outputs: Sequence[str], targets: Sequence[str]) -> float:
    """Return the share of the targets' words, ends counted, that stand at their place.

    The same score as in training, but over words of the text: what a model's tokens are, or which
    it knows, makes no difference.
    """
    ids: dict[str, int] = {}

    def row(text: str) -> torch.Tensor:
        known = [ids.setdefault(word, len(ids) + len(SPECIALS)) for word in words_of(text)]
        return torch.tensor([[*known, END]])

    pairs = zip(outputs, targets, strict=True)
    found = sum((measure(row(output), row(target)) for output, target in pairs), Accuracy())
    return found.token.value


def bleu(outputs: Sequence[str], targets: Sequence[str]) -> tuple[float | None, str]:
    """Return sacrebleu's corpus BLEU with its signature, or none where it is not installed."""
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        return None, "sacrebleu is not installed"
    metric = BLEU()
    score = metric.corpus_score(outputs, [targets]).score
    return score, str(metric.get_signature())


def judge_model(folder: Path, lines: Pairs, trained: Trained) -> tuple[Result, str]:
    """Let a model write for lines, freely and faithfully; also return BLEU's signature."""
    annotator = Annotator.load(folder, device=CPU)
    texts, targets = [pair.source for pair in lines], [pair.target for pair in lines]
    written: dict[bool, list[str]] = {}
    speeds: dict[bool, float] = {}
    for is_free in (True, False):
        search = SearchConfig(free=is_free)
        annotator.annotate(texts[:64], search=search)  # warm
        with Stopwatch() as watch:
            found = annotator.annotate(texts, search=search)
        written[is_free] = [one.annotated for one in found]
        speeds[is_free] = len(texts) / watch.seconds
    free, faithful = judge(written[True], lines), judge(written[False], lines)
    score, signature = bleu(written[True], targets)
    result = Result(
        trained=trained,
        faithful_f1=faithful.spans.f1,
        faithful_changed=1 - faithful.unchanged / len(lines),
        free_f1=free.spans.f1,
        free_exact=free.exact / len(lines),
        free_changed=1 - free.unchanged / len(lines),
        token_accuracy=word_accuracy(written[True], targets),
        bleu=score,
        free_speed=speeds[True],
        faithful_speed=speeds[False],
    )
    return result, signature


def run_one(name: str, options: argparse.Namespace) -> None:
    """Train and judge a model, and leave model and figures in the folder of results.

    Raises:
        AnnoseqError: the data cannot be used, or the folder cannot be written.
    """
    machine = describe_machine(torch.device("cpu"))
    pairs, dev = read_tables(options.data, first=options.rows)
    lines, watched = draw_two(
        dev, (options.dev_rows, WATCHED), max_tokens=options.max_dev_tokens, seed=options.seed
    )
    note(f"{name}: {options.minutes:g} minutes of processor time")
    folder = options.results / f"{name}.model"
    if folder.exists():
        shutil.rmtree(folder)
    trained = train(
        MODELS[name],
        pairs,
        watched,
        folder,
        seconds=options.minutes * 60,
        max_tokens=options.max_tokens,
        seed=options.seed,
    )
    result, signature = judge_model(folder, lines, trained)
    shared = {
        "minutes": f"{options.minutes:g} of processor time for each",
        "train rows": f"of {len(pairs):,}, those of up to {options.max_tokens} source words "
        f"(SHA-256 of all: {pairs.fingerprint()[:12]})",
        "dev rows": f"{len(lines):,} of {len(dev):,}, drawn by the seed from those of 1 to "
        f"{options.max_dev_tokens} source words (SHA-256 of all: {dev.fingerprint()[:12]})",
        "BLEU": signature,
        "seed": str(options.seed),
    }
    kept = {"result": asdict(result), "shared": shared, "machine": machine}
    with replacing(_file(options.results, name), overwrite=True) as new:
        new.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    cells = zip(FIGURES, result.cells(), strict=True)
    note(f"{name}: " + ", ".join(f"{figure} {cell}" for figure, cell in cells))


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def join(folder: Path) -> tuple[str, dict[str, str]]:
    """Make the table of the figures that all models left, and what the report says besides.

    Raises:
        OptionError: a model's are missing, or they were not made alike.
    """
    kept: dict[str, dict[str, Any]] = {}
    for name in MODELS:
        try:
            kept[name] = json.loads(_file(folder, name).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise OptionError(
                f"{folder}: there are no results of {name}. Run --only {name} first."
            ) from error
    first, *others = kept
    shared = kept[first]["shared"]
    for name in others:
        for fact, value in kept[name]["shared"].items():
            if value != shared[fact]:
                raise OptionError(
                    f"{folder}: the results of {first} and {name} were made with different "
                    f"{fact}. Run one of them again, with the other's options."
                )
    results = {name: _result(one["result"]) for name, one in kept.items()}
    columns = zip(*(result.cells() for result in results.values()), strict=True)
    rows = [[figure, *cells] for figure, cells in zip(FIGURES, columns, strict=True)]
    stories = {f"training of {name}": one.trained.story for name, one in results.items()}
    facts = shared | stories | kept[first]["machine"]
    facts["load"] = "; ".join(f"{name}: {one['machine']['load']}" for name, one in kept.items())
    return markdown_table(["figure", *results], rows), facts


def _result(values: dict[str, Any]) -> Result:
    return Result(**values | {"trained": Trained(**values["trained"])})


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        "models", "Train all models for equal processor time, and compare them.", report=REPORT
    )
    add = parser.add_argument
    add("--minutes", type=float, default=20, help="of processor time for each model's training")
    add("--max-tokens", type=int, default=200, help="leave out training rows with more words")
    add("--dev-rows", type=int, default=500, help="so many dev rows, drawn by the seed")
    add("--max-dev-tokens", type=int, default=200, help="leave out dev rows with more words")
    default = cache_folder("models")
    add("--results", type=Path, default=default, help="folder of the models and their figures")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--only", choices=MODELS, help="run this model, and write no report")
    alone.add_argument("--join", action="store_true", help="only make the table of the results")
    names = ("minutes", "max_tokens", "dev_rows", "max_dev_tokens")
    return read_options(parser, arguments, above_zero=names)


ABOUT = f"""\
Every model is trained on MEDDOCAN's training rows for the same processor time, by one cycle, with
gradients of norm 1 at most and else annoseq's defaults, and then writes greedily for the same dev
rows in batches of 64: freely, and faithfully, which can place tags alone. Span F1 is strict. The
accuracy counts the words of the target, tags and the end among them, that stand at their place in
the free output; BLEU compares the same texts. For all models a word is a word, whatever the
tokens. Loading, vocabularies and the short run that tells how many epochs there is time for are not
counted, the validation on {WATCHED} other dev rows after each epoch is. {EXPLAINED}"""


def main(given: Sequence[str] | None = None) -> int:
    """Run models, print the table, and replace the report."""
    arguments = list(sys.argv[1:] if given is None else given)
    options = parse_arguments(arguments)

    def work() -> None:
        options.results.mkdir(parents=True, exist_ok=True)
        if not options.join:
            for name in [options.only] if options.only else MODELS:
                run_one(name, options)
        if options.only:
            return
        table, facts = join(options.results)
        print(table)
        write_report(
            options.out,
            title="All models after equal time",
            about=ABOUT,
            tables=[table],
            facts=facts | made_by("models", arguments),
        )

    with one_core(options.core):
        return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
