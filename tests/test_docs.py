"""What is listed is documented, and what is documented works.

Commands, options, settings, interactions, parameter types, modifiers and maps are read from the
code; each must stand in the docs. Every `console` block is run against a hub that the test
starts and must print what it shows (`…` stands for anything), and every `GET …` is asked.
"""

import ast
import json
import re
import shlex
import sys
from pathlib import Path

import httpx
import parts
import pytest
import typer
from described import described
from whole.running import RunningHub

from fhir_hub import errors
from fhir_hub.cli import app, main
from fhir_hub.hl7v2.emit.calls import WITHOUT_INVERSE
from fhir_hub.hl7v2.maps.map_files import built_in_folder, read_files
from fhir_hub.hl7v2.maps.mappings import load_mappings
from fhir_hub.hl7v2.maps.programs import structures_of
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.wire import charset
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.rest.message import FhirRequest
from fhir_hub.rest.routes import INTERACTIONS, route
from fhir_hub.search.include import MODIFIERS as INCLUDE_MODIFIERS
from fhir_hub.search.kinds.table import KINDS
from fhir_hub.settings import Settings, load_settings
from fhir_hub.settings.care import PoolSettings, PrescriptionSettings
from fhir_hub.settings.channels import ChannelSettings
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.settings.referral import ReferralSettings
from fhir_hub.workers.count import counted, usable_cores

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples/README.md"]
SHOWN = "http://127.0.0.1:8000"


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def consoles(path: Path) -> list[tuple[str, str]]:
    """Return the commands of a page's console blocks, each with what it should print."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def requests_of(text: str) -> list[str]:
    """Return the addresses of `GET …` in a page's tables."""
    return [found.replace("\\|", "|") for found in re.findall(r"`GET ([^`\s]*\?[^`\s]+)`", text)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    store = f"sqlite:{tmp_path_factory.mktemp('docs') / 'hub.sqlite'}"
    institutions = str(ROOT / "examples/institutions.json")
    with RunningHub(store, "--load", institutions, as_installed=True) as hub:
        yield hub
        assert hub.stop() == 0


def test_a_hub_that_is_told_nothing_has_a_process_for_each_core(hub):
    workers = counted(load_settings(None, {}, {}), usable_cores()).workers
    told = [json.loads(line) for line in hub.logged().splitlines()]

    assert len(hub.ready.get("workers", "1")) == workers
    assert [one["workers"] for one in told if one["event"] == "workers"] == [workers]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is in /proc")
def test_what_every_worker_reads_stands_in_memory_once(hub):
    if not (workers := hub.ready.get("workers")):
        pytest.skip("one core")
    told = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in (hub.ready["pid"], *workers)]
    own, seen = (
        sum(int(one.split(f"\n{name}:")[1].split()[0]) for one in told) for name in ("Pss", "Rss")
    )

    assert own < 0.7 * seen  # 0.46 at the start; 0.81 if each has read everything by itself


