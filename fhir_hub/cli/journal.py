"""The journal as a command reaches it: in the store's file, or through a hub that runs.

Both ways answer the same rows. What only reads may read the file of a hub that runs; what does
messages again should go through it (`--hub`), which keeps the order among all that is under way.
"""

import asyncio
import getpass
import json
import os
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fhir_hub.cli.say import fail, in_both, refuse, say

if TYPE_CHECKING:
    from fhir_hub.hub import Hub
    from fhir_hub.settings import Settings
    from fhir_hub.store.open import Backend

T = TypeVar("T")
_TIMEOUT_S = 600
_WITHOUT = "so what stands below is without the site's maps / 以下结果未使用本地映射"
NOTHING = "no message is so / 没有符合条件的消息"


def settings_of(store: str | None, config: Path | None) -> "Settings":
    """Return the settings; ends the command if they are wrong or there is no such file."""
    from fhir_hub.settings import InvalidSettings, load_settings

    try:
        settings = load_settings(config, {"store": store}, os.environ)
    except InvalidSettings as error:
        refuse(str(error))
    if not settings.store_is_there:
        fail(f"{settings.store}: there is no such database / 数据库文件不存在")
    return settings


def run(
    settings: "Settings", work: Callable[["Hub"], Awaitable[T]], *, only_reads: bool = False
) -> T:
    """Return what `work` returns with a hub on the store; an error of it ends the command.

    Work that `only_reads` messages goes on without a site's maps where those are wrong.
    """

    async def with_hub(backend: "Backend") -> T:
        from fhir_hub.app import build
        from fhir_hub.hl7v2.maps.map_files import InvalidMapping
        from fhir_hub.telemetry import Logs

        logs = Logs(settings.log_level, settings.log_format)
        try:
            hub = build(settings, backend, logs)
        except InvalidMapping as error:
            told = "the HL7v2 maps cannot be used / HL7v2 映射文件有误"
            problems = "\n".join((told, *error.problems))
            if not only_reads or settings.mappings_folder is None:
                fail(problems)
            say(f"{problems}\n{_WITHOUT}")
            own: dict[str, object] = {"mappings_folder": None, "sources": {}}
            hub = build(settings.model_copy(update=own), backend, logs)
        return await work(hub)

    return run_on_store(settings, with_hub)


def run_on_store(settings: "Settings", work: Callable[["Backend"], Awaitable[T]]) -> T:
    """Return what `work` returns with the store open; an error of it ends the command."""
    from fhir_hub.errors import FhirError
    from fhir_hub.store.base import CannotOpen
    from fhir_hub.store.open import open_backend

    async def opened() -> T:
        async with open_backend(settings.store) as backend:
            return await work(backend)

    try:
        return asyncio.run(opened())
    except CannotOpen as error:
        fail(f"{settings.shown_store}: {error}")
    except FhirError as error:
        fail(in_both(str(error), error.title[1]))


def who() -> str:
    """Return who works at this machine, for the log of what was done."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def ask(hub: str, path: str, body: Mapping[str, Any] | bytes) -> dict[str, Any]:
    """Return what a running hub answers to a POST; an error ends the command."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    address = f"{hub.rstrip('/').removesuffix('/fhir')}/ops/messages/{path}"
    if not address.startswith(("http://", "https://")):
        refuse("--hub: write an address such as http://127.0.0.1:8000 / 地址格式有误")
    kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    headers = {"Content-Type": kind, "From": who()}
    request = urllib.request.Request(address, content, headers)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        fail(f"{hub}: {error.code} {_told(error.read())}")
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        told = getattr(why, "strerror", None) or type(why).__name__
        fail(f"{hub}: the hub does not answer ({told}): is it running there? / 无法连接平台")


def _told(content: bytes) -> str:
    try:
        issue = json.loads(content)["issue"][0]
        chinese = issue.get("details", {}).get("text", "").rpartition(" / ")[2]
        return in_both(str(issue["diagnostics"]), chinese)
    except (ValueError, LookupError, TypeError):
        return "it cannot do that / 平台无法执行"


def why(reason: Mapping[str, str]) -> str:
    """Return why a message failed, in a line; empty if it did not.

    >>> why({"en": "Invalid", "zh": "无效", "diagnostics": "no number", "field": "MRG-1"})
    'Invalid / 无效: no number MRG-1'
    """
    kind = " / ".join(filter(None, (reason.get("en"), reason.get("zh"))))
    more = " ".join(filter(None, (reason.get("diagnostics"), reason.get("field"))))
    return ": ".join(filter(None, (kind, more)))


def line(row: Mapping[str, Any]) -> str:
    """Return a row for people: no patient data."""
    told = row.get("refused") or why(row.get("reason", {}))
    state = f"{row['was']} → {row['state']}" if "was" in row else row["state"]
    sender = "|".join(filter(None, (row["application"], row["facility"])))
    parts = (f"{row['number']:>8}", f"{row['received'][:19]}Z", f"{state:<11}", f"{row['type']:<8}")
    return "  ".join((*parts, sender, row["controlId"], " ".join(row["links"][:1]), told)).rstrip()
