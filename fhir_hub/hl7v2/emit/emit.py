"""A message of FHIR resources: which one, from whom, and its ER7 in the receiver's dress.

`emit` is pure: the resources, the receiver, the time and the control id come in, bytes go out,
so the same change gives the same message, which is what makes a resend harmless.

Spec: HL7v2 chapter 2, MSH; DESIGN 2a
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any, NamedTuple, get_args

from fhir_hub.errors import InvalidResource
from fhir_hub.hl7v2.datatypes.context import CHINA
from fhir_hub.hl7v2.emit import events, layouts, senders
from fhir_hub.hl7v2.emit.fill import Filler
from fhir_hub.hl7v2.emit.outbound import Outbound, no_issue
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.hl7v2.emit.shapes import NOTHING
from fhir_hub.hl7v2.emit.sheets import Sheet
from fhir_hub.hl7v2.emit.spots import Spot
from fhir_hub.hl7v2.emit.written import Written, in_ascii
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.hl7v2.parsing.er7 import Encoding
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.hl7v2.parsing.structure import fields, structure_in
from fhir_hub.hl7v2.wire import charset
from fhir_hub.settings.partners import Hl7Version

Json = dict[str, Any]
VERSIONS: tuple[str, ...] = get_args(Hl7Version)
# A set id begins anew behind these.
_RESTARTS = {"OBR": ("OBX", "NTE"), "RGS": ("AIS", "AIG", "AIL", "AIP"), "PID": ("PV1",)}

_GBK_BYTES = 2  # of a character

# What an update takes back is said in these.
_CLEARED = ("PID", "PD1", "PV1", "PV2")
# Each source of a record may have told these of her.
_OF_A_PERSON = ("NK1", "AL1", "DG1", "IN1")


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who gets a message, and how he wants it.

    `sender` names his own file in `mappings/senders/`: read backwards it has his codes, his name
    order, his time zone. `sending_facility` is said where the resources do not tell whose they are.
    Who `is_kept_told` gets a message of each change of a person.
    """

    application: str = ""
    facility: str = ""
    version: str = "2.4"
    charset: str = "UNICODE UTF-8"
    sender: str = ""
    sending_application: str = "FHIRHUB"
    sending_facility: str = "FHIRHUB"
    processing_id: str = "P"
    is_enhanced: bool = False
    application_ack: str = "NE"
    is_kept_told: bool = False


class Emitted(NamedTuple):
    """A message: its event, its control id, its text, its bytes in the receiver's character set.

    `left_out` are the elements (`Patient.photo`) that no row writes, `issues` what could only be
    written in part.
    """

    event: str
    control_id: str
    text: str
    raw: bytes
    left_out: tuple[str, ...]
    issues: tuple[str, ...]


@dataclass(slots=True)
class _Told:
    issues: list[str] = field(default_factory=list)

    def __call__(self, text: str) -> None:
        if text not in self.issues:
            self.issues.append(text)


def emit(
    resources: Resources,
    mappings: Mappings,
    receiver: Receiver,
    *,
    moment: datetime,
    control_id: str,
    event: str = "",
    main: Json | None = None,
    before: Json | None = None,
    answers: str = "",
) -> Emitted:
    """Return the message that tells of `resources`.

    `event` (`REF^I12`) is found by what they are if it is not given, as is the resource `main`
    that it is about. `before` is the version of `main` that the receiver knows, `answers` the
    control id of his message that this one answers (MSA-2). Raises `InvalidResource` if no message
    can be made of them.
    """
    about = events.about(resources, event, main, before)
    told = _Told()
    program = mappings.program_of(_structure(mappings, about.event), receiver.sender)
    settings = program.scope.settings
    if receiver.version not in VERSIONS:
        raise InvalidResource(f"messages are written in versions {', '.join(VERSIONS)}")
    out = Outbound(
        senders.facility_of(about, resources) or receiver.sending_facility,
        resources,
        moment,
        settings.zone or CHINA,
        program.scope.tables,
        receiver.version,
        settings.name_order,
        told,
        receiver.is_kept_told,
    )
    code, _, trigger = about.event.partition("^")
    header = {"MSH-9.1": code, "MSH-9.2": trigger}
    filler = Filler(program, header, out)
    spots = list(about.spots(resources, out))
    was = Filler(program, header, replace(out, issue=no_issue))
    sheets = _once([sheet for spot in spots for sheet in _segments(spot, about, filler, was)])
    if about.code == "RRI":
        filler.told.element(about.main, "owner", is_whole=True)  # by MSH-4
    first = _header(about, receiver, out, moment, control_id, program.structure)
    lines = [first, *_answering(answers, out), *_event(about, out, moment), *_numbered(sheets)]
    text = "".join(f"{_line(sheet)}\r" for sheet in lines)
    left_out = tuple(dict.fromkeys(filler.told.left_out(spots)))
    raw = _encoded(text, receiver, told)
    return Emitted(about.event, control_id, text, raw, left_out, tuple(told.issues))


