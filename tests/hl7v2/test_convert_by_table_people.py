"""Whom a message names about a patient: contacts, payers' numbers, people who take part.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (NK1[Patient], PRT[RelatedPerson], XPN, PV1, DLD);
HL7v2 chapters 3 (DB1), 6 (IN2) and 11 (CTD)
"""

import pytest
from conversion_parts import (
    TABLE_MSH,
    by_table,
    converted,
    errors,
    lines,
    of_type,
    only,
    segment,
    target,
)

TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
SSN = "http://hl7.org/fhir/sid/us-ssn"
KINDS = "http://terminology.hl7.org/CodeSystem/v2-0190"
KIND = "https://fhir-hub.example/StructureDefinition/address-kind"


def admitted(*segments, pid="", country="", table=True):
    header = TABLE_MSH.format("ADT^A01^ADT_A01")
    if country:
        header += "|" * (17 - header.count("|") - 1) + country
    patient = pid or segment("PID", f1="1", f3="T1", f5="沈^桂芳")
    return converted(lines(header, patient, "PV1|1|I", *segments), by_table=table)


def test_whom_to_ask_at_a_contacts_institution_stands_there():
    nk1 = segment(
        "NK1", f1="1", f13="甲院^^^^^^^^^77", f30="李^明", f31="^^^^^^88", f32="青浦路1号"
    )
    (contact,) = only(admitted(nk1), "Patient")["contact"]
    institution = target(admitted(nk1), contact["organization"])
    assert institution["name"] == "甲院"
    (person,) = institution["contact"]
    assert person["name"]["text"] == "李明"
    assert person["telecom"][0]["value"]
    assert person["address"]["text"]


def test_an_institution_of_which_only_the_contact_is_known_is_one():
    conversion = admitted(segment("NK1", f1="1", f30="李^明"))
    institution = target(conversion, only(conversion, "Patient")["contact"][0]["organization"])
    assert institution["contact"][0]["name"]["text"] == "李明"
    assert errors(conversion) == []


def test_how_somebody_is_called_is_a_nickname():
    pid = segment("PID", f1="1", f3="T1", f5="Smith^Robert^^^^^L^^^^^^^^Bob")
    names = only(admitted(pid=pid), "Patient")["name"]
    assert [(one["use"], one["given"]) for one in names] == [
        ("official", ["Robert"]),
        ("nickname", ["Bob"]),
    ]


def numbers(conversion):
    held = only(conversion, "Patient")["identifier"]
    return [(one["type"]["coding"][0]["code"], one["value"]) for one in held if "type" in one]


def test_payers_know_a_patient_by_numbers_of_theirs():
    in1 = segment("IN1", f1="1", f2="A", f3="P1", f4="Payer", f36="POL1")
    in2 = segment("IN2", f6="MC1", f8="MA1", f10="MI1", f61="MB1^^^P1^MB")
    assert numbers(admitted(in1, in2)) == [
        ("MC", "MC1"),
        ("MA", "MA1"),
        ("MI", "MI1"),
        ("MB", "MB1"),
    ]


@pytest.mark.parametrize(("whose", "found"), [("PT", [("DI", "D1")]), ("GT", [])])
def test_a_disabilitys_number_is_the_patients_if_it_is_about_her(whose, found):
    db1 = segment("DB1", f1="1", f2=whose, f3="D1^^^X^DI")
    pid, pv1 = segment("PID", f1="1", f3="T1", f5="沈^桂芳"), "PV1|1|I"
    message = lines(TABLE_MSH.format("ADT^A01^ADT_A01"), pid, pv1, db1)
    assert numbers(converted(message, by_table=True)) == found


@pytest.mark.parametrize(("country", "system"), [("USA", SSN), ("", None)])
def test_a_social_security_number_is_that_of_the_country_of_the_message(country, system):
    pid = segment("PID", f1="1", f3="T1", f5="Doe^J", f19="P123121")
    held = only(admitted(pid=pid, country=country, table=False), "Patient")["identifier"]
    (number,) = [one for one in held if one["value"] == "P123121"]
    assert number["type"]["coding"][0] == {"system": TYPES, "code": "SS"}
    assert (number["system"] == SSN) == bool(system)


def test_where_to_somebody_goes_has_a_name():
    pv1 = segment("PV1", f1="1", f2="I", f37="22&Nursing home&X")
    message = lines(TABLE_MSH.format("ADT^A01^ADT_A01"), "PID|1||T1||沈^桂芳", pv1)
    conversion = converted(message, by_table=True)
    goal = only(conversion, "Encounter")["hospitalization"]["destination"]
    assert target(conversion, goal)["name"] == "Nursing home"


