"""Visits that go to another patient or into another visit, with all that belongs to them.

Spec: HL7v2 chapter 3, A03, A42, A45, A47 and A50
"""

import itertools

import pytest
from meaning_parts import person, segment, visit


@pytest.fixture
async def visited(say):
    """Two patients; the first has a visit V1 with a result."""
    await say("ADT^A04", "0800", person("T1"), visit(f18="x"))
    await say("ADT^A04", "0810", person("T2"))
    order = segment("OBR", f3="F1", f4="GLU^Glucose", f25="F")
    found = segment("OBX", f1="1", f2="NM", f3="GLU^Glucose", f5="5.1", f11="F")
    await say("ORU^R01", "0900", person("T1"), visit(), order, found)


@pytest.fixture
def numbers(every):
    async def run(kind):
        return {f"{kind}/{one['id']}": one["identifier"][0]["value"] for one in await every(kind)}

    return run


async def test_a_visit_moved_to_another_patient_takes_its_results_along(
    say, only, numbers, visited
):
    mrg = segment("MRG", f1="T1^^^SHTH01^PI", f5="V1")
    await say("ADT^A45", "1000", person("T2"), mrg, visit())

    people = await numbers("Patient")
    for kind in ("Encounter", "Observation", "DiagnosticReport"):
        assert people[(await only(kind))["subject"]["reference"]] == "T2", kind


async def test_a_visit_merged_into_another_leaves_its_results_there(
    say, every, only, numbers, visited
):
    await say("ADT^A04", "0930", person("T1"), visit(f19="V2"))
    mrg = segment("MRG", f1="T1^^^SHTH01^PI", f5="V1")
    await say("ADT^A42", "1000", person("T1"), mrg, visit(f19="V2"))

    visits = await numbers("Encounter")
    states = {one["identifier"][0]["value"]: one for one in await every("Encounter")}
    assert (states["V1"]["status"], states["V2"]["status"]) == ("entered-in-error", "in-progress")
    assert visits[states["V1"]["partOf"]["reference"]] == "V2"
    assert states["V1"]["class"]["code"] == "AMB"
    assert visits[(await only("Observation"))["encounter"]["reference"]] == "V2"


async def test_what_comes_for_a_visit_that_was_merged_is_of_the_one_that_is_left(
    say, every, numbers, visited
):
    for number, into, at in (("V1", "V2", "1000"), ("V2", "V3", "1010")):
        await say("ADT^A04", "0930", person("T1"), visit(f19=into))
        mrg = segment("MRG", f1="T1^^^SHTH01^PI", f5=number)
        await say("ADT^A42", at, person("T1"), mrg, visit(f19=into))
    order = segment("OBR", f3="F2", f4="GLU^Glucose", f25="F")
    found = segment("OBX", f1="1", f2="NM", f3="GLU^Glucose", f5="6.2", f11="F")
    await say("ORU^R01", "1100", person("T1"), visit(), order, found)

    visits = await numbers("Encounter")
    results = await every("Observation") + await every("DiagnosticReport")
    assert {visits[one["encounter"]["reference"]] for one in results} == {"V3"}
    states = {visits[f"Encounter/{one['id']}"]: one["status"] for one in await every("Encounter")}
    assert states == {"V1": "entered-in-error", "V2": "entered-in-error", "V3": "in-progress"}
    assert len(results) == 4


def numbered(*numbers, name="沈^桂芳"):
    return f"PID|1||{'~'.join(f'{one}^^^SHTH01^PI' for one in numbers)}||{name}"


