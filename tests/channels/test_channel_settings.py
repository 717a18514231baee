"""What is wrong with a channel is told with the file, the row and what is right."""

import pytest

from fhir_hub.hl7v2.channels.channel import configured
from fhir_hub.settings import InvalidSettings, load_settings
from fhir_hub.settings.places import located

CERTIFICATE = 'certificate = "a.pem"\n'


@pytest.mark.parametrize(
    ("text", "row", "told"),
    [
        (
            "[channels.lab]\nprot = 1",
            3,
            "channels.lab.prot: there is no such key; did you mean port",
        ),
        ("[channels.lab]\nport = 99999", 3, "channels.lab.port: input should be less than"),
        ("[ channels . lab ]\n\n  port = -1", 4, "channels.lab.port: input should be greater"),
        ('[channels.lab]\ntransport = "ftp"', 3, "channels.lab.transport: input should be 'mllp'"),
        ('[channels.lab]\nallow = "10.1.0.1/8"', 3, "channels.lab.allow: '10.1.0.1/8' is no netw"),
        ('[channels.lab]\nmatch = {"MSH-7" = "x"}', 3, "channels.lab.match: 'MSH-7' cannot be ma"),
        ('[channels.lab]\nack_to = "here"', 3, "channels.lab.ack_to: write mllp://HOST:PORT"),
        (
            '[channels.lab]\nack_to = "mllps://10.9.0.5:257575"',
            3,
            "channels.lab.ack_to: write mllp://HOST:PORT or mllps://HOST:PORT",
        ),
        ('[channels.lab]\ntimezone = "Mars"', 3, "channels.lab.timezone: write an offset"),
        ('[channels.lab]\ntransport = "mllps"', 2, "channels.lab: mllps needs a certificate"),
        ('[channels.lab]\nfolder = "in"', 2, "channels.lab: folder is not for the transport mllp"),
        ('[channels.lab]\ntransport = "folder"', 2, "channels.lab: the transport folder needs a f"),
        (
            f'[channels.lab]\ntransport = "mllps"\n{CERTIFICATE}senders = {{a = "B"}}',
            2,
            "channels.lab: senders needs client_ca",
        ),
        ("[channels.Lab]\n", 2, "channels.Lab: a name has small letters"),
        ('[channels.http]\ntransport = "mllp"', 3, "channels.http.transport: the channel http can"),
        (
            "[channels.a]\nport = 1\nidle_s = 5\n[channels.b]\nport = 1\nidle_s = 6",
            7,
            "channels.b.idle_s: a has the same port and says otherwise",
        ),
        (
            f'[channels.a]\ntransport = "mllps"\n{CERTIFICATE}',
            3,
            "channels.a.transport: mllp has the same port and says otherwise",
        ),
        (
            '[channels.a]\ntransport = "folder"\nfolder = "in"\n'
            '[channels.b]\ntransport = "folder"\nfolder = "./in"',
            7,
            "channels.b.folder: it is the folder of a",
        ),
        ("[channels.'la b']\nport = 1", 2, "channels.la b: a name has small letters"),
        (
            '[channels.lab]\nprocessing_ids = ["P", "X"]',
            3,
            "channels.lab.processing_ids: 'X' is none of P, T, D / MSH-11 只有 P、T、D",
        ),
        (
            "[channels.lab]\n[channels.ward]\nprocessing_ids = 'P'",
            3,
            "channels.ward: lab takes every message before it: write ward above lab, or give lab a "
            "match or another port / lab 已先接收",
        ),
        (
            '[channels.mllp]\ncharset = "GBK"\n[channels.lab]\nport = 2575',
            2,
            "channels.mllp: lab takes every message before it: give lab a match or another port / ",
        ),
        (
            '[channels.a]\ntransport = "http"\n[channels.b]\ntransport = "http"',
            4,
            "channels.b: a takes every message before it: write b above a, or give a a match / a",
        ),
        ("prot = 1", 2, "prot is no setting; did you mean port"),
        ("mllp = 1", 2, "mllp is no setting; did you mean mllp_"),
        ("port = 99999", 2, "port: input should be less than"),
        ("[sources.rest]\nreferences = 1", 3, "sources.rest.references: input should be"),
        ("[chanels.lab]\nport = 1", 2, "chanels is no setting; did you mean channels"),
        ('[organization]\nname = "x"\n[referral]\nterm = 1', 5, "referral.term: there is no such"),
        (
            '[partners.his]\naddress = "mllp://h:1"\nsends = { Patiet = "" }',
            4,
            "partners.his.sends.Patiet: there is no such key; did you mean Patient?",
        ),
    ],
)
def test_a_mistake_is_told_with_file_and_row(tmp_path, text, row, told):
    config = tmp_path / "hub.toml"
    config.write_text(f"mllp_port = 2575\n{text}", "utf-8")
    with pytest.raises(InvalidSettings) as raised:
        load_settings(config, {}, {})

    assert str(raised.value).startswith(f"{config} line {row}: {told}")


def test_a_character_set_that_is_not_known_is_told_with_file_and_row(tmp_path):
    config = tmp_path / "hub.toml"
    config.write_text('[channels.lab]\nport = 1\ncharset = "klingon"\n', "utf-8")
    with pytest.raises(InvalidSettings) as raised:
        configured(load_settings(config, {}, {}))

    assert located(config, str(raised.value)).startswith(f"{config} line 3: channels.lab.charset:")


def test_channels_of_one_port_that_agree_are_fine(tmp_path):
    config = tmp_path / "hub.toml"
    config.write_text(
        'port = 1\n[channels.a]\nport = 5\nidle_s = 9\nmatch = {"MSH-3" = "A"}\n'
        '[channels.b]\nport = 5\nidle_s = 9\ncharset = "GBK"\n',
        "utf-8",
    )
    names = [one.channel.name for one in configured(load_settings(config, {}, {}))]
    assert names == ["a", "b", "mllp", "http"]
