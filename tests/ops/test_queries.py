"""Patient queries over MLLP: PDQ, PIX, demographics by number, and the old QRY^A19.

Spec: HL7v2 chapter 5; IHE ITI-9, ITI-21
"""

import pytest
import pytest_asyncio

from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.wire import charset
from fhir_hub.store.journal import Received

ADT = (
    "MSH|^~\\&|HIS|{site}|HUB|QP|2025||ADT^A28|{number}|P|2.4\r"
    "PID|1||{number}^^^{site}^PI{more}||{name}||{birth}|{sex}|||盈港路1号^^上海市^青浦区^201700||{phone}\r"
)
PEOPLE = (
    ("SHTH01", "P1", "~310229195304129989^^^^NNCHN", "沈^桂芳", "19530412", "F", "13800138000"),
    ("ZJJCHC", "Z1", "~310229195304129989^^^^NNCHN", "沈^桂芳", "19530412", "F", "13800138000"),
    ("SHTH01", "P2", "", "沈^大伟", "19800101", "M", "13900139000"),
    ("SHTH01", "P3", "", "SMITH^JOHN", "19700203", "M", "13700137000"),
    ("SHTH01", "P4", "", "SMITHSON^JANE", "19710203", "F", "13600136000"),
)
NAMES = ("site", "number", "more", "name", "birth", "sex", "phone")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(start):
    async with start() as hub:
        for person in PEOPLE:
            answer = await hub.send(ADT.format(**dict(zip(NAMES, person, strict=True))).encode())
            assert b"MSA|AA" in answer
        yield hub


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def asked(hub, event, *segments, version="2.5", site="QPCDC"):
    """Return the answer to a query, parsed."""
    header = f"MSH|^~\\&|PIX|{site}|HUB|QP|2025||{event}|Q1|P|{version}"
    decoded = charset.decode(await hub.send("\r".join((header, *segments, "")).encode()))
    return er7.parse(decoded.text, decoded.charset)


def shown(answer):
    """Return MSA-1, QAK-2 and the numbers in PID-3 of each person."""
    people = [tuple(one.text(1) for one in segment.repetitions(3)) for segment in answer.all("PID")]
    return (answer.first("MSA").value(1), answer.first("QAK").value(2), people)


async def pdq(hub, fields, *more, domains=""):
    return await asked(hub, "QBP^Q22^QBP_Q21", f"QPD|Q22^Find|T1|{fields}|||||{domains}", *more)


@pytest.mark.parametrize(
    ("fields", "numbers"),
    [
        ("@PID.3.1^P2~@PID.3.4.1^SHTH01", ["P2"]),
        ("@PID.3.1^P2", ["P2"]),
        ("@PID.3.1^P2~@PID.3.4^SHTH01&1.2.3&ISO", []),
        ("@PID.3.1^310229195304129989~@PID.3.4^&2.16.156.10011.1.3&ISO", ["P1"]),
        ("@PID.3.1^P2~@PID.3.4^&1.2.3&ISO", []),
        ("@PID.5.1^沈~@PID.5.1^沈~@PID.5.2^*~@PID.7^1980", ["P2"]),
        ("@PID.3.1^310229195304129989", ["P1"]),
        ("@PID.19^310229195304129989", ["P1"]),
        ("@PID.5.1^沈~@PID.5.2^桂芳", ["P1"]),
        ("@PID.5^沈大伟", ["P2"]),
        ("@PID.5.1^shen*", ["P1", "P2"]),
        ("@PID.5.1^shendawei", ["P2"]),
        ("@PID.5.1^SMITH", ["P3"]),
        ("@PID.5.1^smith*", ["P3", "P4"]),
        ("@PID.5.1.1^*mith*~@PID.8^F", ["P4"]),
        ("@PID.7^19800101", ["P2"]),
        ("@PID.7.1^1980-01-01~@PID.8^男", ["P2"]),
        ("@PID.13.1^+86 139-0013-9000", ["P2"]),
        ("@PID.11.3^青浦~@PID.7^1970", []),
        ("@PID.11.4^青浦区~@PID.7^1970", ["P3"]),
        ("@PID.5.1^张*", []),
    ],
)
async def test_pdq_finds_by(hub, fields, numbers):
    answer = await pdq(hub, fields)

    ack_code, status, people = shown(answer)
    assert (ack_code, status) == ("AA", "OK" if numbers else "NF")
    assert sorted(person[0] for person in people) == numbers
    total = str(len(numbers))
    assert answer.first("QAK").text == f"QAK|T1|{status}|Q22^Find|{total}|{total}|0"


