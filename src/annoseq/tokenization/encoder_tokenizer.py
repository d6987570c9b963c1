"""Sub-words of tokens for a pre-trained encoder, by that encoder's own tokenizer.

The tokens stay ours: each is split into sub-words by itself, as with `is_split_into_words` of the
transformers library, so that spans end between tokens whatever the encoder's vocabulary is. A token
carries the space before it, which byte-level BPE and SentencePiece read as part of a sub-word.
"""

from __future__ import annotations

import json
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PROBE = "a"


class SpecialIds(NamedTuple):
    """Ids of the special symbols before and after a window, such as `[CLS]` and `[SEP]`."""

    before: list[int]
    after: list[int]


class EncoderTokenizer:
    """Tokenizer of a pre-trained encoder.

    `text` is the content of a `tokenizer.json` of the tokenizers library. Its truncation and
    padding are switched off, and symbols in a text, such as a literal `[SEP]`, are read as text.

    Raises:
        ValueError: the text is not a tokenizer.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._within = _read_tokenizer(text, adds_space=False)
        self._word_start: Tokenizer | None = None
        if _is_sentencepiece(text):
            self._word_start = _read_tokenizer(text, adds_space=True)

    @property
    def marks_spaces(self) -> bool:
        """True for SentencePiece, to which a token begins a word or goes on with one."""
        return self._word_start is not None

    @property
    def size(self) -> int:
        """Largest id + 1."""
        return max(self._within.get_vocab(with_added_tokens=True).values()) + 1

    @property
    def has_sub_words(self) -> bool:
        """False if special symbols are all that it knows, as if its vocabulary were lost."""
        special = {token.content for token in self._within.get_added_tokens_decoder().values()}
        pieces = self._within.get_vocab(with_added_tokens=False).keys() - special
        return any(piece.strip("▁") for piece in pieces)

    @cached_property
    def unknown_id(self) -> int | None:
        """Id of the symbol that stands for unknown sub-words; byte-level BPE has none."""
        model = json.loads(self._within.to_str())["model"]
        if model.get("unk_id") is not None:  # Unigram
            return int(model["unk_id"])
        return self._within.token_to_id(model.get("unk_token") or "")

    @cached_property
    def special_ids(self) -> SpecialIds:
        """Ids of the symbols that the tokenizer puts before and after a text."""
        encoding = self._within.encode([_PROBE], is_pretokenized=True)
        own = [place for place, mask in enumerate(encoding.special_tokens_mask) if not mask]
        first, last = (own[0], own[-1] + 1) if own else (len(encoding.ids), len(encoding.ids))
        return SpecialIds(encoding.ids[:first], encoding.ids[last:])

    def decoded_vocabulary(self) -> list[str]:
        """Return the sub-words by their ids, without the marks of their place in a word."""
        ids = sorted(self._within.get_vocab(with_added_tokens=False).values())
        return [self._within.decode([id_]).strip() for id_ in ids]

    def split(self, tokens: Sequence[str], *, starts_words: bool = False) -> list[list[int]]:
        """Return the sub-word ids of each token, without special symbols; a token may have none.

        With `starts_words`, SentencePiece reads a token as if it had a space before it.
        """
        if self._word_start is None:
            return _split(self._within, tokens)
        has_space = [starts_words or _has_space(token) for token in tokens]
        words = [token.removeprefix(" ") if _has_space(token) else token for token in tokens]
        word_starts = iter(_split(self._word_start, compress(words, has_space)))
        others = iter(_split(self._within, compress(words, (not it for it in has_space))))
        return [next(word_starts if it else others) for it in has_space]


def _split(tokenizer: Tokenizer, tokens: Iterable[str]) -> list[list[int]]:
    encodings = tokenizer.encode_batch(
        [[token] for token in tokens], is_pretokenized=True, add_special_tokens=False
    )
    return [encoding.ids for encoding in encodings]


def _has_space(token: str) -> bool:
    return len(token) > 1 and token[0] == " "


def _read_tokenizer(text: str, *, adds_space: bool) -> Tokenizer:
    """Return a tokenizer that puts a space before every token it is given, or none.

    Raises:
        ValueError: the text is not a tokenizer.
    """
    settings = json.loads(text)
    if not isinstance(settings, dict):
        raise ValueError("not a JSON object")
    settings |= {"truncation": None, "padding": None}
    for component in _components(settings.get("pre_tokenizer")):
        if component.get("type") == "Metaspace":
            component.pop("add_prefix_space", None)
            component["prepend_scheme"] = "always" if adds_space else "never"
        elif component.get("type") == "ByteLevel":
            component["add_prefix_space"] = False
    normalizers = list(_components(settings.get("normalizer")))
    if not adds_space and any(component.get("type") == "Prepend" for component in normalizers):
        kept = [component for component in normalizers if component.get("type") != "Prepend"]
        settings["normalizer"] = {"type": "Sequence", "normalizers": kept}
    try:
        tokenizer = Tokenizer.from_str(json.dumps(settings))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError("not a tokenizer of the tokenizers library") from error
    tokenizer.encode_special_tokens = True
    return tokenizer


def _is_sentencepiece(text: str) -> bool:
    """True if a space before a word is written as a mark, by one of two components."""
    settings = json.loads(text)
    components = [
        *_components(settings.get("pre_tokenizer")),
        *_components(settings.get("normalizer")),
    ]
    return any(component.get("type") in {"Metaspace", "Prepend"} for component in components)


def _components(component: Any) -> Iterator[dict[str, Any]]:
    """Yield the parts of a normalizer or pre-tokenizer, those of sequences one by one."""
    if not isinstance(component, dict):
        return
    if component.get("type") != "Sequence":
        yield component
        return
    for part in component.get("normalizers") or component.get("pretokenizers") or ():
        yield from _components(part)
