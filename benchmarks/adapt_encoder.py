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
from functools import partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from annoseq.atomic_io import atomic_folder
from annoseq.data.text_inputs import read_texts
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError
from annoseq.models.encoder_folder import quiet
from benchmarks.budget import log
from benchmarks.command import command_line, exit_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

_BLOCK = 256
"""Sub-words of a row, special symbols included."""
_WARMUP = 0.06
_UNPREDICTED = -100
"""Label of a sub-word that is not predicted, in batches of transformers."""


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


def adapt(
    model: Any,
    blocks: Tensor,
    tokenizer: Any,
    *,
    compute: ComputeDevice,
    options: argparse.Namespace,
) -> float:
    """Train a masked language model; return the mean loss of the last tenth of the steps."""
    import transformers

    model.to(compute.device).train()
    head = model.lm_head if hasattr(model, "lm_head") else model.cls
    examples: Any = [{"input_ids": block} for block in blocks]
    batches: DataLoader[Any] = DataLoader(
        examples,
        batch_size=options.rows_per_batch,
        shuffle=True,
        collate_fn=transformers.DataCollatorForLanguageModeling(tokenizer),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.max_lr, weight_decay=0.01)
    steps = options.epochs * len(batches)
    schedule = transformers.get_linear_schedule_with_warmup(
        optimizer, round(_WARMUP * steps), steps
    )
    losses: list[float] = []
    for epoch in range(1, options.epochs + 1):
        for batch in batches:
            batch.to(compute.device)
            is_predicted = batch["labels"] != _UNPREDICTED
            with compute.running():  # the head reads what is predicted alone: it is wide
                states = model.base_model(input_ids=batch["input_ids"]).last_hidden_state
                scores = head(states[is_predicted]).float()
                loss = F.cross_entropy(scores, batch["labels"][is_predicted])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        log(f"epoch {epoch}: loss {mean(losses[-len(batches) :]):.3f}")
    return mean(losses[-max(1, len(losses) // 10) :])


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
    add("--max-lr", type=float, default=1e-4)
    add("--rows-per-batch", type=int, default=64)
    add("--seed", type=int, default=42)
    add("--device", default="auto")
    options = parser.parse_args(command_line(given))
    return exit_status(partial(write_adapted, options))


if __name__ == "__main__":
    sys.exit(main())
