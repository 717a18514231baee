"""`fhir-hub serve`: start the hub, say where it is, and drain when asked to stop."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_hub import __version__
from fhir_hub.cli.say import fail, refuse

if TYPE_CHECKING:
    from fhir_hub.server import Addresses
    from fhir_hub.settings import Given, Settings
    from fhir_hub.telemetry import Logs
    from fhir_hub.workers.launch import Launch

EXAMPLE = "fhir-hub serve --port 8000 --mllp-port 2575 --store sqlite:data/hub.sqlite"


def command(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 127.0.0.1 if not set.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of HTTP; 0 takes a free one; 8000 if not set.")
    ] = None,
    mllp_port: Annotated[
        int | None, typer.Option(help="Port of MLLP; 0 takes a free one; 2575 if not set.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(help="sqlite:PATH or memory: (sqlite:data/hub.sqlite if not set)"),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Processes that serve; if not set auto: one for each core, at most 4.",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings in TOML; see docs/settings.md.")
    ] = None,
    load: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A transaction or batch Bundle to store at the start."
        ),
    ] = None,
    ready_json: Annotated[
        bool,
        typer.Option(
            "--ready-json",
            help='Print one line when requests are taken: {"fhir": …, "mllp": …, "pid": …}.',
        ),
    ] = False,
) -> None:
    """Start the hub: FHIR R4 over HTTP, HL7v2 over MLLP. 启动平台。"""
    from fhir_hub.settings import Given, InvalidSettings

    options: dict[str, object] = {"host": host, "port": port, "mllp_port": mllp_port}
    options |= {"store": store, "workers": workers}
    given = Given(config, options, os.environ)
    try:
        settings = given.read()
    except InvalidSettings as error:
        refuse(str(error))
    _run(settings, given, load, is_for_programs=ready_json)


def _run(settings: "Settings", given: "Given", load: Path | None, *, is_for_programs: bool) -> None:
    from fhir_hub.errors import FhirError
    from fhir_hub.hl7v2.maps.map_files import InvalidMapping
    from fhir_hub.r4.package_files import InvalidPackage
    from fhir_hub.server import CannotListen, allow_connections, new_event_loop
    from fhir_hub.settings import InvalidSettings, unknown_variables
    from fhir_hub.settings.places import located
    from fhir_hub.store.base import CannotOpen
    from fhir_hub.telemetry import LIBRARIES, Logs
    from fhir_hub.workers.count import counted, usable_cores

    logs = Logs(settings.log_level, settings.log_format)
    log = logs.get_logger("hub")
    if problems := unknown_variables(os.environ):
        log.warning("unknown_variables", problems="; ".join(problems))
    if given.config is None:
        reason = "every local client is allowed / 未使用配置文件: 允许所有本地客户端访问"
        log.warning("no_config_file", reason=reason, host=settings.host)
    count = counted(settings, usable_cores())
    log.info("workers", workers=count.workers, reason=count.reason)

    def ready(addresses: "Addresses") -> None:
        log.info("ready", host=settings.host, mllp_port=addresses.mllp, version=__version__)
        shown = _as_json(addresses) if is_for_programs else _as_text(addresses, settings)
        print(shown, flush=True)

    allow_connections()
    _open_standard()
    try:
        with contextlib.ExitStack() as parts:
            launch = parts.enter_context(_launching(settings, count.workers))
            parts.enter_context(logs.taking_over(*LIBRARIES))
            runner = parts.enter_context(asyncio.Runner(loop_factory=new_event_loop))
            runner.run(_serve((settings, given), logs, ready, load, launch))
    except CannotOpen as error:
        fail(f"{settings.shown_store}: {error}")
    except InvalidSettings as error:
        fail(located(given.config, str(error)))
    except CannotListen as error:
        fail(str(error))
    except InvalidMapping as error:
        fail("the HL7v2 maps cannot be used / HL7v2 映射文件有误\n" + "\n".join(error.problems))
    except InvalidPackage as error:
        fail("the profiles cannot be used / profiles 文件有误\n" + "\n".join(error.problems))
    except FhirError as error:
        fail(f"{load}: {error}" if load else str(error))


def _open_standard() -> None:
    """Have standard input, output and error open: else what is opened next has their numbers."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(opened)


