"""Settings come from a file, variables and options, and a wrong one is told by where it was set."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from described import described

from fhir_hub.settings import InvalidSettings, Settings, load_settings, unknown_variables
from fhir_hub.settings.care import PoolSettings, PrescriptionSettings
from fhir_hub.settings.channels import ChannelSettings
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.settings.referral import ReferralSettings


@pytest.fixture
def config(tmp_path):
    """Return a maker of a settings file."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "hub.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_without_anything_every_setting_has_a_default():
    settings = load_settings(None, {}, {})

    assert (settings.host, settings.port, settings.mllp_port) == ("127.0.0.1", 8000, 2575)
    assert settings.zone.utcoffset(None) == timedelta(hours=8)


def test_an_option_beats_a_variable_and_a_variable_the_file(config):
    file = config("port = 1\nmllp_port = 1\npage_size = 1\n")
    variables = {"FHIR_HUB_PORT": "2", "FHIR_HUB_MLLP_PORT": "2"}

    settings = load_settings(file, {"port": 3, "host": None}, variables)

    assert (settings.port, settings.mllp_port, settings.page_size) == (3, 2, 1)
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "folders"),
    [
        ('profiles_folder = "a"', ["a"]),
        ('profiles_folder = ["a", "b.tgz"]', ["a", "b.tgz"]),
        ("", []),
    ],
)
def test_profiles_folder_is_a_path_or_a_list(config, text, folders):
    settings = load_settings(config(text), {}, {})

    assert [str(folder) for folder in settings.profiles_folder] == folders


def test_windows_of_reminders_are_of_a_kind_or_of_a_code(config):
    text = '[reminders]\ntest = 7\n"http://loinc.org|4548-4" = 90\n'
    settings = load_settings(config(text), {}, {})

    assert settings.reminders == {"test": 7, "http://loinc.org|4548-4": 90}
    for wrong in ("tests = 7", '"4548-4" = 90', "test = -1"):
        with pytest.raises(InvalidSettings):
            load_settings(config(f"[reminders]\n{wrong}\n"), {}, {})


def test_the_environment_of_the_process_is_not_read_by_itself(monkeypatch):
    monkeypatch.setenv("FHIR_HUB_PORT", "1")

    assert load_settings(None, {}, {}).port == 8000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 1", "prot is no setting; did you mean port"),
        ("colour = 1", "colour is no setting; see docs/settings.md"),
        ("port = 99999", "port: input should be less than or equal to 65535"),
        ('port = "x"', "port: input should be a valid integer"),
        ('timezone = "Mars/Base"', "timezone: write an offset"),
        ('timezone = "../../etc/passwd"', "timezone: write an offset"),
        ('store = "mongo"', "store: write sqlite:PATH, mongodb://HOST/DATABASE or memory:"),
        ('base_url = "hub"', "base_url: write an address"),
        ('validation = "r5"', "validation: input should be 'r4', 'profiles' or 'off'"),
        ("drain_s = inf", "drain_s: input should be a finite number"),
        ('workers = 2\nstore = "memory:"', "workers above 1 need a store that they can share"),
        ("workers = 0", "workers: write auto or a number from 1 to 64"),
        ("page_size = 500\nmax_page_size = 100", "page_size is above max_page_size"),
        ("references = 1", "references: input should be 'enforce', 'warn' or 'off'"),
        ('[sources.rest]\nreferences = "no"', "sources.rest.references: input should be 'enforce'"),
        (
            "[sources.rest]\nport = 1",
            "sources.rest.port: there is no such key; see docs/settings.md",
        ),
        ("port = ", "hub.toml line 1: not TOML: invalid value"),
        ("log_level = “info”", 'a text is "in such quotes" / 文本须用英文引号 "'),
        ('log_level = "info', "line 1: not TOML: a text has no end: is a quote missing"),
        ('mappings_folder = "maps\nport = 1', "a text has no end"),
        (r'mappings_folder = "C:\hub"', r"a \ in a text: write \\, or a path with /"),
        ("port = 1\nport = 2", "line 2: not TOML: a key is there twice / 键重复"),
        ("[channels.a]\n[channels.a]", "line 2: not TOML: a table is there twice"),
        ("port = 1\n[channels", "hub.toml line 2: not TOML: expected ']'"),
        (b"\xff", "it is not UTF-8: save it as UTF-8 / 不是 UTF-8 编码，请另存为 UTF-8"),
        ("# 端口\nport = 1".encode("gb18030"), "hub.toml line 1: it is not UTF-8"),
        ("port = 1".encode("utf-16"), "hub.toml line 1: it is not UTF-8"),
        ("port = 1.5", "port: input should be a valid integer, got a number with a fractional"),
        ("port = 1.5", " / 应为整数"),
        ("port = -1", " / 不得小于 0"),
        ("mllp_port = true", "mllp_port: write a number, not true or false / 应为数字"),
        ("[reminders]\ntest = true", "hub.toml line 2: reminders.test: write a number"),
        ("[journal_state_days]\ndone = true", "journal_state_days.done: write a number"),
        ('full_text = "maybe"', " / 应为 true 或 false"),
        ('log_level = "loud"', " 或 'error'"),
        (
            "channels = 3",
            "channels: it is a table, and its keys stand below it or in braces / 应为一",
        ),
        ("profiles_folder = 3", 'profiles_folder: it is a list, such as ["…"] / 应为列表'),
        ("[channels]\nlab = 3", "hub.toml line 2: channels.lab: it is a table"),
        ("prot = 1", " / 未知的配置项"),
        ("[sources.rest]\nport = 1", " / 没有这个键"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_what_is_right(config, text, told):
    with pytest.raises(InvalidSettings, match=r"hub\.toml|page_size|workers") as raised:
        load_settings(config(text), {}, {})

    assert told in str(raised.value)


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_file_of_any_editor_is_read_and_its_rows_are_counted(config, mark, end):
    text = f"{mark}[channels.lab]   # 检验科{end}port = 1{end}charset = 'GBK'{end}"
    assert load_settings(config(text), {}, {}).channels["lab"].port == 1

    with pytest.raises(InvalidSettings, match=r"hub\.toml line 1: channels\.lab: mllps needs"):
        load_settings(config(f"{text}transport = 'mllps'{end}"), {}, {})


def test_all_wrong_values_are_told_at_once_each_with_its_source(config):
    with pytest.raises(InvalidSettings) as raised:
        load_settings(config("page_size = 0"), {"mllp_port": -1}, {"FHIR_HUB_PORT": "x"})

    sources = [line.rpartition(": ")[0] for line in str(raised.value).splitlines()]
    assert sources == [
        "FHIR_HUB_PORT",
        "--mllp-port",
        f"{config('page_size = 0')} line 1: page_size",
    ]


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InvalidSettings, match="No such file"):
        load_settings(tmp_path / "none.toml", {}, {})


