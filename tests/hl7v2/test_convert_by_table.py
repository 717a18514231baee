"""Messages by the letter of the standard's tables: each mention is a resource, roles join them.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (ORC, OBR, OBX, PV1, IN1, PR1; CX, HD, PL, NDL, XON)
"""

import pytest
from conversion_parts import (
    BASE,
    PID,
    by_table,
    converted,
    errors,
    lines,
    of_type,
    only,
    segment,
    target,
    values,
)
from conversion_parts import TABLE_MSH as MSH


def ordered(*obr, **orc):
    fields = {"f1": "NW", "f2": "P1", "f3": "F1"} | orc
    last = obr or ("OBR|1|P1|F1|X^Y",)
    conversion = by_table("OML^O21^OML_O21", segment("ORC", **fields), *last)
    return only_order(conversion), conversion


def only_order(conversion):
    return next(one for one in of_type(conversion, "ServiceRequest") if one["status"] == "active")


def typed(identifiers):
    """Return (type, system or who assigned it, value) of identifiers."""
    return [
        (
            one["type"]["coding"][0]["code"],
            one["system"].removeprefix(BASE) if "system" in one else one["assigner"]["display"],
            one["value"],
        )
        for one in identifiers
    ]


def physical(place):
    return place["physicalType"]["coding"][0]["code"] if "physicalType" in place else ""


def test_who_orders_is_a_role_of_a_person_at_an_institution():
    found, conversion = ordered(
        f12="D1^李^明^^^^MD^^HIS&1.2.3&X",
        f21="甲院^^^^^HIS&1.2&L^^SITE&3.3&ISO^^77",
        f22="路1^^上海^^^^H",
        f23="^PRN^PH^^^021^5555",
        f24="家1^^苏州",
    )
    role = target(conversion, found["requester"])
    person = target(conversion, role["practitioner"])
    assert values(person) == ["D1"]
    assert person["name"][0]["suffix"] == ["MD"]
    assert person["address"][0]["city"] == "苏州"
    (number,) = person["identifier"]
    assigner = target(conversion, number["assigner"])["identifier"]
    assert [one["value"] for one in assigner] == ["HIS", "1.2.3"]
    assert assigner[1]["type"]["coding"][0]["code"] == "X"

    institution = target(conversion, role["organization"])
    assert (institution["name"], values(institution)) == ("甲院", ["77"])
    assert institution["address"][0]["city"] == "上海"
    assert "use" not in institution["address"][0]
    assert institution["telecom"][0]["value"] == "0215555"
    (held,) = institution["identifier"][0]["extension"]
    site = target(conversion, held["valueReference"])
    assert (site["name"], values(site), physical(site)) == ("SITE", ["3.3"], "si")


def test_an_address_alone_is_an_institution_whose_name_nobody_knows():
    found, conversion = ordered(f22="路1^^上海^^^^H", f23="^PRN^PH^^^021^5555")
    institution = target(conversion, target(conversion, found["requester"])["organization"])
    assert institution["address"][0]["city"] == "上海"
    assert institution["_name"]["extension"][0]["valueCode"] == "unknown"


def test_a_person_without_an_institution_orders_herself():
    found, conversion = ordered(f12="D1^李^明")
    orderer = target(conversion, found["requester"])
    assert (orderer["resourceType"], values(orderer)) == ("Practitioner", ["D1"])


def test_the_provider_of_the_request_is_kept_beside_the_orderer():
    found, conversion = ordered(segment("OBR", f1="1", f4="X^Y", f16="D2^王^二"), f12="D1^李^明")
    assert values(target(conversion, found["requester"])) == ["D1"]
    named = [
        (one["url"].rpartition("/")[2], values(target(conversion, one["valueReference"])))
        for one in found["extension"]
    ]
    # ORC[Provenance]: each orderer of ORC-12 is a person of her own, or named by an extension
    assert named == [("order-provider", ["D2"]), ("order-ordered-by", ["D1"])]


@pytest.mark.parametrize(
    ("group", "numbers"),
    [
        ("G1^HIS", [("PGN", "HIS", "G1")]),
        ("G1^TEST01", [("PGN", "/sid/TEST01", "G1")]),
        ("G1^HIS^1.2.3^ISO", [("PGN", "HIS", "G1")]),
        ("G1&HIS^G2&LIS", [("PGN", "HIS", "G1"), ("FGN", "LIS", "G2")]),
        ("G1&HIS", [("PGN", "HIS", "G1")]),
    ],
)
def test_an_orders_group_has_the_placers_number_and_the_fillers(group, numbers):
    found, _ = ordered(f4=group)
    assert typed(found["identifier"])[2:] == numbers
    assert typed([found["requisition"]]) == numbers[:1]