def _launching(
    settings: "Settings", workers: int
) -> contextlib.AbstractContextManager["Launch | None"]:
    """Return the workers to begin with, None if one process does everything."""
    if workers == 1:
        return contextlib.nullcontext()
    from fhir_hub.workers.launch import launching

    return launching(settings, workers)


async def _serve(
    read: tuple["Settings", "Given"],
    logs: "Logs",
    ready: Callable[["Addresses"], None],
    load: Path | None,
    launch: "Launch | None",
) -> None:
    settings, given = read
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if hasattr(signal, "SIGHUP"):  # until there is a hub that reads its maps anew
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
    from fhir_hub.store.open import claimed

    async with claimed(settings.store):
        if launch is not None:
            from fhir_hub.workers.supervisor import run_workers
            from fhir_hub.workers.worker import hear

            hear()
            await run_workers(settings, given, logs, stop, ready, load, launch)
        else:
            await _serve_alone(settings, given, logs, stop, ready, load)


async def _serve_alone(
    settings: "Settings",
    given: "Given",
    logs: "Logs",
    stop: asyncio.Event,
    ready: Callable[["Addresses"], None],
    load: Path | None,
) -> None:
    from fhir_hub.app import build, read
    from fhir_hub.collector import calm_collector
    from fhir_hub.server import open_socket
    from fhir_hub.store.open import open_backend
    from fhir_hub.workers.apart import Apart

    with contextlib.ExitStack() as opened:
        listening = None
        if settings.port == 0:  # references to the hub itself have the port that it is given
            listening = opened.enter_context(open_socket(settings.host, 0))
            settings = settings.on_port(listening.getsockname()[1])
        async with open_backend(settings.store, settings.sqlite_mapped_mb) as backend:
            known = read(settings)
            apart = Apart(settings, logs, known.mappings).finish_left
            hub = build(settings, backend, logs, given=given, known=known, apart=apart)
            calm_collector()
            await hub.run(stop, ready, load, listening)


def _as_json(addresses: "Addresses") -> str:
    line: dict[str, object] = {"fhir": addresses.fhir, "mllp": addresses.mllp, "pid": os.getpid()}
    if len(addresses.channels) > 1:
        line["channels"] = addresses.channels
    if addresses.workers:
        line["workers"] = addresses.workers
    return json.dumps(line)


def _as_text(addresses: "Addresses", settings: "Settings") -> str:
    home = addresses.fhir.removesuffix("fhir")
    host = home.split("//")[1].rpartition(":")[0]
    mllp = f"mllp://{host}:{addresses.mllp}"
    others = "".join(
        f"\n  {name:<12} {way}" for name, way in _other_ways(addresses, settings, home)
    )
    count = len(addresses.workers)
    processes = f"\n  processes    {count} that serve, 1 that writes" if count else ""
    first = "examples/messages/01_ADT_A04_chc_register.hl7"
    return f"""fhir-hub {__version__} is ready · 已启动
  FHIR R4      {addresses.fhir}
  HL7v2 MLLP   {mllp}{others}
  pages        {home}   (docs, health, metrics)
  store        {settings.shown_store}{processes}
Send the first message, then find its patient · 发送第一条消息, 再查询患者:
  {_program()} send {first} --to {mllp}
  curl -G {addresses.fhir}/Patient --data-urlencode name=沈桂芳
Ctrl+C stops it."""


def _other_ways(
    addresses: "Addresses", settings: "Settings", home: str
) -> Iterator[tuple[str, str]]:
    """Yield where messages come in besides the MLLP that is always there, by channel."""
    for name, port in addresses.channels.items():
        if name != "mllp":
            yield name, f"port {port}"
    if "http" not in settings.channels:
        yield "HL7v2 HTTP", f"POST {home}hl7v2"
    for name, channel in settings.channels.items():
        if channel.enabled and channel.transport == "http":
            yield name, f"POST {home}hl7v2/{name}"
        elif channel.enabled and channel.folder is not None:
            yield name, f"folder {channel.folder}"


def _program() -> str:
    """Return how a reader of the terminal calls this program."""
    if shutil.which("fhir-hub"):
        return "fhir-hub"
    return os.path.relpath(Path(sys.executable).with_name("fhir-hub"))
