"""A message made of FHIR says what the FHIR said: read again, it gives the same facts."""

import re
from collections.abc import Iterator

import emit_parts
import pytest

from fhir_hub.hl7v2.emit.emit import VERSIONS, Receiver
from fhir_hub.hl7v2.emit.validity import faults
from fhir_hub.hl7v2.parsing import structure

EVENTS = {
    "01": "ADT^A04",
    "03": "ADT^A40",
    "04": "SIU^S12",
    "07": "SIU^S26",
    "08": "ORU^R01",
    "09": "ORU^R01",
    "13": "REF^I12",
    "14": "RRI^I12",
    "15": "RRI^I12",
}
# PV1-10 has one component until 2.6: a service's code comes back without system and text.
_SHORTENED = ("serviceType",)


def kept(facts: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {one for one in facts if not any(f".{name}." in one[0] for name in _SHORTENED)}


def of_patient(facts: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {one for one in facts if one[0].startswith("Patient ")}


@pytest.mark.parametrize("number", ["01", "03", "04", "07", "08", "13", "14", "15"])
def test_an_example_comes_back_with_the_same_facts(number):
    conversion = emit_parts.read(emit_parts.example(number))

    emitted = emit_parts.written(conversion, EVENTS[number])

    before, after = emit_parts.facts(conversion), emit_parts.facts(emit_parts.read(emitted.raw))
    assert kept(before) ^ kept(after) == set()
    assert before
    assert emitted.left_out == ()


@pytest.mark.no_cover  # many rounds of what other tests cover
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("number", ["01", "03", "04", "08", "13", "15"])
def test_what_is_written_has_the_structure_of_its_version(number, version):
    conversion = emit_parts.read(emit_parts.example(number))

    emitted = emit_parts.written(conversion, EVENTS[number], Receiver(version=version))

    assert faults(emitted.text) == []
    assert f"|{version}|" in emitted.text.partition("\r")[0]


def test_a_message_of_another_structure_is_told():
    emitted = emit_parts.written(emit_parts.read(emit_parts.example("08")), "ORU^R01")

    assert faults(emitted.text.replace("OBR|", "OBY|", 1)) != []


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("GBK", "gb18030"), ("GB 18030-2000", "gb18030"), ("UNICODE UTF-8", "utf-8")],
)
def test_characters_whose_bytes_hold_a_delimiter_come_back(charset, codec):
    raw = emit_parts.EXAMPLES.joinpath("quirks/q7_gbk_delimiter_bytes.hl7").read_bytes()
    conversion = emit_parts.read(raw)

    emitted = emit_parts.written(conversion, "ADT^A08", Receiver(charset=charset))

    assert emitted.raw.decode(codec) == emitted.text
    assert f"|{charset}" in emitted.text.partition("\r")[0]
    again = emit_parts.read(emitted.raw)
    before, after = (of_patient(emit_parts.facts(one)) for one in (conversion, again))
    assert before
    assert before ^ after == set()


def misfits(text: str) -> set[str]:
    """Return where a message has what its version has no room for, or lacks what it demands."""
    version = text.split("|", 12)[11]
    return {
        one
        for line in text.rstrip("\r").split("\r")
        if not line.startswith("Z")
        for one in _misfits_of(line, version)
    }


def _misfits_of(line: str, version: str) -> Iterator[str]:
    name, *values = line.split("|")
    values = ["|", "", *values[1:]] if name == "MSH" else values
    shapes = structure.fields(name, version)
    for number, shape in enumerate(shapes, start=1):
        value = values[number - 1] if number <= len(values) else ""
        if not value:
            if shape.is_required and (name, number) != ("MSH", 2):
                yield f"{name}-{number} is empty"
            continue
        if (name, number) == ("OBX", 5):
            shape = structure.datatype(values[1], version)
        repetitions = value.split("~")
        if shape.most == 0 or 0 < shape.most < len(repetitions):
            yield f"{name}-{number} stands {len(repetitions)} times"
        for one in repetitions:
            if one != '""':
                yield from (f"{name}-{number}{told}" for told in _misfits_in(one, shape, "^"))
    if len(values) > len(shapes):
        yield f"{name}-{len(values)} is none"


def _misfits_in(text: str, shape: structure.Shape, mark: str) -> Iterator[str]:
    texts = text.split(mark)
    if len(texts) > max(1, len(shape.parts)):
        yield f".{len(texts)} is none"
    form = "" if shape.parts else _FORMS.get(shape.datatype, "")
    if form and text and not re.fullmatch(form, text):
        yield f" is no {shape.datatype}"
    for at, part in enumerate(shape.parts, start=1):
        one = texts[at - 1] if at <= len(texts) else ""
        if (bool(one) and part.most == 0) or (not one and part.is_required):
            yield f".{at}"
        if one and (shape.datatype, at) != ("XON", 3) and mark == "^":
            yield from (f".{at}{told}" for told in _misfits_in(one, part, "&"))


_FORMS = {"DT": r"\d{4}(\d\d){0,2}", "NM": r"[+-]?\d+(\.\d+)?", "SI": r"\d+"}


@pytest.mark.no_cover  # many rounds of what other tests cover
@pytest.mark.parametrize("version", VERSIONS)
def test_each_field_has_the_datatype_of_its_version(version):
    told = dict(RICH)
    for number, event in EVENTS.items():
        told[event, number] = emit_parts.example(number)
    for (event, number), raw in told.items():
        emitted = emit_parts.written(emit_parts.read(raw), event, Receiver(version=version))

        assert misfits(emitted.text) == set(), (event, number)


# What versions have of different size: degrees, phones, check digits, three codings, a day's time.
RICH = {
    (
        "ADT^A31",
        "rich",
    ): b"MSH|^~\\&|HIS|SHTH01|HUB|H|20250314103000||ADT^A31^ADT_A05|G1|P|2.5|||||CHN\r"
    b"PID|1||T1^4^M11^SHTH01||Shen^Gui^^^Dr^^L||19530412|F|||||021-59720000|||M^m^HL70002^20^n^L^^^t\r"
    b"NK1|1|Shen^Li|CHD||021-59720001||C|20250101101112\r"
    b"PV1|1|I|W1-2^3||||D1^Dai^Hui^^^Dr^MD~D2^Gu^Wen^^^^MD\rPV2||||||||||||||D1^Dai^Hui~D2^Gu^Wen\r"
    b"AL1|1|DA|J01CA^p^ATC|MO|r|20250101101112\rDG1|1||E11^d^I10\r"
    b"IN1|1|310^z^L||||||||20250101101112|20260101\rPR1|1||P1^p^L\r",
    ("ORU^R01", "rich"): b"MSH|^~\\&|LIS|SHTH01|HUB|H|20250314103000||ORU^R01^ORU_R01|G2|P|2.8\r"
    b"PID|1||T1\rORC|RE|P1|F1||||^^^^^S\rOBR|1|P1|F1|X^x^L|||20250314||||||||||D1^Dai^Hui^^^^MD\r"
    b"OBX|1|CWE|C1^c^L||1^a^L^2^b^LN^^^text^3^c^SCT||||||F|||20250314||||EQ1^AU^1.2^ISO\r"
    b"OBX|2|DTM|C2^c^L||20250314101112||||||F\rOBX|3|SN|C3^c^L||>^5||||||F\rOBX|4|NM|C4^c^L||5|||||\r",
}
