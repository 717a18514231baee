"""`fhir-hub send`: deliver message files over MLLP and show each acknowledgment."""

import asyncio
import re
from pathlib import Path
from typing import Annotated

import typer

from fhir_hub.cli.say import count, fail, read, refuse, say

EXAMPLE = "fhir-hub send examples/messages/*.hl7 --to mllp://127.0.0.1:2575"
_ADDRESS = re.compile(r"mllp://(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):(\d{1,5})/?", re.ASCII)


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…", exists=True, dir_okay=False, help="Files of one message or many."
        ),
    ],
    to: Annotated[str, typer.Option(metavar="mllp://HOST:PORT", help="The receiver.")],
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.1, max=3600, help="Seconds to wait for an answer.")
    ] = 30,
) -> None:
    """Send HL7v2 messages over MLLP; exit code 1 if one is not accepted. 发送 HL7v2 消息。"""
    match = _ADDRESS.fullmatch(to)
    if not match or not 0 < int(match[2]) < 65536:
        refuse("--to: write mllp://HOST:PORT, such as mllp://127.0.0.1:2575 / 地址格式有误")
    host, port = match[1].strip("[]"), int(match[2])
    if not asyncio.run(_send(files, host, port, timeout_s)):
        raise typer.Exit(1)


async def _send(files: list[Path], host: str, port: int, timeout_s: float) -> bool:
    """Send all; print a line for each message and one for all; return whether all were taken."""
    from fhir_hub.errors import Unavailable
    from fhir_hub.hl7v2 import sender

    sources: list[Path] = []
    messages: list[bytes] = []
    empty = 0
    for file in files:
        found = sender.split_messages(read(file))
        if not found:
            say(f"{file}: no HL7v2 message (no MSH segment) / 文件中没有 HL7v2 消息")
            empty += 1
        sources += [file] * len(found)
        messages += found
    accepted = 0
    width = max((len(str(file)) for file in sources), default=0)
    answers = sender.send(messages, host, port, timeout_s=timeout_s)
    try:
        # `sources` first: at its end no answer more is waited for
        for file in sources:
            result = await anext(answers)
            accepted += result.is_accepted
            shown = (result.ack_code or "--", result.control_id, result.text)
            print(f"{file!s:{width}}  {'  '.join(filter(None, shown))}", flush=True)
    except Unavailable as error:
        fail(str(error))
    finally:
        await answers.aclose()  # type: ignore[attr-defined]  # an async generator
    print(f"{count(len(messages), 'message')}: {accepted} accepted, {len(messages) - accepted} not")
    return accepted == len(messages) and not empty
