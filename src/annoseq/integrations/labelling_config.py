"""Labelling configuration of a Label Studio project: the text that is shown, and its labels.

The configuration is XML: `<Text name="text" value="$text"/>` shows a field of a task, and a
`<Labels name="label" toName="text">` has a `<Label value="...">` for each label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.errors import FormatError, display_name
from annoseq.formats.inline_xml import parse_xml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from xml.etree.ElementTree import Element

_PLACE = "the labelling configuration"
_EXPECTED = (
    'Expected are <Text name="text" value="$text"/> and <Labels name="label" toName="text"> with '
    'a <Label value="..."/> for each label.'
)


@dataclass(frozen=True, slots=True)
class ProjectLabel:
    """A label of a project: its name in results, and the names that a model may have for it."""

    name: str
    model_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabellingConfig:
    """The first labels of a configuration that are put into a text.

    `name` and `to_name` are those of the elements, `field` the field of a task's data with the
    text.
    """

    name: str
    to_name: str
    field: str
    labels: tuple[ProjectLabel, ...]

    @classmethod
    def parse(cls, xml: str) -> LabellingConfig:
        """Parse the configuration of a project.

        Raises:
            FormatError: it is no XML, or has no labels of a text.
        """
        root = parse_xml(xml.encode(), _PLACE)
        texts = dict(_texts(root))
        for element in root.iter("Labels"):
            shown = element.get("toName", "")
            name = element.get("name")
            if name and shown in texts:
                return cls(name, shown, texts[shown], tuple(_labels(element)))
        raise FormatError(f"{_PLACE}: there are no labels of a text. {_EXPECTED}")

    def match(self, model_labels: Iterable[str]) -> dict[str, str]:
        """Return the project's label of each label of a model that has one.

        It is the label whose `predicted_values` name it, or of its own name, in any case.

        >>> config = LabellingConfig("label", "text", "text", (ProjectLabel("Name", ("Name",)),))
        >>> config.match(["NAME", "DATE"])
        {'NAME': 'Name'}
        """
        exact = _by_name(self.labels)
        folded = {name.casefold(): label for name, label in exact.items()}
        found = (
            (label, exact.get(label) or folded.get(label.casefold())) for label in model_labels
        )
        return {label: name for label, name in found if name is not None}

    def learned_labels(self, model_labels: Iterable[str]) -> dict[str, str]:
        """Return the label of the model that each label of the project is learned as.

        A label that none or several of the model's become is left out: it is learned as it is.
        """
        sources: dict[str, list[str]] = {}
        for label, name in self.match(model_labels).items():
            sources.setdefault(name, []).append(label)
        return {name: labels[0] for name, labels in sources.items() if len(labels) == 1}


def _texts(root: Element) -> Iterator[tuple[str, str]]:
    """Yield the name of each text that is shown, and the field of the tasks' data."""
    for element in root.iter("Text"):
        name, value = element.get("name"), element.get("value", "")
        if element.get("valueType") == "url":
            raise FormatError(
                f'{_PLACE}: the texts are loaded from addresses (valueType="url"), and this '
                "server fetches nothing. Import the texts themselves into the tasks."
            )
        if name and value.startswith("$") and value[1:]:
            yield name, value[1:]


def _labels(element: Element) -> Iterator[ProjectLabel]:
    for label in element.iter("Label"):
        value = label.get("alias") or label.get("value") or ""
        if not value.strip():
            raise FormatError(f"{_PLACE}: a <Label> has no value. Give each a name.")
        predicted = [name.strip() for name in label.get("predicted_values", "").split(",")]
        names = [name for name in predicted if name] or [label.get("value") or value]
        yield ProjectLabel(value, tuple(names))


def _by_name(labels: Iterable[ProjectLabel]) -> Mapping[str, str]:
    return {name: label.name for label in labels for name in label.model_names}


def describe_unmatched(model_labels: Sequence[str], matched: Mapping[str, str]) -> str | None:
    """Return a note on the labels of a model that a project does not have, None if it has all."""
    missing = [label for label in model_labels if label not in matched]
    if not missing:
        return None
    names = ", ".join(display_name(label, kind="label") for label in missing)
    return (
        f"the project has no label for {names} of the model: what they mark is left out. Add "
        '<Label value="..."/>, or name them in predicted_values.'
    )
