"""Results that share the one number that each should have for itself (OBX-21).

Spec: HL7v2 chapter 7, OBX-21 (unique to the observation); R4 observation.html, obs-7
"""

from meaning_parts import segment

PID = "PID|1||T1^^^SHTH01^PI||沈^桂芳"


def result(code, value, number="EI21^LIS"):
    return segment("OBX", f1="1", f2="NM", f3=f"{code}^x^LN", f5=value, f11="F", f21=number)


def report(*results):
    return [PID, "OBR|1|P1|F1|24323-8^panel^LN", *results]


def told(results):
    return {
        one["code"]["coding"][0]["code"]: str(one["valueQuantity"]["value"])
        if "valueQuantity" in one
        else [str(part["valueQuantity"]["value"]) for part in one["component"]]
        for one in results
    }


async def test_results_with_one_number_stay_results_of_their_own(say, every):
    await say("ORU^R01", "0900", *report(result("718-7", "120"), result("8867-4", "60~120")))
    assert told(await every("Observation")) == {"718-7": "120", "8867-4": ["60", "120"]}

    await say("ORU^R01", "0930", *report(result("718-7", "121"), result("8867-4", "61~120")))
    assert told(await every("Observation")) == {"718-7": "121", "8867-4": ["61", "120"]}


async def test_a_number_of_one_result_finds_it_under_another_order(say, only):
    await say("ORU^R01", "0900", PID, "OBR|1|P1|F1|A^a", result("718-7", "120", "R1^LIS"))
    await say("ORU^R01", "0930", PID, "OBR|1|P1|F2|A^a", result("718-7", "121", "R1^LIS"))
    assert str((await only("Observation"))["valueQuantity"]["value"]) == "121"


async def test_a_number_that_several_results_have_finds_none_of_them(say, every):
    await say("ORU^R01", "0900", *report(result("718-7", "120"), result("8867-4", "60")))
    await say("ORU^R01", "0930", PID, "OBR|1|P2|F2|A^a", result("718-7", "121"))
    found = [str(one["valueQuantity"]["value"]) for one in await every("Observation")]
    assert found == ["120", "60", "121"]