@pytest.mark.parametrize(
    ("here", "mrg"),
    [
        (["T1"], "MRG|T9^^^SHTH01^PI|||T2^^^SHTH01^PI"),
        (["T9", "T1"], "MRG|T9^^^SHTH01^PI|||T2^^^SHTH01^PI"),
        (["T1", "T9"], "MRG|T9^^^SHTH01^PI"),
        (["T9", "T1"], "MRG|T9^^^SHTH01^PI~T2^^^SHTH01^PI"),
    ],
)
async def test_a_number_goes_to_the_patient_whose_it_is(say, every, here, mrg):
    await say("ADT^A04", "0800", numbered("T9", "T2", name="李^四"))
    await say("ADT^A04", "0810", numbered("T1"))
    await say("ADT^A43", "0900", numbered(*here), mrg)
    await say("ADT^A08", "0910", numbered("T9"))
    found = [
        (one["name"][0]["text"], sorted(number["value"] for number in one["identifier"]))
        for one in await every("Patient")
    ]
    assert found == [("李四", ["T2"]), ("沈桂芳", ["T1", "T9"])]


@pytest.fixture
def told_of(every):
    """Return, of each resource of the kinds that move, whose it is."""

    async def run():
        people = {f"Patient/{one['id']}": one["name"][0]["text"] for one in await every("Patient")}
        return {
            one.get("identifier", one.get("meta", {}).get("tag"))[0].get("value", kind): people[
                one["subject"]["reference"]
            ]
            for kind in ("Encounter", "ServiceRequest", "DiagnosticReport", "DocumentReference")
            for one in await every(kind)
        }

    return run


def result(filler):
    order = segment("OBR", f3=filler, f4="GLU^Glucose", f25="F")
    return [order, segment("OBX", f1="1", f2="NM", f3="GLU^Glucose", f5="5.1", f11="F")]


LI, SHEN = "李四", "沈桂芳"
MOVE = "MRG|T9^^^SHTH01^PI|||T2^^^SHTH01^PI"


async def test_what_was_told_under_a_number_goes_with_it(say, told_of):
    nine, two, both = (numbered(*one, name="李^四") for one in (["T9"], ["T2"], ["T9", "T2"]))
    await say("ADT^A04", "0800", numbered("T2", name="李^四"), visit(f19="V0"))
    await say("ADT^A04", "0801", both)
    await say("ADT^A04", "0805", numbered("T1"), visit(f19="V1"))
    await say("ADT^A01", "0810", nine, visit(f19="V9"))
    await say("ADT^A01", "0812", two, visit(f19="V2"))
    await say("ADT^A08", "0814", both, visit(f19="V2"))
    await say("ORM^O01", "0820", nine, "ORC|NW|P9", "OBR|1|P9||GLU^Glucose")
    await say("ORU^R01", "0822", nine, visit(f19="V9"), *result("F9"))
    await say("ORU^R01", "0824", two, *result("F2"))
    await say("MDM^T02", "0826", nine, "TXA|1|DS|TX|20250314||||||||D9", "OBX|1|TX|||text||||||F")
    before = await told_of()
    assert {before.pop("V1")} | {*before.values()} == {LI, SHEN}
    await say("ADT^A43", "0900", numbered("T1"), MOVE)
    assert await told_of() == {
        **dict.fromkeys(["V0", "V2", "F2"], LI),
        **dict.fromkeys(["V1", "V9", "P9", "F9", "D9"], SHEN),
    }
    await say("ORU^R01", "0823", nine, *result("F8"))  # late
    await say("ADT^A08", "0910", numbered("T9"), visit(f19="V9"))
    await say("ADT^A08", "0912", two, visit(f19="V2"))
    after = await told_of()
    assert (after["F8"], after["V9"], after["V2"]) == (SHEN, SHEN, LI)


async def test_the_only_number_takes_all_along_and_an_earlier_message_follows(say, told_of):
    nine = numbered("T9", name="李^四")
    await say("ADT^A01", "0810", nine, visit(f19="V9"))
    await say("ADT^A04", "0820", numbered("T1"), visit(f19="V1"))
    await say("ADT^A43", "0900", numbered("T1"), "MRG|T9^^^SHTH01^PI")
    await say("ADT^A01", "0800", numbered("T9"), visit(f19="V8"))
    assert await told_of() == dict.fromkeys(["V1", "V8", "V9"], SHEN)