@pytest.mark.parametrize(
    ("written", "hours"), [("+08:00", 8), ("-05:30", -5.5), ("Asia/Shanghai", 8), ("UTC", 0)]
)
def test_a_zone_is_an_offset_or_a_name(written, hours):
    zone = load_settings(None, {"timezone": written}, {}).zone

    assert zone.utcoffset(datetime(2024, 2, 29)) == timedelta(hours=hours)


def test_a_base_url_has_no_slash_at_its_end():
    settings = load_settings(None, {"base_url": "https://hub.example.org/fhir/"}, {})

    assert settings.base_url == "https://hub.example.org/fhir"


def test_the_rules_of_a_source_are_the_most_specific_key_by_key(config):
    file = config(
        'references = "warn"\n[sources.hl7v2]\nreferences = "off"\nvalidation = "off"\n'
        '[sources.lab]\nreferences = "enforce"\n'
    )
    settings = load_settings(file, {}, {})

    assert settings.rules_of("rest") == ("warn", "r4", "enforce")
    assert settings.rules_of("hl7v2") == ("off", "off", "flag")
    assert settings.rules_of("hl7v2", "lab") == ("enforce", "off", "flag")


def test_what_tells_of_elsewhere_is_flagged_unless_its_source_says_otherwise(config):
    file = config('[sources.hl7v2]\nbusiness_rules = "enforce"\n')

    assert load_settings(None, {}, {}).rules_of("load").business_rules == "flag"
    assert load_settings(file, {}, {}).rules_of("hl7v2").business_rules == "enforce"
    off = load_settings(None, {"business_rules": "off"}, {})
    assert off.rules_of("hl7v2").business_rules == "off"


def test_a_variable_says_the_rules_of_all_sources():
    variables = {"FHIR_HUB_REFERENCES": "off", "FHIR_HUB_VALIDATION": "off"}

    assert load_settings(None, {}, variables).rules_of("rest") == ("off", "off", "enforce")


def test_a_source_that_does_not_exist_is_told_with_the_nearest(config):
    settings = load_settings(config("[sources.hl7]\n[sources.rest]"), {}, {})

    with pytest.raises(InvalidSettings, match=r"sources\.hl7 is no source; did you mean hl7v2\?"):
        settings.require_sources(["rest", "hl7v2"])


def test_a_variable_that_is_no_setting_is_named_with_the_nearest():
    found = unknown_variables({"FHIR_HUB_PROT": "1", "FHIR_HUB_PORT": "1", "HOME": "x"})

    assert found == ["FHIR_HUB_PROT is no setting; did you mean FHIR_HUB_PORT, FHIR_HUB_HOST?"]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is(name):
    assert described(Settings)[name].endswith(".")


def numbers():
    tables = {
        "": Settings,
        "[channels.lab]\n": ChannelSettings,
        "[partners.his]\n": PartnerSettings,
        "[pools.all]\n": PoolSettings,
        "[prescriptions.all]\n": PrescriptionSettings,
        "[referral]\n": ReferralSettings,
    }
    for head, table in tables.items():
        for name, field in table.model_fields.items():
            if {int, float} & {field.annotation, *get_args(field.annotation)}:
                yield pytest.param(f"{head}{name} = true", name, id=f"{table.__name__}.{name}")


@pytest.mark.parametrize(("text", "name"), list(numbers()))
def test_no_number_is_a_truth_value(config, text, name):
    with pytest.raises(InvalidSettings, match=rf"{name}: write .*number"):
        load_settings(config(text), {}, {})
