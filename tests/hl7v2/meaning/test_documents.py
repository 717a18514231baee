"""Documents that are edited, added to, replaced and cancelled.

Spec: HL7v2 chapter 9, T02, T06, T08, T10 and T11
"""

import base64

import pytest
from meaning_parts import person, segment


@pytest.fixture
def tell(say, every):
    """Tell of a document; return the states of all by their numbers."""

    async def run(event, at, number, parent="", text="text"):
        document = segment("TXA", f1="1", f2="DS", f3="TX", f4="20250314", f12=number, f13=parent)
        await say(f"MDM^{event}", at, person(), document, f"OBX|1|TX|||{text}||||||F")
        found = await every("DocumentReference")
        return {one["identifier"][0]["value"]: one["status"] for one in found}

    return run


async def test_a_document_that_is_replaced_is_superseded(tell):
    await tell("T02", "0800", "D1")
    await tell("T08", "0805", "D1", text="edited")
    assert await tell("T06", "0810", "D2", "D1") == {"D1": "current", "D2": "current"}
    assert await tell("T10", "0820", "D3", "D1") == {
        "D1": "superseded",
        "D2": "current",
        "D3": "current",
    }
    states = await tell("T10", "0830", "D4", "D3")
    assert states == {"D1": "superseded", "D2": "current", "D3": "superseded", "D4": "current"}
    assert await tell("T04", "0840", "D3") == states
    assert (await tell("T11", "0850", "D4"))["D4"] == "entered-in-error"


async def test_a_document_that_comes_after_what_replaces_it_is_superseded(tell):
    await tell("T10", "0900", "D2", "D1")
    assert await tell("T02", "0800", "D1") == {"D2": "current", "D1": "superseded"}


async def test_a_document_is_in_force_again_when_what_replaced_it_is_cancelled(tell):
    await tell("T02", "0800", "D1")
    await tell("T10", "0810", "D2", "D1")
    assert await tell("T11", "0820", "D2", "D1") == {"D1": "current", "D2": "entered-in-error"}

    await tell("T10", "0830", "D3", "D1")
    await tell("T10", "0840", "D4", "D1")
    assert (await tell("T11", "0850", "D3", "D1"))["D1"] == "superseded"


@pytest.fixture
def notify(say, every):
    """Tell of a document, with its text or without; return the one that there is and its text."""

    async def run(event, at, text="", **fields):
        document = segment("TXA", f1="1", f2="DS", f3="TX", f4="20250314", f12="D1", **fields)
        await say(
            f"MDM^{event}", at, person(), document, *([f"OBX|1|TX|||{text}||||||F"] if text else [])
        )
        (found,) = await every("DocumentReference")
        attachment = found["content"][0]["attachment"]
        return found, base64.b64decode(attachment.get("data", "")).decode()

    return run


@pytest.mark.parametrize("event", ["T01", "T03", "T07", "T11"])
async def test_a_notification_without_the_text_leaves_the_text(notify, event):
    await notify("T02", "0800", "text", f17="PA")
    found, text = await notify(event, "0810", f17="LA")

    assert text == "text"
    assert found["docStatus"] == "final"


async def test_a_text_that_comes_after_the_notification_of_its_change_is_there(notify):
    await notify("T03", "0810")
    _, text = await notify("T02", "0800", "text")
    assert text == "text"

    _, text = await notify("T02", "0805", "another")
    assert text == "another"
