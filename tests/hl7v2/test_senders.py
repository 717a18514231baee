"""A sender's file: its rows, tables and settings, and whom they hold for.

Spec: DESIGN 2a
"""

from datetime import timedelta

import pytest
from conversion_parts import (
    BASE,
    by_code,
    codes,
    definitions,
    every,
    identifiers,
    lines,
    of_type,
    only,
    text_of,
)

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.maps.mappings import load_mappings
from fhir_hub.hl7v2.parsing import er7

MSH = "MSH|^~\\&|{}|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.4"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"


def sender(*rows, match="", settings="", table=""):
    head = 'source = "test"\n' + (f"match = {match}\n" if match else "")
    if settings:
        head += f"[settings]\n{settings}\n"
    return head + table + "".join(f"[[field]]\n{row}\n" for row in rows)


def by_name(name, *rows, **options):
    """Return the file of the sender whose messages say `name` in MSH-3."""
    return sender(*rows, match=f'{{ "MSH-3" = "{name}" }}', **options)


STATUS = 'map = "PV1-Encounter"\nto = "status"\nvalue = "{}"'
BOTH = '{ "MSH-3" = "BOTH", "MSH-4" = ["TEST01", "TEST02"] }'
# each holds for its own messages alone, so one site has them all
SENDERS = {
    "before": by_name("BEFORE", STATUS.format("triaged") + '\nwhen = "PV1-19"'),
    "replaces": by_name(
        "REPLACES",
        'map = "PID-Patient"\nto = "telecom"\nfrom = "PID-13"\n'
        'as = "ContactPoint"\nunless = "PID-3"',
    ),
    "moves": by_name(
        "MOVES",
        'map = "PID-Patient"\nto = "identifier"\nfrom = "PID-27"\nas = "ResidentIdentifier"',
    ),
    "table": by_name(
        "TABLE",
        table='[table.ObservationCode]\nsystem = "http://loinc.org"\n[table.ObservationCode.map]\n'
        'NA1 = "2951-2"\n[table.AdministrativeSex.map]\nW = "female"\n',
    ),
    "named": sender(STATUS.format("triaged")),
    "a": sender(STATUS.format("triaged"), match=BOTH),
    "b": by_name("BOTH", STATUS.format("onleave"), settings='nulls = "ignore"'),
    "zone": by_name("ZONE", settings='zone = "-05:30"\ncharset = "gb18030"'),
    "given": by_name("GIVEN", settings='name_order = "given-first"'),
    "country": by_name("COUNTRY", settings='country = "HKG"'),
    "nulls": by_name("NULLS", settings='nulls = "ignore"'),
    "strict": sender(settings='tolerance = "strict"', match='{ "MSH-4" = "ZJJCHC" }'),
    "empty": by_name("EMPTY", STATUS.format("triaged") + '\nwhen = { "PV1-18" = ["", "X"] }'),
    "constant": by_name(
        "CONSTANT",
        'map = "PID-Patient"\nto = "maritalStatus"\nvalue = { coding = [{ code = "O" }] }',
        'map = "PID-Patient"\nto = "maritalStatus.text"\nfrom = "PID-16.2"\nas = "string"',
    ),
    "parts": by_name(
        "PARTS",
        'map = "PID-Patient"\nto = "extension[part].valueString"\nfrom = "PID-3.4.1"\n'
        'as = "string"',
        'map = "PID-Patient"\nto = "extension[part].url"\nvalue = "https://x.example/part"',
        'map = "PID-Patient"\nto = "generalPractitioner"\nfrom = "PID-21"\nas = "StaffIdentifier"',
        'map = "PID-Patient"\nto = "photo"\nvalue = [{ title = "a" }, { title = "b" }]',
    ),
}


