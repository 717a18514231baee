"""`fhir-hub send`: deliver message files over MLLP, or in TLS, and show each acknowledgment."""

import asyncio
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from fhir_hub.cli.say import count, fail, pieces, refuse, require, say

EXAMPLE = "fhir-hub send examples/messages/*.hl7 --to mllp://127.0.0.1:2575"
_ADDRESS = re.compile(r"mllp(s?)://(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):(\d{1,5})/?", re.ASCII)
Authorities = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        exists=True,
        dir_okay=False,
        help="The authorities that his certificate must come from, PEM.",
    ),
]
Certificate = Annotated[
    Path | None,
    typer.Option(
        "--tls-certificate",
        exists=True,
        dir_okay=False,
        help="The certificate to show him, PEM, with its chain.",
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--tls-key",
        exists=True,
        dir_okay=False,
        help="Its key, where that is in a file of its own.",
    ),
]


def command(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="Files of one message or many, - for standard input."),
    ],
    to: Annotated[
        str,
        typer.Option(metavar="mllp://HOST:PORT", help="The receiver; mllps:// is over TLS."),
    ],
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.1, max=3600, help="Seconds to wait for an answer.")
    ] = 30,
    answer: Annotated[
        bool, typer.Option("--answer", help="Show each answer whole, as of a query.")
    ] = False,
    tls_ca: Authorities = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
) -> None:
    """Send HL7v2 messages over MLLP; exit code 1 if one is not accepted. 发送 HL7v2 消息。"""
    require(files)
    match = _ADDRESS.fullmatch(to)
    if not match or not 0 < int(match[3]) < 65536:
        refuse("--to: write mllp://HOST:PORT, such as mllp://127.0.0.1:2575 / 地址格式有误")
    tls = None
    if match[1]:
        tls = _tls(tls_ca, tls_certificate, tls_key)
    elif tls_ca or tls_certificate or tls_key:
        refuse("--tls-…: write mllps:// in --to / 使用证书时地址应为 mllps://")
    host, port = match[2].strip("[]"), int(match[3])
    if not asyncio.run(_send(files, host, port, timeout_s, tls, is_whole=answer)):
        raise typer.Exit(1)


def _tls(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return how TLS is begun; ends the command if a file cannot be used."""
    if key and not certificate:
        refuse("--tls-key: give its --tls-certificate / 请同时指定证书")
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError):
        refuse(f"{ca}: no certificates in PEM / 证书文件有误")
    if certificate:
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ValueError):
            refuse(f"{certificate}: no certificate with its key in PEM / 证书或私钥有误")
    return context


async def _send(
    files: list[Path],
    host: str,
    port: int,
    timeout_s: float,
    tls: ssl.SSLContext | None,
    *,
    is_whole: bool,
) -> bool:
    """Send all; print a line for each message and one for all; return whether all were taken.

    With `is_whole` the answer stands below its line, a segment a line.

    Files are read while they are sent: of a batch of any size one message is held.
    """
    from fhir_hub.errors import Unavailable
    from fhir_hub.hl7v2.wire import sender

    reading = _Reading(files)
    sent = accepted = 0
    width = max(len(str(file)) for file in files)
    answers = sender.send(reading.messages(), host, port, timeout_s=timeout_s, tls=tls)
    try:
        async for result in answers:
            sent += 1
            accepted += result.is_accepted
            codes = " ".join(filter(None, (result.commit_code, result.ack_code or "--")))
            line = "  ".join(filter(None, (codes, result.control_id, result.text)))
            print(f"{reading.file!s:{width}}  {line}", flush=True)
            if is_whole and result.answer:
                print(*result.answer.rstrip("\r").split("\r"), "", sep="\n", flush=True)
    except Unavailable as error:
        fail(str(error))
    finally:
        await answers.aclose()
    print(f"{count(sent, 'message')}: {accepted} accepted, {sent - accepted} not")
    return accepted == sent and not reading.is_wrong


class _Reading:
    """Reads the messages of files, one after the other; `file` is where the last one stood."""

    def __init__(self, files: list[Path]) -> None:
        self._files, self.file, self.is_wrong = files, files[0], False

    def messages(self) -> Iterator[bytes]:
        """Yield the messages; say what is wrong with a file or the batch in it."""
        from fhir_hub.hl7v2.wire.batches import MESSAGE, Tally, parts_of

        for file in self._files:
            tally = Tally()
            for part in parts_of(pieces(file)):
                tally.take(part)
                if part.kind == MESSAGE:
                    self.file = file
                    yield part.raw
            tally.close()
            if not tally.messages:
                say(f"{file}: no HL7v2 message (no MSH segment) / 文件中没有 HL7v2 消息")
            for fault in tally.faults:
                say(f"{file}: {fault.text} / {fault.chinese}")
            self.is_wrong = self.is_wrong or bool(tally.faults) or not tally.messages