async def test_what_went_along_with_a_number_goes_on_with_it(say, told_of):
    await say("ADT^A01", "0810", numbered("T9"), visit(f19="V9"))
    await say("ORU^R01", "0820", numbered("T9"), *result("F9"))
    await say("ADT^A01", "0830", numbered("T2", name="李^四"), visit(f19="V2"))
    await say("ADT^A43", "0900", numbered("T2", name="李^四"), "MRG|T9^^^SHTH01^PI")
    assert await told_of() == dict.fromkeys(["V2", "V9", "F9"], LI)
    await say("ADT^A43", "0910", numbered("T3", name="王^五"), "MRG|T9^^^SHTH01^PI")
    assert await told_of() == {"V2": LI, **dict.fromkeys(["V9", "F9"], "王五")}


async def test_a_moved_account_takes_its_charges_along(say, only, numbers):
    charge = segment("FT1", f1="1", f2="X1", f4="20250314", f6="CG", f7="A^a", f10="1")
    await say("ADT^A04", "0800", person("T1", f18="A1"))
    await say("ADT^A04", "0810", person("T2"))
    await say("ADT^A04", "0815", person("T1"), visit())
    await say("DFT^P03", "0820", person("T1", f18="A1"), visit(), charge)
    await say("ADT^A44", "0900", person("T2"), segment("MRG", f1="T1^^^SHTH01^PI", f3="A1"))
    people = await numbers("Patient")
    for kind in ("Account", "ChargeItem", "Encounter"):
        subject = (await only(kind))["subject"]
        subject = subject[0] if isinstance(subject, list) else subject
        assert people[subject["reference"]] == "T2", kind


async def test_a_visit_takes_in_what_came_early_under_its_new_number(say, every, visited):
    found = segment("OBX", f1="1", f2="NM", f3="GLU^Glucose", f5="6.1", f11="F")
    order = segment("OBR", f3="F2", f4="GLU^Glucose", f25="F")
    await say("ORU^R01", "0910", person("T1"), visit(f19="V2"), order, found)
    mrg = segment("MRG", f1="T1^^^SHTH01^PI", f5="V1")
    for at in ("0920", "0930"):
        await say("ADT^A50", at, person("T1"), mrg, visit(f19="V2"))
    await say("ADT^A08", "0940", person("T1"), visit(f10="MED"))
    await say("ADT^A03", "0950", person("T1"), visit(f19="V2"))

    first, early = await every("Encounter")
    assert [one["value"] for one in first["identifier"]] == ["V1", "V2"]
    assert (first["status"], first["serviceType"]["coding"][0]["code"]) == ("finished", "MED")
    whole = {"reference": f"Encounter/{first['id']}"}
    assert (early["status"], early["partOf"]) == ("entered-in-error", whole)
    assert [one["encounter"] for one in await every("Observation")] == [whole] * 2


async def people(every):
    return [
        (one["name"][0]["text"], sorted(number["value"] for number in one.get("identifier", ())))
        for one in await every("Patient")
    ]


@pytest.mark.parametrize("mrg", [MOVE, "MRG|T9^^^SHTH01^PI"])
async def test_a_number_that_goes_off_an_unknown_record_makes_none(say, every, mrg):
    for at in ("0900", "0910"):  # the second time the number is where it goes to
        await say("ADT^A43", at, numbered("T1"), mrg)
        assert await people(every) == [(SHEN, ["T1", "T9"])]
    targets = [one["reference"] for one in (await every("Provenance"))[0]["target"]]
    assert len([one for one in targets if one.startswith("Patient/")]) == 1


@pytest.mark.parametrize("mrg", [MOVE, "MRG|T9^^^SHTH01^PI"])
async def test_a_number_that_goes_to_nobody_else_stays(say, every, told_of, mrg):
    await say("ADT^A01", "0800", numbered("T9"), visit(f19="V9"))
    await say("ADT^A43", "0900", numbered("T9"), mrg)
    assert await people(every) == [(SHEN, ["T9"])]
    assert await told_of() == {"V9": SHEN}


