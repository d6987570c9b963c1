"""Models with random weights, texts that are hard to keep, and what must hold of annotations."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import torch

from annoseq.config import (
    BatchConfig,
    DataConfig,
    GruConfig,
    NetworkConfig,
    SearchConfig,
    TaggerConfig,
    TrainingConfig,
)
from annoseq.data.examples import parse_pairs
from annoseq.data.markup import Span, escape, parse, strip_tags
from annoseq.data.pairs import Pair, Pairs
from annoseq.decoding.sliding_window import cut_windows
from annoseq.errors import MarkupError
from annoseq.inference.annotator import Annotator
from annoseq.models.build import build_seq2seq, build_tagger
from annoseq.models.encoder_folder import open_encoder
from annoseq.models.ensemble_folder import EnsembleModel
from annoseq.models.model_config import ModelConfig
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.gazetteer import LexiconFeatures, LexiconMatcher, RegexPattern
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from tests.data.strategies import ODD_PIECES
from tests.encoders import encoder_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.inference.annotation import Annotation

WORDS = ["Dr", ".", " Ames", ",", " 31", "y", " ", "\t", "{", "}", "/", "\\", " A", "\u0301"]
HARD = [
    *ODD_PIECES,
    *WORDS,
    *["\n", "\r", "\r\n", "\v", "\f", "\u2029", "\u3000", "\u200b", "\u200e", "\u202e", "\u2066"],
    *["שלום", "مرحبا", "Zoë", "नमस्ते", "ภาษา", "漢字", "👩‍👩‍👧", "🏳️‍🌈", "👍🏽", "🇫🇷", "1️⃣"],
    *["\x00", "\x07", "\x1b[0m", "\x7f", "\x9f", "\ufffd", "\ufffe", "\U0010ffff", "\U000e0001"],
    *["<pad>", "<unk>", "<bos>", "<eos>", "{{NAME}}", "{{/NAME}}", "{{\\/NAME}}", "{{{{AGE}}}}"],
]
FLAT = [
    "Dr.{{NAME}} Ames{{/NAME}}, {{AGE}}31{{/AGE}}y",
    "{{NAME}}Zoë{{/NAME}}\t{} 👍🏽" + escape("{{A}}") + " \u0301",
]
NESTED = [
    "Dr.{{A}}{{B}} Ames{{A}}, 31{{/A}}y{{/B}}\n{{/A}}",
    "{{C}}{{B}}Dr{{/B}} Zoë{{/C}}\r\n 👍🏽{{A}}.{{/A}} \x00",
]
PLAIN = ["Dr. Ames, 31y", "Zoë\t{} 👍🏽 \u0301 \x00"]
MODELS = {"flat": FLAT, "nested": NESTED, "without labels": PLAIN, "in pieces": NESTED}
SEARCHES = {
    "greedy": SearchConfig(),
    "beam": SearchConfig(search="beam", beam_size=3, n_best=3),
    "sample": SearchConfig(search="sample", samples=2),
    "hot sample": SearchConfig(search="sample", temperature=5),
    "top-k": SearchConfig(search="top-k", k=2),
    "nucleus": SearchConfig(search="nucleus", p=0.8),
}
TAGGERS = {
    "flat tagger": (FLAT, "lstm"),
    "nested tagger": (NESTED, "lstm"),
    "tagger without labels": (PLAIN, "lstm"),
    "nested tagger of convolutions": (NESTED, "convolution"),
    "nested tagger of attention": (NESTED, "transformer"),
    "tagger with a pre-trained bert": (FLAT, "lstm"),
    "nested tagger with a pre-trained roberta": (NESTED, "linear"),
    "nested tagger with a pre-trained xlm-roberta": (NESTED, "lstm"),
    "tagger with a pre-trained deberta-v2": (FLAT, "linear"),
    "ensemble of flat taggers": (FLAT, "lstm"),
    "ensemble of nested taggers": (NESTED, "lstm"),
    "ensemble with a writer": (FLAT, "lstm"),
}
ONE_PASS = "one pass"
"""Name of the decoding of taggers, which have no search."""
KINDS = [*itertools.product(MODELS, SEARCHES), *((name, ONE_PASS) for name in TAGGERS)]
BATCHING = BatchConfig(batch_size=512, batch_tokens=16_384)
_LEXICON_MATCHER = LexiconMatcher(
    lists={"names": ("ames", "dr\x1f\x1f.")},
    patterns={"odd": RegexPattern(pattern=r"[{}\s]+"), "none": RegexPattern(pattern=r"x*")},
)


@cache
def random_annotator(name: str, *, seed: int = 0) -> Annotator:
    """Build a model that has never been trained and decides with conviction."""
    if name in TAGGERS:
        return _random_tagger(name, seed=seed)
    pairs = _pairs(name, MODELS[name])
    config = DataConfig(task="annotate", min_frequency=1)
    if name == "in pieces":
        config = DataConfig(task="annotate", min_frequency=9, tokens="bpe")  # all in characters
    tokenizer = Dataset.from_pairs(pairs, valid=pairs, config=config).tokenizer
    shape = NetworkConfig.of(GruConfig(embedding=8, hidden=8, layers=1))
    network = build_seq2seq(shape, tokenizer, seed=seed)
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(3)
    about = ModelConfig(
        task="annotate",
        length_stats=tokenizer.length_stats,
        fingerprint="none",
        data=config,
        network=shape,
        training=TrainingConfig(),
        batching=BatchConfig(),
        epochs=0,
    )
    return Annotator(TrainedModel(network, tokenizer, about))


def _pairs(name: str, targets: Sequence[str]) -> Pairs:
    return Pairs(
        [Pair(strip_tags(target), target, row) for row, target in enumerate(targets, 1)], name=name
    )


def _random_tagger(name: str, *, seed: int) -> Annotator:
    """Build a tagger with random weights, or an ensemble of two models."""
    model = _random_tagger_model(name, seed=seed)
    if not name.startswith("ensemble"):
        return Annotator(model)
    if name.endswith("writer"):
        ensemble = EnsembleModel.of([random_annotator("flat").model, model], ["one", "two"])
        return Annotator(replace(ensemble, vote_weight=2.0))
    other = _random_tagger_model(name, seed=seed + 1)
    return Annotator(EnsembleModel.of([model, other], ["one", "two"]))


def _random_tagger_model(name: str, *, seed: int) -> TrainedModel:
    """Build a tagger with random weights, which also reads a list and patterns."""
    targets, encoder = TAGGERS[name]
    settings = TaggerConfig.model_validate(
        {"encoder": encoder, "hidden": 8, "embedding": 4, "buckets": 1024}
    )
    shape = NetworkConfig.of(settings)
    examples = parse_pairs(_pairs(name, targets)).examples
    plain = TaggerTokenizer.fit(
        examples, buckets=settings.buckets, lexicon_features=LexiconFeatures()
    )
    tokenizer = replace(plain, lexicon_matcher=_LEXICON_MATCHER)
    _, _, family = name.partition(" pre-trained ")
    pretrained = open_encoder(encoder_folder(family)) if family else None
    network = build_tagger(settings, tokenizer, seed=seed, pretrained=pretrained)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in network.parameters():
            weights.normal_(generator=generator)
    about = ModelConfig(
        task="annotate",
        length_stats=tokenizer.length_stats,
        fingerprint="none",
        data=DataConfig(task="annotate"),
        network=shape,
        training=TrainingConfig(),
        batching=BatchConfig(),
        epochs=0,
        encoder=None if pretrained is None else pretrained.record,
    )
    return TrainedModel(network, tokenizer, about)


def hard_texts(count: int, *, seed: str) -> Iterator[str]:
    """Yield texts of every Unicode scalar value, mostly short, one in 200 long."""
    generator = random.Random(seed)
    for _ in range(count):
        pieces = int(generator.expovariate(1 / 6)) if generator.random() > 0.005 else 150
        yield "".join(_piece(generator) for _ in range(pieces))


def _piece(generator: random.Random) -> str:
    code = generator.randrange(0x110000 - 0x800)
    any_character = chr(code if code < 0xD800 else code + 0x800)
    return any_character if generator.random() < 0.2 else generator.choice(HARD)


def annotate(name: str, search: str, texts: Sequence[str]) -> list[Annotation]:
    """Annotate texts by a random model, without a progress bar."""
    return random_annotator(name).annotate(
        texts, search=SEARCHES.get(search), batching=BATCHING, advance=lambda done: None
    )


def violations(name: str, text: str, found: Annotation) -> list[str]:
    """Say what is wrong with the annotation of a text: nothing, whatever the weights."""
    tokenizer = random_annotator(name).tokenizer
    outputs = [found, *found.alternatives]
    wrong = [problem for one in outputs for problem in _of_one(text, one)]
    if found.windows != len(
        cut_windows(tokenizer.encode_text(text)[0].tokens, tokenizer.length_stats)
    ):
        wrong.append("another number of windows")
    wrong += [
        "nested too deep"
        for one in outputs
        if _depth(one.spans or ()) > tokenizer.length_stats.depth
    ]
    return wrong


def _of_one(text: str, found: Annotation) -> Iterator[str]:
    if found.text != text:
        yield "another text"
    if strip_tags(found.annotated) != text:
        yield "the text was changed"
    try:
        if parse(found.annotated) != (text, list(found.spans or ())):
            yield "the spans are not those of the markup"
    except MarkupError as error:
        yield f"malformed: {error}"
    for span in found.spans or ():
        marked = text[span.start : span.end]
        if not marked or marked != marked.strip():
            yield "a span of white space, or with white space at its edge"
        if span.score is None or not 0 <= span.score <= 1 + 1e-6:
            yield "a span without a probability"
    if found.problem is not None or not found.score <= 1e-6:
        yield "a problem, or no log-probability"


def _depth(spans: Sequence[Span]) -> int:
    """Return the largest number of nested spans around a place; crossing spans are not nested."""
    deepest, opened = 0, list[Span]()
    for span in sorted(spans, key=lambda one: (one.start, -one.end)):
        while opened and opened[-1].end < span.end:
            opened.pop()
        opened.append(span)
        deepest = max(deepest, len(opened))
    return deepest
