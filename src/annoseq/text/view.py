"""Rows as the model sees them: tokens apart, the pieces of a word joined, unknown ones marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from annoseq.text.vocabulary import SPECIALS, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.pairs.pair import Pair
    from annoseq.text.codec import Codec
    from annoseq.text.vocabulary import Vocabulary

_JOINT = "|"
_VISIBLE = str.maketrans({" ": "·", "\n": "⏎", "\r": "␍", "\t": "⇥"})


def show_examples(pairs: Sequence[Pair], codec: Codec, *, console: Console | None = None) -> None:
    """Print the tokens of pairs.

    `·` is the space that a token carries, `<unk:...>` a token that the vocabulary lacks; where a
    word is written in pieces, `|` stands between them, and in front where the first has no text.
    """
    table = Table(show_lines=True)
    table.add_column("row", justify="right")
    table.add_column("source", ratio=1, overflow="fold")
    table.add_column("target", ratio=1, overflow="fold")
    for pair, row in zip(pairs, codec.tokenize(pairs), strict=True):
        table.add_row(
            str(pair.row), _marked(row.source, codec.source), _marked(row.target, codec.target)
        )
    (console or Console()).print(table)


def _marked(tokens: Sequence[str], vocabulary: Vocabulary) -> Text:
    text = Text()
    for token, id_ in zip(tokens, vocabulary.look_up(tokens), strict=True):
        if vocabulary.spelling.continues(token):
            text.append(_JOINT, style="dim")
        elif text:
            text.append(" ")
        visible = vocabulary.spelling.visible(token).translate(_VISIBLE)
        if id_ == UNKNOWN:
            text.append(f"{SPECIALS[UNKNOWN][:-1]}:{visible}>", style="bold red")
        else:
            text.append(visible)
    return text