@pytest.mark.parametrize(
    ("written", "number", "name"),
    [("H1^甲院", "H1", "甲院"), ("H1", "H1", "H1"), ("H1^1.2.3^ISO", "H1", "H1")],
)
def test_who_serves_a_visit_is_named_by_code_and_name(written, number, name):
    pv1 = segment("PV1", f1="1", f2="I", f19="V1", f39=written)
    message = lines(TABLE_MSH.format("ADT^A01^ADT_A01"), "PID|1||T1||沈^桂芳", pv1)
    conversion = converted(message)
    institution = target(conversion, only(conversion, "Encounter")["serviceProvider"])
    assert institution["identifier"][0]["value"] == number
    assert institution["name"] == name


def test_whom_to_ask_about_an_order_is_the_patients_contact():
    ctd = "CTD|C^^HL70131|李^明|青浦路1号||^PRN^PH^^^^88"
    conversion = by_table("OML^O21^OML_O21", "ORC|NW|P1", "OBR|1|P1||X^Y", ctd)
    (contact,) = only(conversion, "Patient")["contact"]
    assert contact["name"]["text"] == "李明"
    assert contact["relationship"][0]["coding"][0]["display"] == "Emergency Contact"


@pytest.mark.parametrize(("role", "kind"), [("NEIGHBOUR", 1), ("AP^Attending^HL70912", 0)])
def test_who_takes_part_in_no_providers_role_is_a_related_person(role, kind):
    prt = segment("PRT", f1="1", f2="AD", f4=role, f5="9^李^明", f14="青浦路1号", f15="^^^^^^88")
    message = lines(
        TABLE_MSH.format("ORU^R01^ORU_R01"), "PID|1||T1||沈^桂芳", prt, "OBR|1|P1|F1|X^Y"
    )
    conversion = converted(message, by_table=True)
    found = of_type(conversion, "RelatedPerson")
    assert len(found) == kind
    for person in found:
        assert person["name"][0]["text"] == "李明"
        assert person["relationship"][0]["coding"][0]["code"] == role


def test_who_is_of_no_visit_is_not_made_for_nothing():
    prt = segment("PRT", f1="1", f2="AD", f4="AP^Attending^HL70912", f5="9^李^明")
    message = lines(
        TABLE_MSH.format("ORU^R01^ORU_R01"), "PID|1||T1||沈^桂芳", prt, "OBR|1|P1|F1|X^Y"
    )
    conversion = converted(message, by_table=True)
    assert of_type(conversion, "Practitioner") == []


@pytest.mark.parametrize(("text", "told"), [("怕狗", ["怕狗"]), ("", [])])
def test_a_note_about_a_patient_without_a_text_is_none(text, told):
    note = segment("NTE", f1="1", f3=text, f5="E1^录^入", f6="20250301")
    conversion = by_table("ORU^R01^ORU_R01", note, "OBR|1|P1||X^Y", "OBX|1|NM|A^B||5")
    notes = [one["valueAnnotation"] for one in only(conversion, "Patient").get("extension", ())]
    assert [one["text"] for one in notes] == told


def test_an_authority_with_a_blank_names_no_system():
    conversion = admitted(pid=segment("PID", f1="1", f3="T1^^^&x y&ISO^PI", f5="沈^桂芳"))

    assert errors(conversion) == []
    assert "system" not in only(conversion, "Patient")["identifier"][0]


def said(extensions):
    """Return name → value of extensions."""
    held = [(one["url"].rpartition("/")[2], one) for one in extensions]
    return {name: one.get("valueString", one.get("valueCode")) for name, one in held}


def test_a_name_an_address_a_number_have_their_seldom_filled_parts():
    pid = segment(
        "PID",
        f1="1",
        f3="T1",
        f5="Beethoven&van&Beethoven&de&Vries^Ludwig^^^^^L^^^^G",
        f11="1 Kerkstraat^^Bonn^^53111^DEU^HV^^^07-2020",
        f13="^PRN^PH^^49^228^90^7^^^^+49 228 90",
    )
    conversion = admitted(pid=pid)
    assert errors(conversion) == []
    patient = only(conversion, "Patient")
    (name,), (address,), (phone,) = (patient[one] for one in ("name", "address", "telecom"))
    assert said(name["_family"]["extension"]) == {
        "humanname-own-prefix": "van",
        "humanname-own-name": "Beethoven",
        "humanname-partner-prefix": "de",
        "humanname-partner-name": "Vries",
    }
    assert said(name["extension"]) == {"humanname-assembly-order": "G"}
    assert said(address["extension"]) == {
        "iso21090-AD-use": "HV",
        "iso21090-ADXP-censusTract": "07-2020",
    }
    assert list(said(phone["extension"]).values()) == ["49", "228", "90", "7"]