async def test_a_number_goes_to_who_is_told_by_pid_2_or_has_another_name(say, every, told_of):
    await say("ADT^A01", "0800", numbered("T9", "T2", name="李^四"), visit(f19="V9"))
    target = segment("PID", f2="T1^^^SHTH01^PI", f3="T9^^^SHTH01^PI", f5="沈^桂芳")
    await say("ADT^A43", "0900", target, MOVE)
    assert await people(every) == [(LI, ["T2"]), (SHEN, ["T1", "T9"])]
    await say("ADT^A43", "0910", numbered("T9", name="王^五"), "MRG|T9^^^SHTH01^PI")
    assert await people(every) == [(LI, ["T2"]), (SHEN, ["T1"]), ("王五", ["T9"])]
    assert await told_of() == {"V9": "王五"}


async def test_a_moved_account_takes_its_visits_along_and_what_was_told_of_them(say, every):
    one, other = person("T1", f18="A1"), person("T1", f18="A2")
    await say("ADT^A01", "0800", one, visit())
    await say("ADT^A01", "0805", other, visit(f19="V2"))
    await say("ADT^A04", "0810", person("T2"), visit(f19="V3"))
    await say("ORU^R01", "0822", person("T1"), visit(), *result("F1"))
    await say("ORU^R01", "0824", person("T1"), visit(f19="V2"), *result("F2"))
    moved = segment("MRG", f1="T1^^^SHTH01^PI", f3="A1")
    await say("ADT^A44", "0900", person("T2", f18="A9"), moved)
    await say("ADT^A08", "0910", person("T2", f18="A9"), visit(f10="MED"))

    first, second = (f"Patient/{one['id']}" for one in await every("Patient"))
    subjects = [second, first, second], [second, first]
    kinds = "Encounter", "DiagnosticReport"
    for kind, wanted in zip(kinds, subjects, strict=True):
        assert [one["subject"]["reference"] for one in await every(kind)] == wanted
    accounts = [[one["value"] for one in of["identifier"]] for of in await every("Account")]
    assert accounts == [["A1", "A9"], ["A2"]]


def glucose(of, number="F1"):
    order = segment("OBR", f3=number, f4="GLU^Glucose", f25="F")
    return of, visit(), order, segment("OBX", f1="1", f2="NM", f3="GLU^Glucose", f5="5", f11="F")


@pytest.mark.parametrize(
    ("to", "whose"),
    [
        pytest.param("T3", {"T1": ["in-progress"], "T3": ["in-progress"]}, id="to a third"),
        pytest.param("T1", {"T1": ["in-progress", "entered-in-error"]}, id="to who has it too"),
    ],
)
async def test_of_two_visits_of_a_number_that_of_who_is_said_to_leave_it_moves(
    say, every, numbers, to, whose
):
    for number in ("T1", "T2", "T3"):
        await say("ADT^A04", "0800", person(number))
    for at, number in (("0810", "T1"), ("0820", "T2")):
        await say("ADT^A01", at, person(number), visit())
    await say("ORU^R01", "0900", *glucose(person("T2")))
    for at in ("1000", "1010"):
        mrg = segment("MRG", f1="T2^^^SHTH01^PI", f5="V1")
        await say("ADT^A45", at, person(to), mrg, visit())
    await say("ORU^R01", "1100", *glucose(person("T2"), "F2"))

    people, found = await numbers("Patient"), {}
    for one in await every("Encounter"):
        found.setdefault(people[one["subject"]["reference"]], []).append(one["status"])
    assert found == whose
    held = {one["id"]: one for one in await every("Encounter")}
    for result in await every("Observation"):
        assert people[result["subject"]["reference"]] == to
        of = held[result["encounter"]["reference"].partition("/")[2]]
        assert (people[of["subject"]["reference"]], of["status"]) == (to, "in-progress")


