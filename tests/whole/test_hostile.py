"""Bad input gets a clear error, and the hub goes on."""

import pytest
from whole.running import RunningHub

from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.wire.batches import parts_of


@pytest.fixture(scope="module")
def hub():
    with RunningHub("memory:") as hub:
        yield hub


HEAD = b"MSH|^~\\&|LIS|SHTH01|HUB|QP|20250314103000||"
PID = b"PID|1||77^^^SHTH01^PI||\xe6\xb2\x88^\xe4\xb8\x80\r"


@pytest.mark.parametrize(
    ("message", "ack", "error"),
    [
        (b"garbage", b"MSA|AR|", b"100"),
        (HEAD + b"ZZZ^Z99|1|P|2.5\r" + PID, b"MSA|AR|1", b"ERR||MSH^1^9|200^"),
        (HEAD + b"ADT^A99|2|P|2.5\r" + PID, b"MSA|AR|2", b"ERR||MSH^1^9|201^"),
        (HEAD + b"ADT^A99|3|P|2.3\r" + PID, b"MSA|AR|3", b"ERR|MSH^1^9^201&"),
        (HEAD + b"ADT^A01|4|P|2.5\r", b"MSA|AE|4", b"100^"),
        (HEAD + b"|9|P|2.5\r" + PID, b"MSA|AR|9", b"ERR||MSH^1^9|101^"),
    ],
    ids=["no message", "unknown type", "unknown trigger", "before 2.5", "no patient", "no type"],
)
def test_a_message_that_cannot_be_taken_is_refused_with_the_reason(hub, message, ack, error):
    with hub.mllp() as mllp:
        answer = mllp.send(message)
        assert ack in answer, answer
        assert error in answer, answer
        again = mllp.send(HEAD + b"ADT^A04|ok|P|2.5\r" + PID)
        assert b"MSA|AA|ok" in again


def test_an_acknowledgments_control_id_is_no_longer_than_msh_10_in_any_version(hub):
    with hub.mllp() as mllp:
        answers = {
            er7.parse(mllp.send(HEAD + f"ADT^A04|id{number}|P|2.3\r".encode() + PID).decode())
            for number in range(20)
        }
        batch = mllp.send(HEAD + b"ADT^A04|b1|P|2.3\r" + PID + HEAD + b"ADT^A04|b2|P|2.3\r" + PID)

    control_ids = {answer.header.value(10) for answer in answers}
    assert {len(one) for one in control_ids} == {20}
    assert len(control_ids) == 20
    assert len(er7.parse(batch.decode()[batch.index(b"MSH") :]).header.value(10)) == 20
    assert len(next(parts_of(batch)).field(11)) == 20


def test_a_body_of_50_megabytes_is_refused_and_the_hub_goes_on(hub):
    with hub.client() as client:
        answer = client.post("Patient", content=b" " * 50_000_000)
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (413, "too-long")
        assert client.post("Patient", json={"resourceType": "Patient"}).status_code == 201


def test_broken_frames_are_passed_over(hub):
    with hub.mllp() as mllp:
        mllp.socket.sendall(b"\x1c\rjunk\x0b\x0b\x0bMSH|half")
        assert b"MSA|AA|5" in mllp.send(HEAD + b"ADT^A04|5|P|2.5\r" + PID)


def test_an_absolute_reference_to_the_hub_itself_is_kept_whole_on_any_free_port(hub):
    with hub.client() as client:
        basic = {"resourceType": "Basic", "code": {"text": "x"}}
        refused = client.post(
            "Basic", json=basic | {"subject": {"reference": f"{hub.fhir}/Group/1"}}
        )
        made = client.put("Patient/own", json={"resourceType": "Patient", "id": "own"})
        taken = client.post(
            "Basic", json=basic | {"subject": {"reference": f"{hub.fhir}/Patient/own"}}
        )

        assert (refused.status_code, made.status_code, taken.status_code) == (422, 201, 201)
        found = client.get("Basic?subject=Patient/own").json()["entry"]
        assert [one["resource"]["id"] for one in found] == [taken.json()["id"]]
        assert client.delete("Patient/own").status_code == 409