@pytest.fixture
def run(hub, monkeypatch, capfdbinary):
    """Run a command of a page as a reader would; `curl` is played by httpx.

    A command runs in this process: to start one costs six times as much.
    """
    monkeypatch.chdir(ROOT)
    base = hub.fhir.removesuffix("/fhir")

    def curl(words: list[str]) -> str:
        method, url, fields, headers, body = "GET", "", [], {}, None
        while words:
            word = words.pop(0)
            if word in ("-s", "-sG", "-G"):
                continue
            if word == "-X":
                method = words.pop(0)
            elif word == "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            elif word in ("-d", "--data-urlencode"):
                field = words.pop(0)
                assert word != "-d" or field.isascii(), "curl sends -d as it is: --data-urlencode"
                fields.append(tuple(field.split("=", 1)))
            elif word == "--data-binary":
                method, body = "POST", (ROOT / words.pop(0).removeprefix("@")).read_bytes()
            elif word == "--json":
                body = words.pop(0)
                method = "POST" if method == "GET" else method
                headers["Content-Type"] = "application/json"
            else:
                url = word.replace(SHOWN, base)
        answer = httpx.request(
            method,
            url,
            params=fields or None,
            headers=headers,
            content=body,
            verify=False,
            timeout=parts.PATIENCE_S,
        )
        return answer.text.replace(base, SHOWN)

    def command(line: str) -> str:
        words = shlex.split(line)
        if words[0] == "curl":
            return curl(words[1:])
        assert words[0] == "fhir-hub", line
        words = [w.replace("127.0.0.1:2575", f"127.0.0.1:{hub.ready['mllp']}") for w in words[1:]]
        monkeypatch.setattr(sys, "argv", ["fhir-hub", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfdbinary.readouterr()
        assert not ended.value.code, err.decode()
        return out.decode()

    return command


def is_as_shown(shown: str, printed: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.mark.parametrize("path", [p for p in PAGES if consoles(p)], ids=lambda path: path.stem)
def test_every_command_of_a_page_prints_what_the_page_shows(path, run):
    for command, shown in consoles(path):
        printed = run(command)
        assert is_as_shown(shown, printed), f"{command}\n{printed}"


@pytest.mark.parametrize("address", requests_of(page("search.md")))
def test_every_search_of_the_docs_works(address, hub):
    assert hub.get(f"fhir/{address}").status_code == 200


def test_every_interaction_is_documented_and_has_an_example():
    text = page("rest.md")
    shown = set()
    for command, _ in consoles(ROOT / "docs" / "rest.md"):
        words = shlex.split(command)
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        method = "POST" if method == "GET" and "--json" in words else method
        url = next(word for word in words if word.startswith(SHOWN))
        path, _, query = url.removeprefix(f"{SHOWN}/fhir").partition("?")
        pairs = tuple(tuple(pair.split("=", 1)) for pair in query.split("&") if pair)
        request = FhirRequest(method, tuple(path.strip("/").split("/")) if path else (), pairs)
        shown.add(route(request).interaction)

    assert [name for name in INTERACTIONS if f"`{name}`" not in text] == []
    assert set(INTERACTIONS) - shown == set()


def test_every_parameter_type_and_modifier_is_documented_and_has_an_example():
    rows = {}
    for line in page("search.md").splitlines():
        if match := re.match(r"\| `(\w+)` \|", line):
            rows.setdefault(match[1], line)
    for kind, rules in KINDS.items():
        assert "`GET " in rows[kind], kind
        for modifier in filter(None, rules.modifiers):
            assert f"`:{modifier}`" in rows[kind], (kind, modifier)
    assert "`GET " in rows["composite"]
    asked = " ".join(requests_of(page("search.md")))
    every = {name for rules in KINDS.values() for name in rules.modifiers if name}
    for modifier in [*every, INCLUDE_MODIFIERS[0]]:
        assert f":{modifier}=" in asked, modifier


def test_every_setting_is_documented_with_its_default():
    text = page("settings.md")
    texts = described(Settings)
    for name, field in Settings.model_fields.items():
        told = texts[name].replace("|", "\\|")
        assert f"| `{name}` | `{field.default!r}` | {told} |" in text, name


def test_every_key_of_a_partner_is_documented_with_its_default():
    text = page("outbound.md")
    texts = described(PartnerSettings)
    for name, field in PartnerSettings.model_fields.items():
        default = "required" if field.is_required() else f"`{field.default!r}`"
        assert f"| `{name}` | {default} | {texts[name]} |" in text


@pytest.mark.parametrize("table", [PoolSettings, PrescriptionSettings])
def test_every_key_of_the_rules_of_care_is_documented_with_its_default(table):
    text = page("referral.md")
    texts = described(table)
    for name, field in table.model_fields.items():
        assert f"| `{name}` | `{field.default!r}` | {texts[name]} |" in text, name


def test_every_key_of_a_channel_is_documented_with_its_default():
    text = page("channels.md")
    texts = described(ChannelSettings)
    for name, field in ChannelSettings.model_fields.items():
        told = texts[name].replace("|", "\\|")
        assert f"| `{name}` | `{field.default!r}` | {told} |" in text, name


def test_every_setting_of_referrals_is_documented_with_its_default():
    text = page("referral.md")
    texts = described(ReferralSettings)
    for name, field in ReferralSettings.model_fields.items():
        told = texts[name].replace("|", "\\|")
        assert f"| `{name}` | `{field.default!r}` | {told} |" in text, name


def test_every_command_and_option_is_documented():
    text = page("cli.md")
    for name, command in typer.main.get_command(app).commands.items():
        assert f"fhir-hub {name}" in text
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option in text or option in ("-h", "--help"), (name, option)


@pytest.mark.parametrize("folder", ["messages", "segments", "tables", "senders"])
def test_every_map_is_documented(folder):
    text = page("hl7v2-maps.md")
    names = [
        path.stem
        for path in (ROOT / "mappings" / folder).iterdir()
        if path.is_dir() or (path.suffix == ".toml" and folder != "messages")
    ]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_function_of_maps_that_has_no_inverse_is_documented():
    listed = re.search(r"have no inverse, (.*?)\.\s", page("outbound.md"), re.DOTALL)
    assert set(re.findall(r"`(\w+)`", listed[1])) == WITHOUT_INVERSE


def test_every_message_map_has_an_example():
    mappings = load_mappings(load_definitions())
    shown = set()
    for path in (ROOT / "examples" / "messages").glob("*.hl7"):
        decoded = charset.decode(path.read_bytes())
        shown.add(mappings.structure_of(er7.parse(decoded.text, decoded.charset)))

    files = read_files([built_in_folder()])
    maps = {name: set(structures_of(one)) for name, one in files.messages.items() if name != "ANY"}
    assert [name for name, structures in maps.items() if not structures & shown] == []


def test_every_metric_is_documented(hub):
    text = page("operations.md")
    exposed = hub.get("metrics").text
    names = {
        name.removesuffix("_created") for name in re.findall(r"# TYPE (fhir_hub_\w+)", exposed)
    }

    assert [name for name in sorted(names) if name not in text] == []


def test_every_kind_of_error_is_documented_with_its_status_and_code():
    rows = re.findall(r"^\| ([\d, ]+) \| (`.*?) \|", page("rest.md"), re.MULTILINE)
    told = {
        (int(status), code)
        for statuses, codes in rows
        for status in statuses.split(",")
        for code in re.findall(r"`([\w-]+)`", codes)
    }
    kinds = [errors.FhirError]
    for one in kinds:
        kinds += one.__subclasses__()

    assert {(one.status, one.code) for one in kinds if one.__module__ == errors.__name__} <= told


def test_every_line_of_the_log_is_documented_and_no_other():
    told: set[str] = {"references_to_nothing", "message_flagged"}  # one of the two is chosen
    for path in (ROOT / "fhir_hub").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            name = ast.unparse(call.func)
            texts = {one.value for one in ast.walk(call.args[0]) if isinstance(one, ast.Constant)}
            if re.search(r"((^|[._])log(s|_refused)?(\.(debug|info|warning|error))?|^warn)$", name):
                told |= texts
            elif name == "Note" and path.parent.name == "meaning":  # of what a message said
                told |= {f"message_{text}" for text in texts}
    rows = re.findall(r"^\| (`.*?) \|", page("logs.md"), re.MULTILINE)

    assert told - {"message_"} == set(re.findall(r"`(\w+)`", " ".join(rows)))


def test_every_address_beside_fhir_is_documented(hub):
    pages = "".join(path.read_text("utf-8") for path in PAGES)
    paths = [one for one in hub.get("openapi.json").json()["paths"] if not one.startswith("/fhir")]

    assert len(paths) > 10
    shown = [re.sub(r"\{number\}", "12", one).replace("{channel}", "NAME") for one in paths]
    assert [one for one in shown if f"{one}`" not in pages and f"{one}?" not in pages] == []


def test_the_settings_shown_in_the_docs_can_be_used(tmp_path):
    pages = "".join(map(page, ("settings.md", "channels.md", "outbound.md", "referral.md")))
    for number, block in enumerate(re.findall(r"```toml\n(.*?)```", pages, re.DOTALL)):
        config = tmp_path / f"{number}.toml"
        config.write_text(block, "utf-8")
        assert load_settings(config, {}, {}).port == 8000


def test_every_link_between_pages_leads_somewhere():
    for path in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), (path.name, target)


def test_every_module_that_the_docs_name_is_there():
    folders = ("fhir_hub", "bench", "tools", "examples", "tests")
    modules = [path.as_posix() for name in folders for path in (ROOT / name).rglob("*.py")]
    for path in PAGES:
        for name in re.findall(r"`([\w./]+\.py)\b", path.read_text("utf-8")):
            assert any(one.endswith(f"/{name}") for one in modules), (path.name, name)
