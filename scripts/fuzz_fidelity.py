"""Annotate many hard texts by models with random weights, and count what was not kept.

python -m scripts.fuzz_fidelity --texts 1000000 --seed 1
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from typing import TYPE_CHECKING

from tests.fidelity import KINDS, annotate, hard_texts, violations

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 4_000


def fuzz(count: int, *, seed: int, report: Callable[[str], object]) -> tuple[int, int]:
    """Return how many texts were annotated, over all models and searches, and the violations."""
    kinds = itertools.cycle(KINDS)
    done = wrong = 0
    started = time.perf_counter()
    for chunk in itertools.count():
        if done >= count:
            break
        model, search = next(kinds)
        texts = list(hard_texts(min(CHUNK, count - done), seed=f"{seed} {chunk}"))
        for text, found in zip(texts, annotate(model, search, texts), strict=True):
            for problem in violations(model, text, found):
                wrong += 1
                report(f"{model}, {search}: {problem}: {text!r}")
        done += len(texts)
        rate = done / (time.perf_counter() - started)
        report(f"{done:,} texts, {wrong} violations, {rate:,.0f} texts/s ({model}, {search})")
    return done, wrong


def main() -> None:
    """Run, and fail if a character changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    _, wrong = fuzz(
        options.texts, seed=options.seed, report=lambda line: sys.stdout.write(f"{line}\n")
    )
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
