"""Channels that change while the hub runs: what is new holds, what stays is not disturbed.

Spec: DOMAIN 5.1 (interface registry)
"""

import asyncio
import ssl
from functools import partial

import parts
import pytest
import trustme
from channel_parts import SERVER, adt

from fhir_hub.hl7v2.channels.channel import configured
from fhir_hub.hl7v2.channels.rereading import Rereading, become
from fhir_hub.settings import Given, load_settings

TWO = """
mllp_port = 0
[channels.lab]
port = 0
charset = "GBK"
[channels.ris]
port = 0
"""
HIS = """
[partners.his]
address = "mllp://127.0.0.1:2575"
application = "HIS"
ack_channels = "lab"
sends = { Patient = "" }
"""


class Outcomes(list):
    """What was told of each change."""

    def log(self, event, **fields):
        self.append((event, fields))


def taking(ways):
    """What has these ways in take the channels of other settings."""
    return partial(become, ways.intake, ways.receiver.reading)


@pytest.fixture
def told():
    return Outcomes()


@pytest.fixture
async def file(tmp_path):
    path = tmp_path / "hub.toml"
    path.write_text(TWO)
    return path


@pytest.fixture
async def hub(start, file, told):
    """Ways in by the file, and a look at it."""
    given = Given(file, {}, {})
    settings = given.read()
    async with start(channels=settings.channels) as ways:
        counted = []
        watch = Rereading(given, settings, taking(ways), told.log, counted.append)
        ways.look, ways.counted = watch.look, counted
        yield ways


async def test_a_new_channel_is_there_and_a_removed_one_is_gone(hub, file, told):
    lab, ris = await hub.connect("lab"), await hub.connect("ris")
    before = hub.intake.ports()
    file.write_text(TWO.replace("[channels.ris]", "[channels.pacs]"))
    await hub.look(False)

    ports = hub.intake.ports()
    assert (ports["lab"], ports["mllp"]) == (before["lab"], before["mllp"])
    assert "ris" not in ports
    assert await ris.is_closed()
    assert b"MSA|AA|C1" in await lab.send(adt("C1"))  # on the connection that it had
    assert b"MSA|AA|C2" in await hub.send(adt("C2"), "pacs")
    assert [one for one, _ in await hub.kept()] == ["lab", "pacs"]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", before["ris"])
    assert (told[-1][0], hub.counted) == ("channels_taken", ["taken"])


async def test_what_a_channel_says_now_holds_from_the_next_message_on(hub, file):
    client = await hub.connect("lab")
    assert b"MSA|AA|C1" in await client.send(adt("C1"))
    file.write_text(TWO.replace('charset = "GBK"', 'processing_ids = ["T"]\nallow = "127.0.0.1"'))
    await hub.look(False)
    assert b"MSA|AR|C2" in await client.send(adt("C2"))
    assert b"MSA|AA|C3" in await client.send(adt("C3", msh_11="T"))

    file.write_text(TWO.replace('charset = "GBK"', 'allow = "10.0.0.0/8"'))
    await hub.look(False)
    assert b"MSA|AR|C4" in await client.send(adt("C4"))
    assert await (await hub.connect("lab")).is_closed()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[channels.lab]\nport = 0\ncharset = 'X'\n", "channels.lab.charset"),
        ("[channels.lab]\nprt = 0\n", "prt"),
        ("[channels", "not TOML"),
        (TWO + "[channels.night]\ntransport = 'folder'\n", "needs a folder"),
        (
            TWO + "[channels.x]\ntransport = 'mllps'\nport = 0\ncertificate = '/none'\n",
            "channels.x.certificate: /none: No such file",
        ),
        (
            TWO.replace("[channels.lab]", "[channels.pacs]") + HIS,
            "partners.his.ack_channels: there is no channel lab",
        ),
    ],
)
async def test_a_mistake_is_told_and_everything_is_as_before(hub, file, told, text, problem):
    client, before = await hub.connect("ris"), hub.intake.ports()
    file.write_text(text)
    await hub.look(False)

    event, fields = told[-1]
    assert event == "channels_refused"
    assert problem in fields["problems"]
    assert fields["problems"].startswith(f"{file} line ")
    assert (hub.counted, hub.intake.ports()) == (["refused"], before)
    assert b"MSA|AA|C1" in await client.send(adt())


async def test_a_port_that_is_taken_is_told_and_everything_is_as_before(hub, file, told):
    before = hub.intake.ports()
    async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        file.write_text(f"{TWO}[channels.new]\nport = 0\n[channels.pacs]\nport = {port}\n")
        await hub.look(False)
    assert told[-1][0] == "channels_refused"
    assert f"port {port}" in told[-1][1]["problems"]
    assert hub.intake.ports() == before

    await hub.look(True)  # it is free now
    assert told[-1][0] == "channels_taken"
    assert b"MSA|AA|C1" in await hub.send(adt(), "pacs")


