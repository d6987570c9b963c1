"""Label map: labels of a corpus renamed, merged or dropped, as a TOML file says.

drop = ["AGE"]

[rename]
"NAME:DOCTOR" = "NAME"
"NAME:PATIENT" = "NAME"
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from annoseq.data.streams import read_toml
from annoseq.errors import OptionError, display_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.documents import Document, Mention

_EXAMPLE = 'Write drop = ["LABEL"] in the first lines, and a table [rename] with "OLD" = "NEW".'


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Renamed and dropped labels; several that are renamed alike are merged.

    `seen` collects those that occurred.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    path: str = ""
    seen: set[str] = field(default_factory=set)

    @classmethod
    def load(cls, path: Path) -> LabelMap:
        """Read a map from a TOML file.

        Raises:
            OptionError: the file cannot be read, or holds something else than a map.
        """
        where = f"--map {path}"
        content = read_toml(path, option="--map")
        for key in content.keys() - {"drop", "rename"}:
            raise OptionError(f"{where}: the key {display_name(key)} is not known. {_EXAMPLE}")
        drop, rename = content.get("drop", []), content.get("rename", {})
        if not isinstance(drop, list) or not isinstance(rename, dict):
            raise OptionError(f"{where}: drop is no list, or rename no table. {_EXAMPLE}")
        if not all(map(_is_label, [*drop, *rename, *rename.values()])):
            raise OptionError(f"{where}: a label is empty, or no text. {_EXAMPLE}")
        for label in rename.keys() & set(drop):
            raise OptionError(
                f"{where}: the label {display_name(label)} is both renamed and dropped. "
                "Choose one of them."
            )
        return cls(rename, frozenset(drop), str(path))

    @property
    def labels(self) -> frozenset[str]:
        """Labels that are renamed or dropped."""
        return self.drop.union(self.rename)

    def apply(self, document: Document, losses: ConversionLosses) -> Document:
        """Return a document with its labels renamed; dropped mentions are counted."""
        kept: list[Mention] = []
        self.seen.update(self.labels.intersection(mention.label for mention in document.mentions))
        for mention in document.mentions:
            if mention.label in self.drop:
                losses.note(
                    "annotation",
                    f"of the label {display_name(mention.label)}, dropped by --map",
                    where=document.name,
                )
            else:
                label = self.rename.get(mention.label, mention.label)
                kept.append(replace(mention, label=label))
        return replace(document, mentions=tuple(kept))

    def note_unseen(self, losses: ConversionLosses) -> None:
        """Count the labels of the map that did not occur, which may be misspelt."""
        for label in sorted(self.labels - self.seen):
            losses.note(
                "label", f"of the map that no document has: {display_name(label)}", where=self.path
            )


def find_case_twins(labels: Iterable[str]) -> list[list[str]]:
    """Return the labels that differ in case only, together.

    >>> find_case_twins(["NAME", "Date", "Name"])
    [['NAME', 'Name']]
    """
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for label in labels:
        groups[label.casefold()].add(label)
    return [sorted(group) for _, group in sorted(groups.items()) if len(group) > 1]


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