def test_the_order_of_which_one_is_a_part_is_an_order_with_both_numbers():
    found, conversion = ordered(f8="PP&HIS^FF&LIS")
    whole = target(conversion, found["basedOn"][0])
    assert typed(whole["identifier"]) == [("PLAC", "HIS", "PP"), ("FILL", "LIS", "FF")]
    assert (whole["status"], whole["intent"]) == ("unknown", "order")
    assert target(conversion, whole["subject"]) is only(conversion, "Patient")


def test_a_placers_second_number_is_typed_and_says_who_assigned_it():
    found, conversion = ordered(segment("OBR", f1="1", f4="X^Y", f53="G9^^^HIS"))
    last = found["identifier"][-1]
    assert (last["type"]["coding"][0]["code"], last["value"]) == ("PLAC", "G9")
    assert values(target(conversion, last["assigner"])) == ["HIS"]


@pytest.mark.parametrize(
    ("authority", "system", "assigner"),
    [
        ("", "/sid/TEST01/mr", None),
        ("HIS", None, ["HIS"]),
        ("&1.2.3&ISO", "urn:oid:1.2.3", None),
        ("HIS&&ISO", "HIS", None),
        ("&HIS&ISO", "urn:oid:HIS", None),
        ("HIS&his.example&DNS", None, ["HIS", "his.example"]),
    ],
)
def test_who_assigned_a_number_is_its_system_or_an_institution(authority, system, assigner):
    message = lines(
        MSH.format("ADT^A01^ADT_A01"), f"PID|1||M1^^^{authority}^MR||沈^桂芳", "PV1|1|I"
    )
    conversion = converted(message, by_table=True)
    (number,) = only(conversion, "Patient")["identifier"]
    assert number.get("system", "").removeprefix(BASE) == (system or "")
    found = number.get("assigner")
    assert (values(target(conversion, found)) if found else None) == assigner
    assert errors(conversion) == []


@pytest.mark.parametrize(
    ("flag", "display"),
    [
        ("N", None),
        ("N^normal^HL70078", "normal"),
        ("N^N^HL70078", "Normal"),
        ("N^NO^OURS", "Normal"),
        ("↓", "Low"),
    ],
)
def test_a_code_that_stays_as_it_is_gets_no_display_that_nobody_sent(flag, display):
    conversion = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^Y", f"OBX|1|NM|K^k||4|||{flag}|||F")
    (concept,) = only(conversion, "Observation")["interpretation"]
    assert concept["coding"][0].get("display") == display


def result(**obx):
    fields = {"f1": "1", "f2": "NM", "f3": "K^k", "f5": "4", "f11": "F"} | obx
    conversion = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^Y", segment("OBX", **fields))
    performers = only(conversion, "Observation")["performer"]
    return [target(conversion, one) for one in performers], conversion


def roles(found):
    return [one["code"][0]["coding"][0]["code"] for one in found]


def test_each_observer_has_a_role():
    found, conversion = result(f16="T1^赵^三~T2^钱^四")
    assert roles(found) == ["responsibleObserver"] * 2
    people = [target(conversion, one["practitioner"]) for one in found]
    assert [values(one) for one in people] == [["T1"], ["T2"]]


def test_a_laboratorys_director_acts_in_its_name():
    (found,), conversion = result(f23="检验所^^^^^^^^^L9", f24="路2^^上海", f25="DIR^孙^五")
    assert roles([found]) == ["MDIR"]
    assert values(target(conversion, found["practitioner"])) == ["DIR"]
    institution = target(conversion, found["organization"])
    assert (institution["name"], values(institution)) == ("检验所", ["L9"])
    assert institution["address"][0]["city"] == "上海"


def test_a_laboratory_without_a_director_is_the_performer():
    (found,), _ = result(f23="检验所^^^^^^^^^L9")
    assert (found["resourceType"], found["name"]) == ("Organization", "检验所")