async def test_the_answer_is_a_response_with_the_query_and_the_person(hub):
    answer = await pdq(hub, "@PID.3.1^P1")

    names = [segment.name for segment in answer.segments]
    assert names == ["MSH", "MSA", "QAK", "QPD", "PID", "QRI"]
    header = answer.header
    assert header.field(9) == "RSP^K22^RSP_K21"
    assert [header.value(n) for n in (3, 4, 5, 6)] == ["HUB", "QP", "PIX", "QPCDC"]
    assert answer.first("MSA").value(2) == "Q1"
    assert answer.first("QPD").text == "QPD|Q22^Find|T1|@PID.3.1^P1|||||"
    person = answer.first("PID")
    assert person.field(3).split("~") == [
        "P1^^^SHTH01^PI",
        "310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN",
        "Z1^^^ZJJCHC^PI",
    ]
    assert person.value(5, 1) + person.value(5, 2) == "沈桂芳"
    assert (person.value(7), person.value(8), person.value(13)) == ("19530412", "F", "13800138000")
    assert person.value(11, 5) == "201700"
    assert answer.first("QRI").text == "QRI||"
    by_name = await pdq(hub, "@PID.5.1^沈~@PID.5.2^桂芳~@PID.7^1953")
    assert by_name.first("QRI").text == "QRI||NA~DB"


@pytest.mark.parametrize(
    ("fields", "scores"),
    [
        ("@PID.3.1^P1~@PID.3.4^SHTH01", ["1.00"]),
        ("@PID.19^310229195304129989", ["1.00"]),
        ("@PID.3.1^310229195304129989", ["1.00"]),
        ("@PID.3.1^P1", [""]),  # another authority may have given it to another
        ("@PID.3.4^SHTH01~@PID.5.1^smith*", ["", ""]),  # an authority is many people's
        ("@PID.5^沈大伟", [""]),
    ],
)
async def test_only_who_has_a_number_of_an_authority_is_certain(hub, fields, scores):
    answer = await pdq(hub, fields)

    assert [segment.value(1) for segment in answer.all("QRI")] == scores


async def test_the_asker_hears_its_own_codes(hub):
    answer = await asked(hub, "QBP^Q22", "QPD|Q|T|@PID.3.1^P1", site="SHTH01")

    assert answer.first("PID").value(3, 5) == "就诊卡"  # mappings/senders says so of SHTH01


async def test_only_the_numbers_of_the_wanted_domain_are_told(hub):
    answer = await pdq(hub, "@PID.5.1^沈*", domains="^^^ZJJCHC")

    assert shown(answer) == ("AA", "OK", [("Z1",)])


async def test_portions_go_on_where_the_last_one_ended(hub):
    seen, going_on, left = [], (), []
    for _ in range(4):
        answer = await pdq(hub, "@PID.11.3^上海*", "RCP|I|1^RD", *going_on)
        seen += [person[0] for person in shown(answer)[2]]
        left.append(answer.first("QAK").value(6))
        pointer = answer.first("DSC")
        going_on = (pointer.text,) if pointer else ()
        if not pointer:
            break

    assert (sorted(seen), left) == (["P1", "P2", "P3", "P4"], ["3", "2", "1", "0"])


@pytest.mark.parametrize("begins", ["DSC|0", "DSC|", 'DSC|""', "DSC||I"])
async def test_a_pointer_to_nothing_begins_at_the_start(hub, begins):
    answer = await pdq(hub, "@PID.3.1^P2", begins)

    assert shown(answer)[:2] == ("AA", "OK")


async def test_the_answer_is_in_the_askers_character_set(hub):
    raw = "MSH|^~\\&|PIX|A||||||QBP^Q22|Q2|P|2.5|||||CHN|GBK\rQPD|Q|T|@PID.5.1^沈*\r"
    raw = raw.replace("||||||QBP", "|HUB|QP|2025||QBP")
    answer = (await hub.send(raw.encode("gbk"))).decode("gbk")

    assert "|GBK\r" in answer
    assert "沈^桂芳" in answer


@pytest.mark.parametrize(
    ("parameters", "numbers"),
    [
        ("P1^^^SHTH01", {"310229195304129989", "Z1"}),
        ("P1^^^SHTH01^PI|^^^ZJJCHC", {"Z1"}),
        ("310229195304129989^^^^NNCHN|^^^SHTH01~^^^ZJJCHC", {"P1", "Z1"}),
        ("Z1^^^ZJJCHC|^^^&2.16.156.10011.1.3&ISO", {"310229195304129989"}),
    ],
)
async def test_pix_tells_the_other_numbers_and_nothing_else(hub, parameters, numbers):
    answer = await asked(hub, "QBP^Q23", f"QPD|PIX|T2|{parameters}")

    assert answer.header.field(9) == "RSP^K23^RSP_K23"
    (person,) = shown(answer)[2]
    assert set(person) == numbers
    assert answer.first("PID").field(5) == " ~^^^^^^S"
    assert not answer.first("PID").field(7)