async def test_a_visit_of_a_third_patient_is_not_the_one_that_moves(say, every, numbers):
    await say("ADT^A04", "0800", person("T1"))
    await say("ADT^A01", "0810", person("T9", f5="李^四", f7="19700101"), visit())
    await say("ADT^A45", "0900", person("T2"), segment("MRG", f1="T1^^^SHTH01^PI"), visit())

    people = await numbers("Patient")
    owners = [people[one["subject"]["reference"]] for one in await every("Encounter")]
    assert owners == ["T9", "T2"]


@pytest.mark.parametrize("event", ["A03", "A11", "A08"])
async def test_what_is_told_of_a_visit_that_was_merged_is_told_of_the_one_that_is_left(
    say, every, event, visited
):
    await say("ADT^A04", "0930", person("T1"), visit(f19="V2"))
    mrg = segment("MRG", f1="T1^^^SHTH01^PI", f5="V1")
    await say("ADT^A42", "1000", person("T1"), mrg, visit(f19="V2"))
    await say(f"ADT^{event}", "1100", person("T1"), visit(f10="MED"))

    merged, left = await every("Encounter")
    assert merged["status"] == "entered-in-error"
    assert left["status"] == ("finished" if event == "A03" else "in-progress")
    assert [one["value"] for one in left["identifier"]] == ["V2"]
    assert ("serviceType" in left) is (event != "A11")


@pytest.mark.parametrize("number", ["V9", ""])
async def test_a_visit_that_moves_is_the_one_of_mrg_5(say, only, numbers, number, visited):
    mrg = segment("MRG", f1="T1^^^SHTH01^PI", f5="V1")
    await say("ADT^A45", "1000", person("T2"), mrg, visit(f19=number))

    found, people = await only("Encounter"), await numbers("Patient")
    assert people[found["subject"]["reference"]] == "T2"
    assert {one["value"] for one in found["identifier"]} == {"V1", number} - {""}


async def test_a_number_leaves_a_record_that_another_institution_tells_of_too(say, every):
    resident = "~310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN"
    both = person(f3=f"T1^^^SHTH01^PI~T9^^^SHTH01^PI{resident}")
    other = {"f5": "李^四", "f7": "19700101"}
    await say("ADT^A28", "0700", both)
    centre = person("Z1", "13000000001", "ZJJCHC", f3=f"Z1^^^ZJJCHC^PI{resident}")
    await say("ADT^A28", "0710", centre, by="CHIS|ZJJCHC")
    await say("ADT^A28", "0720", person("T2", **other))
    gone = segment("MRG", f1="T1^^^SHTH01^PI", f4="T9^^^SHTH01^PI")
    for at in ("0900", "0930"):
        await say("ADT^A43", at, person("T1", f2="T2^^^SHTH01^PI", **other), gone)

    held = [[one["value"] for one in of["identifier"]] for of in await every("Patient")]
    assert held == [["T9", "310229195304129989", "Z1"], ["T2", "T1"]]
    await say("ADT^A08", "1000", person("T1", "13000000002", **other))
    first, second = await every("Patient")
    assert [one["telecom"][0]["value"] for one in (first, second)] == ["13000000001", "13000000002"]


@pytest.mark.parametrize("event", ["A03", "A08"])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_corrected_discharge_is_when_the_last_bed_was_left(say, only, order, event):
    stay = {"f2": "I", "f3": "W1^R1^B1", "f44": "20250314090000"}
    story = [
        ("A01", "0900", visit(**stay)),
        ("A03", "1500", visit(**stay, f45="20250314144500")),
        (event, "1600", visit(**stay, f45="20250314143000")),
    ]
    for name, at, told in (story[place] for place in order):
        await say(f"ADT^{name}", at, person(), told)

    found = await only("Encounter")
    (bed,) = found["location"]
    assert found["period"]["end"] == "2025-03-14T14:30:00+08:00"
    assert bed["period"]["end"] == "2025-03-14T06:30:00Z"
    assert (found["status"], bed["status"]) == ("finished", "completed")