def test_a_producer_by_code_is_an_institution_with_that_number():
    (found,), _ = result(f15="LAB1^实验室^L")
    assert (found["resourceType"], found["name"], values(found)) == (
        "Organization",
        "实验室",
        ["LAB1"],
    )
    (bare,), _ = result(f15="^实验室")
    assert "identifier" not in bare


def test_who_reads_a_result_has_a_role_at_each_place_for_a_time():
    conversion = by_table(
        "ORU^R01^ORU_R01",
        segment(
            "OBR",
            f1="1",
            f3="F1",
            f4="X^Y",
            f32="N1&李&明^20250315^20250316^W1^R1^B1^HOSP^ACTIVE^^BLD^FL~N2^王",
        ),
        "OBX|1|NM|K^k||4||||||F",
    )
    report = only(conversion, "DiagnosticReport")
    role, person = (target(conversion, one) for one in report["resultsInterpreter"])
    assert role["period"] == {"start": "2025-03-15", "end": "2025-03-16"}
    places = [target(conversion, one) for one in role["location"]]
    assert [(values(one)[0], physical(one)) for one in places] == [
        ("HOSP", "si"),
        ("BLD", "bu"),
        ("W1", ""),
        ("FL", "lvl"),
        ("R1", "ro"),
        ("B1", "bd"),
    ]
    assert {one["status"] for one in places} == {"active"}
    assert values(target(conversion, role["practitioner"])) == ["N1"]
    assert (person["resourceType"], values(person)) == ("Practitioner", ["N2"])


def admitted(*more, **pv1):
    conversion = by_table("ADT^A01^ADT_A01", segment("PV1", **({"f2": "I"} | pv1)), *more)
    return only(conversion, "Encounter"), conversion


def test_each_part_of_a_place_is_part_of_the_next():
    found, conversion = admitted(
        f3="W1^R1^B1^HOSP&9.9&ISO^active^^BLD^FL^Desc^PLN^AUTH",
    )
    place = target(conversion, found["location"][0]["location"])
    assert (place["status"], place["description"]) == ("active", "Desc")
    assert values(place) == ["B1", "PLN"]
    assert values(target(conversion, place["identifier"][1]["assigner"])) == ["AUTH"]
    chain = [place]
    while "partOf" in chain[-1]:
        chain.append(target(conversion, chain[-1]["partOf"]))
    assert [(values(one)[0], physical(one)) for one in chain] == [
        ("B1", "bd"),
        ("R1", "ro"),
        ("W1", ""),
        ("FL", "lvl"),
        ("BLD", "bu"),
        ("HOSP", "si"),
    ]
    assert {one["mode"] for one in chain} == {"instance"}
    second = chain[-1]["identifier"][1]
    assert (second["value"], second["type"]["coding"][0]["code"]) == ("9.9", "ISO")


def test_a_place_may_have_a_number_of_its_own_alone():
    found, conversion = admitted(f3="^^^^^^^^^PLN")
    place = target(conversion, found["location"][0]["location"])
    assert place["identifier"] == [{"value": "PLN"}]
    nowhere, _ = admitted(f3="^^^^^P")
    assert "location" not in nowhere


def test_a_visits_number_says_who_assigned_it_where_and_how_it_is_checked():
    found, conversion = admitted(f19="V1^^5^AU^VN^FAC", f37="D^1")
    (number,) = found["identifier"]
    assert number["type"]["text"] == "visit number"
    assert (number["value"], values(target(conversion, number["assigner"]))) == ("V1", ["AU"])
    check, facility = number["extension"]
    assert check["valueString"] == "5"
    assert check["url"].endswith("namingsystem-checkDigit")
    assert values(target(conversion, facility["valueReference"])) == ["FAC"]
    going = target(conversion, found["hospitalization"]["destination"])
    assert (going["mode"], going["type"][0]["coding"][0]["code"]) == ("kind", "D")


def test_who_takes_part_in_a_visit_is_called_as_the_tables_call_it():
    found, _ = admitted(f7="D1", f8="D2", f9="D3", f17="D4")
    kinds = [one["type"][0] for one in found["participant"]]
    assert kinds[0]["coding"][0]["display"] == "attender"
    assert [one["text"] for one in kinds[1:]] == ["referrer", "consultant", "admitter"]


