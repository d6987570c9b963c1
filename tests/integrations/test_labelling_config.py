from __future__ import annotations

import pytest

from annoseq.errors import FormatError
from annoseq.formats.label_studio import labelling_config
from annoseq.integrations.labelling_config import LabellingConfig, describe_unmatched

LABELS = '<Labels name="l" toName="t">{}</Labels>'
TEXT = '<Text name="t" value="$note"/>'


def parse(labels: str, *, text: str = TEXT) -> LabellingConfig:
    return LabellingConfig.parse(f"<View>{LABELS.format(labels)}{text}</View>")


def test_the_configuration_that_export_writes_is_read() -> None:
    config = LabellingConfig.parse(labelling_config(["NAME:DOCTOR", 'A "quoted" <one>']))
    assert (config.name, config.to_name, config.field) == ("label", "text", "text")
    assert [label.name for label in config.labels] == ["NAME:DOCTOR", 'A "quoted" <one>']


def test_labels_match_by_predicted_values_or_their_own_names() -> None:
    config = parse(
        '<Label value="Person" predicted_values="NAME:DOCTOR, NAME:PATIENT"/>'
        '<View><Label value="Date" alias="d"/></View><Label value="AGE"/>'
    )
    matched = config.match(["NAME:DOCTOR", "NAME:PATIENT", "DATE", "AGE", "Person", "CITY"])
    assert matched == {
        "NAME:DOCTOR": "Person", "NAME:PATIENT": "Person", "DATE": "d", "AGE": "AGE",
    }  # fmt: skip
    note = describe_unmatched(["AGE", "CITY"], matched)
    assert note is not None
    assert "no label for CITY of the model: what they mark is left out" in note
    assert describe_unmatched(["AGE"], matched) is None


def test_labels_are_learned_under_the_names_of_the_model_where_that_is_clear() -> None:
    config = parse(
        '<Label value="Person" predicted_values="NAME:DOCTOR, NAME:PATIENT"/>'
        '<Label value="Date"/><Label value="Gene"/>'
    )
    assert config.learned_labels(["NAME:DOCTOR", "NAME:PATIENT", "DATE"]) == {"Date": "DATE"}


def test_the_first_labels_of_a_text_are_taken() -> None:
    xml = (
        '<View><Image name="i" value="$picture"/><Choices name="c" toName="t"/>'
        '<Labels name="pixels" toName="i"><Label value="X"/></Labels>'
        f'<Labels name="spans" toName="t"><Label value="A"/></Labels>{TEXT}</View>'
    )
    config = LabellingConfig.parse(xml)
    assert (config.name, config.field) == ("spans", "note")


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "the labelling configuration: line 1: this is not well-formed XML"),
        ('<!DOCTYPE v [<!ENTITY a "b">]><View>&a;</View>', "found an entity or an external"),
        (f"<View>{TEXT}</View>", "there are no labels of a text"),
        (f"<View>{LABELS.format('')}</View>", "there are no labels of a text"),
        (f"<View>{LABELS.format('<Label/>')}{TEXT}</View>", "a <Label> has no value"),
        (f'<View><Text name="t" value="$u" valueType="url"/>{LABELS}</View>', "fetches nothing"),
    ],
)
def test_configurations_that_cannot_be_used_are_refused(xml: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        LabellingConfig.parse(xml)