async def test_pix_without_another_number_has_no_data(hub):
    assert shown(await asked(hub, "QBP^Q23", "QPD|PIX|T2|P2^^^SHTH01")) == ("AA", "NF", [])


async def test_demographics_by_number(hub):
    answer = await asked(hub, "QBP^Q21", "QPD|Q21|T3|Z1^^^ZJJCHC|^^^SHTH01")

    assert answer.header.field(9) == "RSP^K21^RSP_K21"
    assert shown(answer) == ("AA", "OK", [("P1",)])
    assert answer.first("PID").value(5) == "沈"
    assert shown(await asked(hub, "QBP^Q21", "QPD|Q21|T3|NONE^^^SHTH01"))[:2] == ("AA", "NF")


async def test_the_old_query_finds_by_number_and_by_name(hub):
    query = "QRD|2025|R|I|T4|||5^RD|{}|DEM"
    for who in ("P2", "P2^^^^^^^^SHTH01", "^沈^大伟"):
        answer = await asked(
            hub, "QRY^A19", query.format(who), "QRF|HIS", version="2.3", site="SHTH01"
        )
        assert answer.header.field(9) == "ADR^A19^ADR_A19"
        assert [one.text for one in answer.all("QRF")] == ["QRF|HIS"]
        assert shown(answer) == ("AA", "OK", [("P2",)])


@pytest.mark.parametrize(
    ("event", "query", "error", "location"),
    [
        ("QBP^Q23", "QPD|PIX|T|NONE^^^SHTH01", "204", "QPD^1^3^1^1"),
        ("QBP^Q23", "QPD|PIX|T|P1^^^NOWHERE", "204", "QPD^1^3^1^4"),
        ("QBP^Q23", "QPD|PIX|T|P1^^^SHTH01|^^^ZJJCHC~^^^NOWHERE", "204", "QPD^1^4^2"),
        ("QBP^Q22", "QPD|Q|T|@PID.5.1^沈|||||^^^NOWHERE", "204", "QPD^1^8^1"),
        ("QBP^Q21", "QPD|Q|T|P1^^^NOWHERE", "204", "QPD^1^3^1^4"),
        ("QBP^Q22", "QPD|Q|T|@PID.18^1", "103", "QPD^1^3"),
        ("QBP^Q22", "QPD|Q|T|@PV1.3^1", "103", "QPD^1^3"),
        ("QBP^Q22", "QPD|Q|T|@PID.7^soon", "102", "QPD^1^3"),
        ("QBP^Q22", "QPD|Q|T|@PID.8^?", "103", "QPD^1^3"),
        ("QBP^Q22", "QPD|Q|T", "101", "QPD^1^3"),
        ("QBP^Q22", "QPD|Q|T|@PID.5.1^*", "101", "QPD^1^3"),
        ("QBP^Q22", "QPD|Q|T|@PID.5.1^沈^桂芳", "102", "QPD^1^3^1"),
        ("QBP^Q22", "QPD|Q|T|@PID.5.1^沈~@PID.5.1^SMITH", "102", "QPD^1^3^2"),
        ("QBP^Q22", "QPD|Q|T|@PID.5.1^沈\rRCP|I|x", "102", "RCP^1^2"),
        ("QBP^Q22", "QPD|Q|T|@PID.5.1^沈\rRCP|D", "103", "RCP^1^1"),
        ("QBP^Q22", "QPD|Q|T|@PID.5.1^沈\rDSC|nonsense", "102", "DSC^1^1"),
        ("QBP^Q22", "QPD|Q|T|@PID.5.1^沈\rDSC|MXxub25zZW5zZQ==", "102", "DSC^1^1"),
        ("QBP^Q21", "QPD|Q|T", "101", "QPD^1^3"),
        ("QRY^A19", "QRD|2025|R|I|T|||1^RD||DEM", "101", "QRD^1^8"),
        ("QBP^Q22", "RCP|I", "100", "QPD^1"),
        ("QBP^Q11", "QPD|Q|T", "201", "MSH^1^9"),
    ],
)
async def test_what_cannot_be_answered_says_why(hub, event, query, error, location):
    answer = await asked(hub, event, query)

    place = answer.first("ERR")
    assert answer.first("MSA").value(1) == ("AR" if error == "201" else "AE")
    assert (place.value(3), place.field(2)) == (error, location)
    if "QPD|" in query or "QRD|" in query:
        assert answer.first("QAK").value(2) == answer.first("MSA").value(1)
    if "PID.18" in query:
        assert "cannot search by PID-18 / 不能按此字段查询; " in place.value(8)


