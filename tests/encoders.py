"""Tiny pre-trained encoders with random weights, of each family of tokenizers and networks."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from annoseq.models.encoder_folder import quiet

if TYPE_CHECKING:
    from collections.abc import Callable

_TEXTS = [
    "Dr. Ames, 31y, saw Zoë Ames of Bath on 2/14.",
    "Seen by Dr. Ames and Nurse Lee at the Royal Infirmary, age 31.",
    "{{NAME}} [SEP] <pad> Dr. Ames\n\tsaw  nobody.",
]
_SIZES: dict[str, Any] = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
POSITIONS = 24
"""Positions of these encoders, so small that windows are needed."""


def _wordpiece(special: tuple[str, str, str, str]) -> Tokenizer:
    """Make an uncased WordPiece tokenizer, as BERT and MPNet have."""
    unknown, padding, first, last = special
    words = {word.lower() for text in _TEXTS for word in text.replace(",", " ").split()}
    letters = {letter for word in words for letter in word} | set("abcdefghijklmnopqrstuvwxyz")
    words |= {"[MASK]"}
    pieces = sorted((words - {*special}) | letters | {f"##{letter}" for letter in letters})
    vocabulary = {piece: id_ for id_, piece in enumerate([padding, unknown, first, last, *pieces])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    _add_specials(tokenizer, special)
    return tokenizer


def _byte_bpe(special: tuple[str, str, str, str]) -> Tokenizer:
    """Make a byte-level BPE tokenizer that adds a space to a text, as RoBERTa has."""
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    unknown, padding, first, last = special
    trainer = BpeTrainer(
        vocab_size=300,
        special_tokens=[first, padding, last, unknown],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXTS, trainer)
    _add_specials(tokenizer, special)
    return tokenizer


def _unigram(special: tuple[str, str, str, str]) -> Tokenizer:
    """Make a SentencePiece tokenizer, as XLM-R has."""
    unknown, padding, first, last = special
    words = sorted({f"▁{word}" for text in _TEXTS for word in text.split()})
    letters = sorted({letter for text in _TEXTS for letter in text if not letter.isspace()})
    pieces = [(word, -5.0) for word in words] + [(letter, -9.0) for letter in ["▁", *letters]]
    scores = [(symbol, 0.0) for symbol in (first, padding, last, unknown)] + [
        piece for piece in dict(pieces).items() if piece[0] not in special
    ]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    _add_specials(tokenizer, special)
    return tokenizer


def _add_specials(tokenizer: Tokenizer, special: tuple[str, str, str, str]) -> None:
    tokenizer.add_special_tokens(list(special))
    _, _, first, last = special
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (first, last)],
    )
    tokenizer.enable_truncation(4)  # as some folders have it
    tokenizer.enable_padding(length=9)


_BERT, _ROBERTA = ("[UNK]", "[PAD]", "[CLS]", "[SEP]"), ("<unk>", "<pad>", "<s>", "</s>")
FAMILIES: dict[str, tuple[Callable[[tuple[str, str, str, str]], Tokenizer], Any, dict[str, Any]]]
FAMILIES = {
    "bert": (_wordpiece, _BERT, {}),
    "roberta": (_byte_bpe, _ROBERTA, {"max_position_embeddings": POSITIONS + 2}),
    "xlm-roberta": (_unigram, _ROBERTA, {"max_position_embeddings": POSITIONS + 2}),
    "deberta-v2": (
        _unigram,
        _ROBERTA,
        {
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
        },
    ),
    "mpnet": (_wordpiece, _ROBERTA, {"max_position_embeddings": POSITIONS + 2}),
    "modernbert": (_byte_bpe, _BERT, {"layer_types": None}),
}
"""Tokenizer, special symbols and further settings of each family, by transformers' name."""


@cache
def encoder_folder(family: str) -> Path:
    """Write a tiny encoder of a family, once in a session; return its folder, to be read only."""
    return write_encoder_folder(family, Path(mkdtemp()) / f"tiny-{family}")


def write_encoder_folder(family: str, folder: Path) -> Path:
    """Write a tiny encoder of a family as transformers does, with a licence."""
    import transformers

    make_tokenizer, special, settings = FAMILIES[family]
    tokenizer = make_tokenizer(special)
    about = {
        "vocab_size": tokenizer.get_vocab_size(),
        "pad_token_id": tokenizer.token_to_id(special[1]),
        "bos_token_id": tokenizer.token_to_id(special[2]),
        "eos_token_id": tokenizer.token_to_id(special[3]),
        "cls_token_id": tokenizer.token_to_id(special[2]),
        "sep_token_id": tokenizer.token_to_id(special[3]),
        "max_position_embeddings": POSITIONS,
        **_SIZES,
        **{name: value for name, value in settings.items() if value is not None},
    }
    config = transformers.AutoConfig.for_model(family, **about)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network = transformers.AutoModel.from_config(config)
    with quiet():
        network.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Tiny\n", encoding="utf-8")
    (folder / "LICENSE").write_text("Permission is hereby granted.\n", encoding="utf-8")
    return folder


def change_config(folder: Path, **settings: Any) -> None:
    """Change settings of an encoder's configuration."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