def standing(
    task: Json,
    resources: Resources,
    mappings: Mappings,
    receiver: Receiver,
    encoding: Encoding,
    *,
    moment: datetime,
    zone: tzinfo,
    notes: Sequence[str] = (),
) -> list[list[str]]:
    """Return how a referral stands: what RRI^I15 has behind MSA, each segment as its fields.

    `notes` are said beside those of the Task. Dates are of the receiver's zone, else of `zone`.
    """
    about = events.about(resources, "RRI^I12", task, None)
    program = mappings.program_of(_structure(mappings, "RRI^I15"), receiver.sender)
    settings = program.scope.settings
    version = receiver.version if receiver.version in VERSIONS else "2.5"
    made = (moment, settings.zone or zone, program.scope.tables, version, settings.name_order)
    out = Outbound(receiver.sending_facility, resources, *made)
    filler = Filler(program, {"MSH-9.1": "RRI", "MSH-9.2": "I15"}, out)
    spots = list(layouts.answer(resources, about.main, out, events.state_of(task)))
    spots += [Spot("NTE", "", {}, {"NTE-2": ["L"], "NTE-3": [note]}) for note in notes]
    sheets = _numbered(_once([sheet for spot in spots for sheet in filler.sheets(spot)]))
    return [[sheet.name, *sheet.texts(encoding)] for sheet in sheets]


def _structure(mappings: Mappings, event: str) -> str:
    found = mappings.structure_for(event)
    if not found:
        raise InvalidResource(f"no message structure is known for {event}")
    return found


def _header(
    about: "events.About",
    receiver: Receiver,
    out: Outbound,
    moment: datetime,
    control_id: str,
    structure: str,
) -> Sheet:
    sheet = Sheet("MSH", out.version, out.issue)
    code, _, trigger = about.event.partition("^")
    kind: Written = [code, trigger]
    # before 2.4 A31 had the structure of A01
    known = structure if structure_in(structure, out.version) else f"{code}_A01"
    kind += [known] if sheet.has_room(Path("MSH", 9, 3)) else []
    values: dict[int, Written] = {
        3: [receiver.sending_application],
        4: [out.facility],
        5: [receiver.application],
        6: [receiver.facility or senders.receiver_of(about, out.resources)],
        7: [moment.astimezone(out.zone).strftime("%Y%m%d%H%M%S")],
        9: kind,
        10: [control_id],
        11: [receiver.processing_id],
        12: [out.version],
        18: [receiver.charset],
    }
    if receiver.is_enhanced:
        values |= {15: ["AL"], 16: [receiver.application_ack]}
    for number, value in values.items():
        sheet.put(Path("MSH", number), value)
    return sheet


def _answering(control_id: str, out: Outbound) -> list[Sheet]:
    """Return MSA, which an answer to a message has: that it was taken stands in MSA-1."""
    sheet = Sheet("MSA", out.version, out.issue)
    sheet.put(Path("MSA", 1), ["AA"])
    sheet.put(Path("MSA", 2), [control_id])
    return [sheet] if control_id else []


