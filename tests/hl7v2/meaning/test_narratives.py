"""Reports in words, whose parts the suffix of OBX-3 names (`71020&IMP`).

Spec: HL7v2 chapter 7, 7.1.3; R4 diagnosticreport.conclusion
"""

import pytest
from meaning_parts import person, segment

ORDER = segment("OBR", f2="P1", f3="F1", f4="71020^Chest X-ray^C4", f25="F")


def part(code, text, kind="TX", status="F", sub_id=""):
    return segment("OBX", f1="1", f2=kind, f3=code, f4=sub_id, f5=text, f11=status)


async def parts_of(every):
    """Return suffix → text of each part; all are of the study."""
    found = {}
    for one in await every("Observation"):
        study, suffix = one["code"]["coding"]
        assert (study["code"], suffix["system"].rpartition("/")[2]) == (
            "71020",
            "observation-suffix",
        )
        found[suffix["code"]] = one["valueString"]
    return found


async def test_each_part_is_an_observation_and_the_impression_the_conclusion(say, every, only):
    body = [part("&GDT", "Opacity."), part("71020&IMP^Chest X-ray^C4", "Pneumonia.~See below.")]
    await say("ORU^R01", "0900", person(), ORDER, *body, part("&adt", "Read again."))
    assert await parts_of(every) == {
        "GDT": "Opacity.",
        "IMP": "Pneumonia.\nSee below.",
        "ADT": "Read again.",
    }
    report = await only("DiagnosticReport")
    assert report["conclusion"] == "Pneumonia.\nSee below."
    assert len(report["result"]) == 3


async def test_a_corrected_impression_changes_no_other_part(say, every, only):
    await say("ORU^R01", "0900", person(), ORDER, part("&GDT", "Opacity."), part("&IMP", "A."))
    await say("ORU^R01", "0910", person(), ORDER, part("&IMP", "B.", status="C"))
    await say("ORU^R01", "0920", person(), ORDER, part("&GDT", "Clear.", status="C"))
    assert await parts_of(every) == {"GDT": "Clear.", "IMP": "B."}
    assert (await only("DiagnosticReport"))["conclusion"] == "B."


async def test_each_of_many_reports_has_its_own_study_and_conclusion(say, every):
    for n in range(10):
        study = f"S{n % 2}"
        order = segment("OBR", f2=f"P{n}", f3=f"F{n}", f4=f"{study}^Study^C4", f25="F")
        await say("ORU^R01", f"09{n:02}", person(), order, part("&IMP", f"A{n}."))
    texts = [f"A{n}." for n in range(10)]
    reports = await every("DiagnosticReport")
    assert sorted(one.get("conclusion", "") for one in reports) == texts
    found = {one["valueString"]: one["code"]["coding"][0] for one in await every("Observation")}
    assert [found[text]["code"] for text in texts] == ["S0", "S1"] * 5


async def test_an_impression_that_is_taken_back_is_no_conclusion(say, every, only):
    await say("ORU^R01", "0900", person(), ORDER, part("&GDT", "Opacity."), part("&IMP", "A."))
    await say("ORU^R01", "0910", person(), ORDER, part("&IMP", "A.", status="W"))
    assert "conclusion" not in await only("DiagnosticReport")
    wrong = part("&IMP", "A.", status="W", sub_id="1")
    await say("ORU^R01", "0920", person(), ORDER, wrong, part("&IMP", "B.", sub_id="2"))
    assert (await only("DiagnosticReport"))["conclusion"] == "B."


@pytest.mark.parametrize(
    ("again", "conclusion"),
    [
        ([part("&IMP", "A.", status="W", sub_id="1")], "B.\nC."),
        ([part("&IMP", "C.", status="D", sub_id="3")], "A.\nB."),
        ([part("&IMP", "B2.", status="C", sub_id="2")], "A.\nB2.\nC."),
        ([part("&IMP", f"{n}.", status="W", sub_id=str(n)) for n in (1, 2, 3)], None),
        ([part("&IMP", "", status="X", sub_id="2"), part("&IMP", "D.", sub_id="4")], "A.\nC.\nD."),
        ([part("&IMP", "All.", status="C")], "All."),
    ],
)
async def test_the_impressions_that_a_message_leaves_alone_stay_in_the_conclusion(
    say, only, again, conclusion
):
    first = [part("&IMP", f"{text}.", sub_id=str(n)) for n, text in enumerate("ABC", 1)]
    await say("ORU^R01", "0900", person(), ORDER, part("&GDT", "Opacity."), *first)
    await say("ORU^R01", "0910", person(), ORDER, *again)
    assert (await only("DiagnosticReport")).get("conclusion") == conclusion


async def test_one_of_several_unnumbered_impressions_is_taken_back(say, only):
    coded = part("&IMP", "J18.9^Pneumonia^I10", "CE", sub_id="9")
    await say("ORU^R01", "0900", person(), ORDER, part("&IMP", "A."), part("&IMP", "B."), coded)
    await say("ORU^R01", "0910", person(), ORDER, part("&IMP", "A.", status="D"))
    report = await only("DiagnosticReport")
    assert report["conclusion"] == "B.\nPneumonia"
    assert [one["coding"][0]["code"] for one in report["conclusionCode"]] == ["J18.9"]


async def test_coded_impressions_are_coded_conclusions_and_texts_among_them_lines(say, only):
    said = [part("&IMP", "J18.9^Pneumonia^I10", "CE", sub_id="1")]
    said += [part("&IMP", "^old fracture", "CE", sub_id="2"), part("&IMP", "wrong", status="W")]
    await say("ORU^R01", "0900", person(), ORDER, *said)
    report = await only("DiagnosticReport")
    assert [one["coding"][0]["code"] for one in report["conclusionCode"]] == ["J18.9"]
    assert report["conclusion"] == "Pneumonia\nold fracture"
