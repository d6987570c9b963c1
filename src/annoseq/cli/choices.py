"""Settings as options that take lists and ranges: what `annoseq sweep` makes of a section.

A setting that one run takes as a number, a sweep takes as text, such as `5,10,20`. Names, help and
defaults are those of the section in `config`.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, create_model

from annoseq.config import Section


def choices_of(section: type[Section]) -> type[Section]:
    """Make a section with the same settings, each of which is text, or a switch."""
    fields: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            kind, default = choices_of(inner), choices_of(inner)()
            fields[name] = (kind, Field(default, description=field.description))
        elif inner is bool:  # a switch is the same in every run
            fields[name] = (bool, Field(field.get_default(), description=field.description))
        else:
            value = field.get_default()
            text = None if value is None else str(value)
            fields[name] = (str | None, Field(text, description=field.description))
    name = section.__name__.replace("Config", "Choices")
    return create_model(name, __base__=Section, __doc__=section.__doc__, **fields)


def given(*sections: Section) -> dict[str, str]:
    """Return what was given of some sections, by name: `max_lr`, `gru.hidden`."""
    found: dict[str, str] = {}
    for section in sections:
        for name in type(section).model_fields:
            value = getattr(section, name)
            if isinstance(value, Section):
                found |= {f"{name}.{inner}": text for inner, text in given(value).items()}
            elif name in section.model_fields_set:
                found[name] = str(value)
    return found