async def test_a_query_stands_in_the_journal_and_changes_nothing_else(hub):
    before = await hub.hub.backend.store.status()
    for _ in range(2):  # it is no duplicate: what is stored may have changed meanwhile
        await pdq(hub, "@PID.3.1^P1")

    kept = await hub.hub.backend.journal.recent(count=2)
    assert [one.state for one in kept] == ["answered", "answered"]
    assert (kept[0].message.message_type, kept[0].message.control_id) == ("QBP^Q22", "Q1")
    assert [link.resource_type for link in kept[0].links] == ["Patient"]
    assert (b"QAK|T1|OK" in kept[0].ack, b"PID" in kept[0].ack) == (True, False)
    assert await hub.hub.backend.store.status() == before
    async with hub.client() as client:
        asked = {"state": "answered", "links": "/".join(kept[0].links[0])}
        rows = (await client.get("/ops/messages", params=asked)).json()["messages"]
        assert rows[0]["number"] == kept[0].number
        assert "P1" not in str(rows)
        again = {"number": str(kept[0].number)}
        replayed = (await client.post("/ops/messages/$replay", json=again)).json()["messages"]
        assert replayed[0]["refused"] == "the message is answered"


async def test_a_query_that_is_refused_says_why_in_the_journal(hub):
    assert shown(await asked(hub, "QBP^Q23", "QPD|PIX|T2|NONE^^^SHTH01"))[0] == "AE"

    (kept,) = await hub.hub.backend.journal.recent(count=1)
    assert (kept.state, kept.links) == ("answered", ())
    assert kept.error.startswith("InvalidMessage: nobody has this number")


async def test_a_query_in_enhanced_mode_is_answered_at_once(start):
    async with start(channels={"mllp": {"ack_mode": "enhanced"}}) as hub:
        query = (
            "MSH|^~\\&|PIX|QPCDC|HUB|QP|2025||QBP^Q22|Q1|P|2.5|||AL|AL\rQPD|Q22|T1|@PID.3.1^P1\r"
        )
        answer = charset.decode(await hub.send(query.encode()))
        assert shown(er7.parse(answer.text, answer.charset)) == ("AA", "NF", [])


async def test_a_query_that_a_crash_interrupted_is_not_done_at_the_next_start(hub):
    journal = hub.hub.backend.journal
    asking = Received("mllp", "", "d1", 1, b"MSH|^~\\&|A|B|||2025||QBP^Q22|Q9|P|2.5\r", "QBP^Q22")
    number = (await journal.keep(asking)).entered.number
    assert await hub.hub.receiver.replay() == 1
    assert (await journal.find(number)).state == "answered"


async def test_who_was_merged_away_is_found_by_the_old_number_and_once(start):
    merge = (
        "MSH|^~\\&|HIS|SHTH01|HUB|QP|2025||ADT^A40^ADT_A39|M1|P|2.4\rEVN|A40|2025\r"
        "PID|1||P8^^^SHTH01^PI||李^一||19900101|F\rMRG|P9^^^SHTH01^PI\r"
    )
    other = ("SHTH01", "P9", "", "李^一", "19900101", "F", "13500135000")
    async with start() as hub:
        await hub.send(ADT.format(**dict(zip(NAMES, other, strict=True))).encode())
        await hub.send(merge.encode())

        assert [person[0] for person in shown(await pdq(hub, "@PID.5^李一"))[2]] == ["P8"]
        by_number = await asked(hub, "QBP^Q21", "QPD|Q21|T3|P9^^^SHTH01")
        assert shown(by_number)[2][0][0] == "P8"
        for asking in (
            pdq(hub, "@PID.3.1^P9~@PID.3.4^SHTH01"),
            pdq(hub, "@PID.3.1^P9~@PID.5.1^李*"),
            asked(hub, "QRY^A19", "QRD|2025|R|I|T4|||1^RD|P9|DEM", site="SHTH01"),
        ):
            (found,) = shown(await asking)[2]
            assert found[0] == "P8"
        assert shown(await pdq(hub, "@PID.3.1^P9~@PID.5.1^张*"))[2] == []


async def test_a_query_that_is_given_up_is_accepted(hub):
    answer = await asked(hub, "QCN^J01^QCN_J01", "QID|T1|Q22^Find")
    assert (answer.header.value(9), answer.first("MSA").text) == ("ACK", "MSA|AA|Q1")
    unnamed = await asked(hub, "QCN^J01^QCN_J01")
    assert (unnamed.first("MSA").value(1), unnamed.first("ERR").value(2)) == ("AE", "QID")