def load(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return load_mappings(definitions(), [folder])


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """The built-in maps with all of SENDERS."""
    files = {f"senders/{name}.toml": text for name, text in SENDERS.items()}
    return load(tmp_path_factory.mktemp("site"), files)


def visit(maps, name, text="PV1|1|O|||||||||||||||||V1", **options):
    message = lines(MSH.format(name, "ADT^A08^ADT_A01"), PID, text)
    return convert(er7.parse(message), maps, **options)


def test_a_senders_row_comes_before_those_of_the_map(maps):
    conversion = visit(maps, "BEFORE")
    assert only(conversion, "Encounter")["status"] == "triaged"
    assert conversion.report.senders == ("before",)


def test_a_senders_row_of_the_same_element_and_field_replaces_the_maps(maps):
    text = lines(MSH.format("REPLACES", "ADT^A08^ADT_A01"), PID + "|||||13000000001")
    assert "telecom" not in only(convert(er7.parse(text), maps), "Patient")


def test_a_sender_moves_a_field(maps):
    text = lines(MSH.format("MOVES", "ADT^A08^ADT_A01"), PID + "|" * 19 + "310229195304129989")
    patient = only(convert(er7.parse(text), maps), "Patient")
    assert "310229195304129989" in identifiers(patient)


@pytest.mark.parametrize(
    ("kind", "status"), [("", "triaged"), ("X", "triaged"), ("Y", "in-progress")]
)
def test_a_row_may_ask_that_a_field_is_empty_or_has_a_code(maps, kind, status):
    conversion = visit(maps, "EMPTY", f"PV1|1|O||||||||||||||||{kind}|V1")
    assert only(conversion, "Encounter")["status"] == status


def test_what_a_message_adds_to_a_maps_constant_is_of_that_message_alone(maps):
    said = lines(MSH.format("CONSTANT", "ADT^A08^ADT_A01"), PID + "|" * 8 + "^离异")
    silent = lines(MSH.format("CONSTANT", "ADT^A08^ADT_A01"), PID)
    found = [only(convert(er7.parse(text), maps), "Patient") for text in (said, silent)]
    coding = [{"code": "O"}]
    assert [one["maritalStatus"] for one in found] == [
        {"coding": coding, "text": "离异"},
        {"coding": coding},
    ]


def test_a_senders_table_adds_to_the_common_one(maps):
    text = lines(
        MSH.format("TABLE", "ORU^R01"),
        PID.replace("|F", "|W"),
        "OBR|1||F1|X",
        "OBX|1|NM|NA1^钠||140||||||F",
    )
    conversion = convert(er7.parse(text), maps)
    assert set(codes(only(conversion, "Observation")["code"])) == {"2951-2", "NA1"}
    assert only(conversion, "Patient")["gender"] == "female"
    male = convert(er7.parse(text.replace("|W", "|男")), maps)
    assert only(male, "Patient")["gender"] == "male"


def test_the_same_code_of_another_sender_means_nothing(maps):
    text = lines(MSH.format("TABLE", "ORU^R01"), PID, "OBR|1||F1|X", "OBX|1|NM|NA1^钠||140||||||F")
    other = convert(er7.parse(text.replace("|TABLE|", "|OTHER|")), maps)
    assert list(by_code(other)) == ["NA1"]


def test_a_sender_may_be_named_instead_of_known_by_its_header(maps):
    assert only(visit(maps, "OTHER"), "Encounter")["status"] == "in-progress"
    assert only(visit(maps, "OTHER", sender="named"), "Encounter")["status"] == "triaged"


def test_of_two_files_that_hold_the_one_that_says_more_wins(maps):
    conversion = visit(maps, "BOTH")
    assert only(conversion, "Encounter")["status"] == "triaged"
    assert conversion.report.senders == ("b", "a")
    assert maps.settings(er7.parse(MSH.format("BOTH", "ADT^A08"))).nulls == "ignore"


def test_a_senders_zone_holds_before_the_hubs(maps):
    text = "PV1|1|O|||||||||||||||||V1" + "|" * 25 + "20250314081000"
    start = only(visit(maps, "ZONE", text), "Encounter")["period"]["start"]
    assert start == "2025-03-14T08:10:00-05:30"
    settings = maps.settings(er7.parse(MSH.format("ZONE", "ADT^A08")))
    assert settings.charset == "gb18030"
    assert settings.zone.utcoffset(None) == timedelta(hours=-5, minutes=-30)


@pytest.mark.parametrize(("said", "currency"), [("", "HKD"), ("|||||USA", "USD")])
def test_a_senders_amounts_are_in_the_money_of_its_country_unless_the_message_has_one(
    maps, said, currency
):
    header = MSH.format("COUNTRY", "DFT^P03^DFT_P03") + said
    text = lines(header, PID, "FT1|1|F1||20250301||CG|X^Y||||9.90")
    charge = only(convert(er7.parse(text), maps), "ChargeItem")
    assert charge["priceOverride"]["currency"] == currency


def test_a_sender_may_write_given_names_first(maps):
    text = lines(
        MSH.format("GIVEN", "ADT^A08^ADT_A01"),
        PID.replace("沈^桂芳", "桂芳^沈"),
        "PV1|1|O|||||D1^慧^戴||||||||||||V1",
    )
    conversion = convert(er7.parse(text), maps)
    name = only(conversion, "Patient")["name"][0]
    assert (name["family"], name["given"]) == ("沈", ["桂芳"])
    assert only(conversion, "Practitioner")["name"][0]["text"] == "戴慧"


def test_a_sender_whose_nulls_mean_nothing(maps):
    text = lines(MSH.format("NULLS", "ADT^A08^ADT_A01"), PID.replace("19530412", '""'))
    conversion = convert(er7.parse(text), maps)
    (patient,) = every(conversion, "Patient")
    assert patient.nulls == ()
    (told,) = [one for one in conversion.report.fields() if one.path == "PID-7"]
    assert (told.state, told.reason) == ("dropped", '`""` of this sender deletes nothing')


def test_a_strict_sender_is_refused_what_a_tolerant_one_is_warned_of(maps):
    text = text_of("quirks/q5")
    with pytest.raises(InvalidMessage) as caught:
        convert(er7.parse(text), maps)
    assert (caught.value.error_code, caught.value.location) == ("103", "PID-3")
    dated = text.replace("310229195304129988", "310229195304129989").replace("19530412|", "x|", 1)
    with pytest.raises(InvalidMessage) as caught:
        convert(er7.parse(dated), maps)
    assert (caught.value.error_code, caught.value.location) == ("102", "PID-7")
    sound = text.replace("310229195304129988", "310229195304129989")
    assert of_type(convert(er7.parse(sound + "ZZZ|1|x\r"), maps), "Patient")


def test_a_value_by_the_type_that_another_field_names(tmp_path):
    rows = (
        '{ to = "code", from = "OBX-3", as = "CodeableConcept" },\n'
        '{ to = "status", value = "final" },\n'
        '{ to = "value", from = "OBX-5", as = { by = "OBX-2", NM = "Quantity", ST = "string" } },'
    )
    text = f'source = "t"\nsegment = "OBX"\ntype = "Observation"\nfield = [\n{rows}\n]\n'
    maps = load(tmp_path, {"segments/OBX-Observation.toml": text})
    obr = "OBR|1||F1|X"
    message = lines(
        MSH.format("OTHER", "ORU^R01"), PID, obr, "OBX|1|NM|A||7", "OBX|2|ST|B||x", "OBX|3|CE|C||y"
    )
    found = by_code(convert(er7.parse(message), maps))
    assert found["A"]["valueQuantity"]["value"] == 7
    assert found["B"]["valueString"] == "x"
    assert not [name for name in found["C"] if name.startswith("value")]


def test_a_part_of_a_field_and_constants_for_a_whole_list(maps):
    text = lines(MSH.format("PARTS", "ADT^A08^ADT_A01"), PID + "|" * 13 + "D1")
    patient = only(convert(er7.parse(text), maps), "Patient")
    assert patient["extension"] == [{"valueString": "TEST01", "url": "https://x.example/part"}]
    assert patient["photo"] == [{"title": "a"}, {"title": "b"}]
    assert patient["generalPractitioner"] == [
        {"identifier": {"system": f"{BASE}/sid/TEST01/practitioner", "value": "D1"}}
    ]