async def test_what_has_not_changed_is_read_only_if_that_is_asked_for(hub, told):
    await hub.look(False)
    assert told == []
    await hub.look(True)
    assert told == [("channels_taken", {"channels": 4})]


async def test_other_settings_are_named_that_hold_from_the_next_start_on(hub, file, told):
    file.write_text("drain_s = 7\n" + TWO)
    await hub.look(False)
    assert told[-1] == ("settings_need_restart", {"names": "drain_s"})


@pytest.mark.parametrize(
    ("asked", "now", "named"),
    [
        pytest.param(0, 0, [], id="any port was asked for, and still is"),
        pytest.param(0, 8081, ["port"], id="then a certain one"),
        pytest.param(8000, 8081, ["port"], id="another one"),
    ],
)
async def test_a_port_that_the_system_chose_has_not_changed(start, file, told, asked, now, named):
    given = Given(file, {"port": asked}, {})
    settings = given.read()
    async with start(channels=settings.channels) as ways:
        given = Given(file, {"port": now}, {})
        watch = Rereading(given, settings.on_port(8000), taking(ways), told.log, print)
        await watch.look(True)
    assert [fields["names"] for event, fields in told if event == "settings_need_restart"] == named


@pytest.fixture
def renewable(certificates, tmp_path):
    """The file of a certificate that a test may change, and the settings that name it."""
    pem, config = tmp_path / "hub.pem", tmp_path / "hub.toml"
    pem.write_bytes(certificates["certificate"].read_bytes())
    config.write_text(
        f'mllp_port = 0\n[channels.lab]\ntransport = "mllps"\nport = 0\ncertificate = "{pem}"\n'
    )
    given = Given(config, {}, {})
    return pem, given


async def test_a_renewed_certificate_holds_from_the_next_connection_on(
    start, renewable, client_tls, told
):
    pem, given = renewable
    async with start(channels=given.read().channels) as ways:
        old = await ways.connect("lab", client_tls())
        watch = Rereading(given, given.read(), taking(ways), told.log, told.append)
        renewed = trustme.CA()
        renewed.issue_cert(SERVER).private_key_and_cert_chain_pem.write_to_path(pem)
        await watch.look(False)

        assert b"MSA|AA|C1" in await old.send(adt("C1"))
        with pytest.raises(ssl.SSLError):
            await ways.connect("lab", client_tls())
        trusting = ssl.create_default_context()
        renewed.configure_trust(trusting)
        client = await ways.connect("lab", trusting)
        assert b"MSA|AA|C2" in await client.send(adt("C2"))


async def test_a_certificate_that_can_no_longer_be_read_leaves_the_old_one(
    start, renewable, client_tls, told
):
    pem, given = renewable
    async with start(channels=given.read().channels) as ways:
        watch = Rereading(given, given.read(), taking(ways), told.log, told.append)
        pem.unlink()
        pem.mkdir()  # not even root reads a folder as a file
        await watch.look(False)

        assert told[0][0] == "channels_refused"
        assert "channels.lab.certificate" in told[0][1]["problems"]
        client = await ways.connect("lab", client_tls())
        assert b"MSA|AA|C1" in await client.send(adt())


async def test_folders_begin_and_end_to_be_watched(start, tmp_path):
    def channels(name):
        folder = {"transport": "folder", "folder": str(tmp_path / name), "poll_s": 0.01}
        return configured(load_settings(None, {"channels": {"night": folder}}, {}))

    async def taken(name):
        (tmp_path / name / "a.hl7").write_bytes(adt(name))
        async with asyncio.timeout(parts.PATIENCE_S):
            while not (tmp_path / name / "done" / "a.hl7").exists():
                await asyncio.sleep(0)

    async with start() as ways:
        ways.intake.lead()
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            await ways.intake.become(channels(name))
            await taken(name)
        (tmp_path / "first" / "b.hl7").write_bytes(adt("late"))
        await taken_again(ways, tmp_path)
        assert (tmp_path / "first" / "b.hl7").exists()


async def taken_again(ways, tmp_path):
    """Let the folder that is watched be looked at once more."""
    (tmp_path / "second" / "c.hl7").write_bytes(adt("more"))
    async with asyncio.timeout(parts.PATIENCE_S):
        while not (tmp_path / "second" / "done" / "c.hl7").exists():
            await asyncio.sleep(0)


async def test_a_port_that_is_open_keeps_its_address(hub, file, told):
    before = hub.intake.ports()
    file.write_text(TWO.replace("[channels.ris]", '[channels.ris]\nhost = "localhost"'))
    await hub.look(False)

    assert told[-1][0] == "channels_refused"
    assert "channels.ris.host" in told[-1][1]["problems"]
    assert hub.intake.ports() == before
    assert b"MSA|AA|C1" in await hub.send(adt(), "ris")