def test_an_authority_that_is_a_system_is_no_institution():
    found, _ = admitted(f19="V1^^^AU&1.2.3&ISO^VN")
    (number,) = found["identifier"]
    assert (number["system"], number["assigner"]) == ("urn:oid:1.2.3", {"display": "AU"})


def covered(**fields):
    shown = {"f1": "1", "f2": "P^Plan", "f3": "I1^^^INS", "f17": "F"} | fields
    conversion = by_table("ADT^A01^ADT_A01", "PV1|1|I", segment("IN1", **shown))
    return only(conversion, "Coverage"), conversion


def test_cover_names_insurer_employer_and_whose_policy_it_is():
    found, conversion = covered(
        f4="Insurer Ltd",
        f5="路3^^上海",
        f10="G1^^^INS",
        f11="公司",
        f16="沈^大",
        f18="19500101",
        f19="路4^^苏州",
        f36="N77",
        f43="M",
        f49="S9^^^INS",
    )
    payer = target(conversion, found["payor"][0])
    assert (payer["name"], values(payer)) == ("Insurer Ltd", ["I1"])
    assert payer["address"][0]["city"] == "上海"
    holder = target(conversion, found["policyHolder"])
    assert (holder["resourceType"], holder["name"], values(holder)) == (
        "Organization",
        "公司",
        ["G1"],
    )
    person = target(conversion, found["subscriber"])
    assert person["resourceType"] == "RelatedPerson"
    assert (person["name"][0]["text"], values(person)) == ("沈大", ["S9"])
    assert (person["gender"], person["birthDate"]) == ("male", "1950-01-01")
    assert person["address"][0]["city"] == "苏州"
    assert target(conversion, person["patient"]) is only(conversion, "Patient")


def test_a_subscriber_without_name_and_number_is_nobody():
    found, conversion = covered(f18="19500101")
    assert "subscriber" not in found
    assert "policyHolder" not in found
    assert of_type(conversion, "RelatedPerson") == []


def test_a_part_of_a_procedure_refers_to_the_whole_one():
    pr1 = segment("PR1", f1="1", f3="X^op", f5="20250315", f19="P1^HIS", f25="P0^HIS")
    _, conversion = admitted(pr1)
    part = next(one for one in of_type(conversion, "Procedure") if "partOf" in one)
    whole = target(conversion, part["partOf"][0])
    assert (values(part), values(whole), whole["status"]) == (["P1"], ["P0"], "unknown")
    assert target(conversion, whole["subject"]) is only(conversion, "Patient")


def test_the_sending_institution_is_in_the_country_of_the_message():
    conversion = converted(
        lines(MSH.format("ADT^A01^ADT_A01") + "|||||CHN", PID, "PV1|1|I"), by_table=True
    )
    assert errors(conversion) == []
    header = only(conversion, "MessageHeader")
    sender = target(conversion, header["sender"])
    assert (values(sender), sender["address"]) == (["TEST01"], [{"country": "CHN"}])


def test_the_place_of_an_event_is_a_site():
    conversion = by_table("ADT^A01^ADT_A01", "EVN|A01|20250315|||||本部&X^7.7^ISO", "PV1|1|I")
    site = next(one for one in of_type(conversion, "Location") if physical(one) == "si")
    assert (site["name"], values(site)) == ("本部", ["7.7"])


def test_names_without_numbers_and_numbers_of_nothing():
    found, conversion = ordered(f12="^李^明", f21="甲院")
    role = target(conversion, found["requester"])
    assert "identifier" not in target(conversion, role["practitioner"])
    assert target(conversion, role["organization"]) == {
        "resourceType": "Organization",
        "name": "甲院",
    }


@pytest.mark.parametrize(
    ("authority", "system", "assigner"),
    [("HIS&1.2.3&ISO", None, "HIS"), ("&1.2.3&ISO", "1.2.3", None)],
)
def test_an_authority_with_a_name_assigned_an_institutions_number(authority, system, assigner):
    # XON.6: "If organization" an assigner, "If system" a system
    found, conversion = ordered(f12="D1^李^明", f21=f"甲院^^^^^{authority}^^^^77")
    institution = target(conversion, target(conversion, found["requester"])["organization"])
    (number,) = institution["identifier"]
    assert number["value"] == "77"
    assert number.get("system") == (f"urn:oid:{system}" if system else None)
    assert number.get("assigner") == ({"display": assigner} if assigner else None)
    assert ("extension" in number) == bool(assigner)