def _event(about: "events.About", out: Outbound, moment: datetime) -> list[Sheet]:
    """Return EVN, which ADT has."""
    code, _, trigger = about.event.partition("^")
    if code != "ADT":
        return []
    sheet = Sheet("EVN", out.version, out.issue)
    sheet.put(Path("EVN", 1), [trigger])
    sheet.put(Path("EVN", 2), [moment.astimezone(out.zone).strftime("%Y%m%d%H%M%S")])
    return [sheet]


def _segments(spot: Spot, about: "events.About", filler: Filler, was: Filler) -> list[Sheet]:
    """Return the segments of a spot; `""` where only the version before says something.

    An empty field would leave with the receiver what it said (chapter 2, 2.5.3).
    """
    sheets = filler.sheets(spot)
    before = about.before
    if before is None or about.code != "ADT" or spot.segment not in _CLEARED:
        return sheets
    drafts = {
        name: before if _address(one) == _address(before) else one
        for name, one in spot.drafts.items()
    }
    if all(drafts[name] is one for name, one in spot.drafts.items()):
        return sheets
    for old in was.sheets(replace(spot, drafts=drafts)):
        new = next((one for one in sheets if one.name == old.name), None)
        if new is None:
            new = filler.sheet(old.name)
            sheets.append(new)
        for number in old.fields.keys() - new.fields.keys():
            new.put(Path(new.name, number), NOTHING)
    return sheets


def _address(resource: Json) -> tuple[str, str]:
    return resource["resourceType"], resource.get("id", "")


def _once(sheets: Iterable[Sheet]) -> list[Sheet]:
    """Return the segments without what two sources told alike of a person."""
    told: list[tuple[str, dict[int, list[Written]]]] = []
    kept = []
    for sheet in sheets:
        said = (sheet.name, sheet.fields)
        if sheet.name in _OF_A_PERSON and said in told:
            continue
        told.append(said)
        kept.append(sheet)
    return kept


def _numbered(sheets: Iterable[Sheet]) -> list[Sheet]:
    """Return the segments with their set ids, which count what stands together."""
    counts: dict[str, int] = {}
    last = ""
    done = []
    for sheet in sheets:
        name = sheet.name
        for other in _RESTARTS.get(name, ()):
            counts.pop(other, None)
        if name == "NTE" and last != "NTE":
            counts.pop("NTE", None)
        shapes = fields(name, "2.4")
        if name[:1] == "Z" or name == "AL1" or (shapes and shapes[0].datatype == "SI"):
            counts[name] = counts.get(name, 0) + 1
            sheet.fields.setdefault(1, [[str(counts[name])]])
        if name == "OBX":  # 2.3.1 demands both of each
            lacking: dict[int, Written] = {2: ["ST"], 4: [str(counts[name])]}
            for number in lacking.keys() & set(sheet.required()):
                sheet.put(Path("OBX", number), lacking[number])
        for number in sheet.required():  # and nothing is known of it
            sheet.put(Path(name, number), NOTHING)
        last = name
        done.append(sheet)
    return done


def _line(sheet: Sheet) -> str:
    encoding = Encoding()
    start, marks = (3, ["MSH", "^~\\&"]) if sheet.name == "MSH" else (1, [sheet.name])
    return encoding.field.join([*marks, *sheet.texts(encoding, start)])


def _encoded(text: str, receiver: Receiver, told: _Told) -> bytes:
    codec = charset.codec(receiver.charset)
    if not codec:
        raise InvalidResource(f"no character set is called {receiver.charset}")
    if codec == "ascii" and not text.isascii():
        text = in_ascii(text, Encoding())
    raw = charset.encode(text, codec)
    if raw.decode(codec, "replace") != text:
        told("the receiver's character set lacks some characters; they became ?")
    if codec == "gb18030" and "18030" not in receiver.charset and _has_four_bytes(text):
        told("some characters have four bytes of GB 18030, which GBK lacks")
    return raw


def _has_four_bytes(text: str) -> bool:
    return any(one > "\x7f" and len(one.encode("gb18030")) > _GBK_BYTES for one in set(text))
