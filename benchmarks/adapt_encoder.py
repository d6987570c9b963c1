"""Domain-adaptive pre-training of an encoder: masked language modelling on a corpus' own texts.

An encoder that has read general text only learns the words and the style of a field before it is
fine-tuned (Gururangan et al. 2020, "Don't stop pretraining", arXiv:2004.10964). Of every block 15 %
of the sub-words are masked, as in BERT, and predicted; the weights of the encoder are written, and
the head is thrown away. The texts are those of `benchmarks.unlabelled_sentences` and
`benchmarks.background`; training rows may be among them, without their tags.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from functools import partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from annoseq.atomic_io import atomic_folder
from annoseq.data.text_inputs import read_texts
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError
from annoseq.models.encoder_folder import quiet
from benchmarks.budget import log
from benchmarks.command import command_line, exit_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

_BLOCK = 256
"""Sub-words of a row, special symbols included."""
_MASKED, _REPLACED = 0.15, (0.8, 0.9)
"""Share of sub-words that are predicted; of these 80 % are masked, 10 % another, the rest kept."""
_WARMUP = 0.06
_UNPREDICTED = -100
_LOGGED_EVERY = 100


class Masked(NamedTuple):
    """Rows (B, S) of sub-words with some of them masked; `labels` has these, and else -100."""

    ids: Tensor
    labels: Tensor


def cut_blocks(texts: Iterable[str], tokenizer: Any) -> Tensor:
    """Return the sub-words of all texts, one after the other, as full blocks (N, S).

    Raises:
        OptionError: they fill no block.
    """
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    separator = [tokenizer.sep_token_id]
    flat = np.concatenate([np.array(ids + separator, np.int64) for ids in encoded])
    width = _BLOCK - 2
    rows = flat[: len(flat) // width * width].reshape(-1, width)
    if not len(rows):
        raise OptionError(f"the texts fill no block of {_BLOCK} sub-words. Give more.")
    first, last = (np.full((len(rows), 1), id_) for id_ in (tokenizer.cls_token_id, *separator))
    return torch.from_numpy(np.concatenate([first, rows, last], axis=1))


def mask(ids: Tensor, tokenizer: Any, generator: torch.Generator) -> Masked:
    """Choose and mask sub-words of rows, special symbols excepted."""
    special = torch.tensor(tokenizer.all_special_ids, device=ids.device)
    draw = partial(torch.rand, ids.shape, generator=generator, device=ids.device)
    chosen = (draw() < _MASKED) & ~torch.isin(ids, special)
    labels = torch.where(chosen, ids, _UNPREDICTED)
    fate, shuffled = draw(), ids.flatten()[torch.randperm(ids.numel(), device=ids.device)]
    masks, others = _REPLACED
    ids = torch.where(chosen & (fate < masks), tokenizer.mask_token_id, ids)
    other = chosen & (fate >= masks) & (fate < others)
    return Masked(torch.where(other, shuffled.view_as(ids), ids), labels)


def rate_factor(progress: float) -> float:
    """Return the share of the highest rate: it rises to 1 in the warm-up, and falls to 0.

    >>> [rate_factor(place) for place in (0.0, 0.03, 0.06, 0.53, 1.0)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if progress < _WARMUP:
        return progress / _WARMUP
    return max(0.0, (1 - progress) / (1 - _WARMUP))


def adapt(
    model: Any,
    blocks: Tensor,
    tokenizer: Any,
    *,
    compute: ComputeDevice,
    options: argparse.Namespace,
) -> float:
    """Train a masked language model; return the mean loss of the last tenth of the steps."""
    model.to(compute.device).train()
    head = model.lm_head if hasattr(model, "lm_head") else model.cls
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    generator = torch.Generator(compute.device).manual_seed(options.seed)
    losses: list[float] = []
    for progress, rows in _steps(len(blocks), options):
        for group in optimizer.param_groups:
            group["lr"] = options.max_lr * rate_factor(progress)
        batch = mask(blocks[rows].to(compute.device), tokenizer, generator)
        is_predicted = batch.labels != _UNPREDICTED
        with compute.running():
            states = model.base_model(input_ids=batch.ids).last_hidden_state
            scores = head(states[is_predicted]).float()
            loss = F.cross_entropy(scores, batch.labels[is_predicted])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if len(losses) % _LOGGED_EVERY == 0:
            log(f"{progress:.0%}: loss {mean(losses[-_LOGGED_EVERY:]):.3f}")
    return mean(losses[-max(1, len(losses) // 10) :])


def _steps(count: int, options: argparse.Namespace) -> Iterator[tuple[float, Tensor]]:
    """Yield the rows of every batch of the epochs, and the share of the training that is over.

    That is the share of the steps or of the time, whichever is larger.
    """
    order = torch.Generator().manual_seed(options.seed)
    steps, step = options.epochs * -(-count // options.rows_per_batch), 0
    began = time.monotonic()
    for _ in range(options.epochs):
        for rows in torch.split(torch.randperm(count, generator=order), options.rows_per_batch):
            progress = max(step / steps, (time.monotonic() - began) / options.seconds)
            if progress >= 1:
                return
            yield progress, rows
            step += 1


def write_adapted(options: argparse.Namespace) -> None:
    """Read an encoder and texts, adapt it, and write its folder.

    Raises:
        OptionError: there is too little text.
        OutputError: the folder exists already.
        TableError: a table of texts cannot be read.
    """
    import transformers

    torch.manual_seed(options.seed)
    texts = dict.fromkeys(
        text.text for path in options.texts for text in read_texts(path, column="orig_text")
    )
    tokenizer = _read_tokenizer(options.encoder)
    blocks = cut_blocks(texts, tokenizer)
    log(f"{len(texts):,} texts, {blocks.numel():,} sub-words")
    with quiet():
        model = transformers.AutoModelForMaskedLM.from_pretrained(
            options.encoder, local_files_only=True, trust_remote_code=False
        )
    compute = ComputeDevice.select(options.device)
    loss = adapt(model, blocks, tokenizer, compute=compute, options=options)
    with quiet(), atomic_folder(options.out, overwrite=False) as new:
        model.base_model.cpu().save_pretrained(new)
        for name in ("tokenizer.json", "README.md"):
            shutil.copyfile(options.encoder / name, new / name)
    log(f"wrote {options.out}; loss {loss:.3f}")


def _read_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of an encoder with its special symbols, by the names that it has."""
    import transformers

    file = str(folder / "tokenizer.json")
    plain = transformers.PreTrainedTokenizerFast(tokenizer_file=file)
    known = plain.get_vocab()

    def first(*names: str) -> str:
        return next(name for name in names if name in known)

    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=file,
        cls_token=first("<s>", "[CLS]"),
        sep_token=first("</s>", "[SEP]"),
        mask_token=first("<mask>", "[MASK]"),
        pad_token=first("<pad>", "[PAD]"),
    )


def main(given: Sequence[str] | None = None) -> int:
    """Write the folder of an adapted encoder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adapt_encoder", description=__doc__)
    add = parser.add_argument
    add("encoder", type=Path, help="folder of an encoder")
    add("--texts", nargs="+", type=Path, required=True, help="tables of texts, in orig_text")
    add("--out", type=Path, required=True, help="folder to write")
    add("--epochs", type=int, default=3)
    add("--seconds", type=float, default=3600.0, help="after which it ends, its rate having fallen")
    add("--max-lr", type=float, default=1e-4)
    add("--rows-per-batch", type=int, default=64)
    add("--seed", type=int, default=42)
    add("--device", default="auto")
    options = parser.parse_args(command_line(given))
    return exit_status(partial(write_adapted, options))


if __name__ == "__main__":
    sys.exit(main())