def test_an_institutions_number_has_its_check_digit():
    conversion = admitted(segment("PD1", f3="Clinic^^77^4^M10^HIS&&DNS^XX"))
    found = of_type(conversion, "Organization")
    institution = next(one for one in found if one.get("name") == "Clinic")
    assert said(institution["identifier"][0]["extension"]) == {
        "identifier-checkDigit": "4",
        "namingsystem-checkDigit": "M10",
    }


@pytest.mark.parametrize("table", [True, False])
def test_a_number_that_two_fields_tell_is_one(table):
    pid = segment("PID", f1="1", f2="A1^^^EPI^MRN", f3="A1^^^EPI^MRN~A1^^^X^MRN", f4="B2", f5="A")
    conversion = admitted(pid=pid, table=table)
    assert [one["value"] for one in only(conversion, "Patient")["identifier"]] == ["A1", "A1", "B2"]


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("202503140305", ["2025-03-14T03:05:00+08:00"]),
        ("202503140305+0900", ["2025-03-14T03:05:00+09:00"]),
        ("20250314", []),
        ("2025", []),
    ],
)
def test_a_birth_has_its_moment_beside_its_day(told, moment):
    patient = only(admitted(pid=segment("PID", f1="1", f3="T1", f5="沈^桂芳", f7=told)), "Patient")
    beside = patient.get("_birthDate", {}).get("extension", ())
    assert [one["valueDateTime"] for one in beside] == moment
    assert "T" not in patient["birthDate"]


def test_the_moment_of_a_birth_that_the_hub_stores_is_kept_as_it_stands():
    told = segment("PID", f1="1", f3="T1", f5="沈^桂芳", f7="202503140305")
    stored = admitted(pid=told, table=False)
    assert "_birthDate" not in only(stored, "Patient")
    assert "PID|||||||202503140305" in str(of_type(stored, "Provenance"))


@pytest.mark.parametrize("homes", ["", "1 Road^^青浦~2 Road^^吴江"])
def test_a_county_of_no_one_address_is_one_of_its_own(homes):
    told = segment("PID", f1="1", f3="T1", f5="沈^桂芳", f11=homes, f12="GUIL")
    address = only(admitted(pid=told), "Patient")["address"]
    assert address[-1] == {"district": "GUIL"}
    assert len(address) == (3 if homes else 1)


@pytest.mark.parametrize("table", [True, False])
def test_several_numbers_in_one_text_are_each_told(table):
    pid = segment("PID", f1="1", f3="T1", f5="沈^桂芳", f13="13800000001、021-59720000;13900000002")
    phones = only(admitted(pid=pid, table=table), "Patient")["telecom"]
    assert [(one["value"], one["use"]) for one in phones] == [
        ("13800000001", "mobile"),
        ("02159720000", "home"),
        ("13900000002", "mobile"),
    ]


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("N", {"coding": [{"system": KINDS, "code": "N"}]}),
        ("BDL", {"coding": [{"system": KINDS, "code": "BDL"}]}),
        ("籍贯", {"text": "籍贯"}),
    ],
)
def test_where_somebody_was_born_is_no_home(table, kind, told):
    pid = segment(
        "PID",
        f1="1",
        f3="T1",
        f5="沈^桂芳",
        f11=f"1路^^上海市^^^^H^示范镇~^^嘉善县^浙江省^^^{kind}",
    )
    home, birth = only(admitted(pid=pid, table=table), "Patient")["address"]
    assert (home["use"], home["line"]) == ("home", ["示范镇", "1路"])
    assert "use" not in birth
    assert [one["valueCodeableConcept"] for one in birth["extension"] if one["url"] == KIND] == [
        told
    ]


@pytest.mark.parametrize("kind", ["^^^^SFZH", "^^^&2.16.156.10011.1.3&ISO^NNCHN"])
def test_an_old_resident_id_is_two_numbers_by_the_tables_too(kind):
    pid = segment(
        "PID", f1="1", f3=f"T1~310229850315001{kind}", f5="沈^桂芳", f19="310229850315001"
    )
    numbers = only(admitted(pid=pid), "Patient")["identifier"]
    told = [(one["use"], one["value"]) for one in numbers if "use" in one]
    assert told == [("official", "310229198503150012"), ("old", "310229850315001")]
