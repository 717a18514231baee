"""`fhir-hub emit`: an HL7v2 message of FHIR resources, by the maps read backwards."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_hub.cli.say import fail, read, refuse, require, say

if TYPE_CHECKING:
    from fhir_hub.hl7v2.emit.emit import Emitted, Receiver

EXAMPLE = "fhir-hub emit examples/outbound/referral.json --event 'REF^I12'"


def command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A Bundle or one resource, as FHIR JSON.")
    ],
    event: Annotated[
        str,
        typer.Option(metavar="TYPE^EVENT", help="Such as REF^I12; else by what the file holds."),
    ] = "",
    version: Annotated[str, typer.Option(help="The HL7v2 version: 2.3 to 2.8.2.")] = "2.4",
    charset: Annotated[
        str, typer.Option(help="The receiver's character set: UTF-8, GBK, GB 18030 …")
    ] = "UNICODE UTF-8",
    sender: Annotated[
        str, typer.Option(metavar="ID", help="Write for this sender: his file read backwards.")
    ] = "",
    application: Annotated[str, typer.Option(help="The receiving application, MSH-5.")] = "",
    facility: Annotated[str, typer.Option(help="The receiving facility, MSH-6.")] = "",
    control_id: Annotated[str, typer.Option(help="MSH-10; without it a new one.")] = "",
    is_checked: Annotated[
        bool, typer.Option("--check", help="Hold the message to its version's structure: 1 if not.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings in TOML: timezone, mappings_folder.")
    ] = None,
) -> None:
    """Print the HL7v2 message of FHIR resources. 由 FHIR 资源生成 HL7v2 消息。"""
    require([file])
    from fhir_hub.errors import FhirError
    from fhir_hub.hl7v2.emit.emit import Receiver

    receiver = Receiver(application, facility, version, charset, sender)
    try:
        emitted = _emitted(read(file), receiver, event, control_id, config)
    except FhirError as error:
        fail(f"{file}: {error} / 无法生成消息")
    sys.stdout.buffer.write(emitted.raw)
    if emitted.left_out:
        say(f"no field for: {', '.join(emitted.left_out)} / 以上元素未写入消息")
    for issue in emitted.issues:
        say(issue)
    if is_checked:
        from fhir_hub.hl7v2.emit.validity import faults

        if found := faults(emitted.text):
            fail("not a message of its version / 消息结构有误\n" + "\n".join(found))


def _emitted(
    content: bytes, receiver: "Receiver", event: str, control_id: str, config: Path | None
) -> "Emitted":
    """Return the message; ends the command if settings or maps are no good."""
    from fhir_hub import fhirjson
    from fhir_hub.clock import new_logical_id, now
    from fhir_hub.errors import InvalidResource
    from fhir_hub.hl7v2.emit.emit import emit
    from fhir_hub.hl7v2.emit.events import EVENTS
    from fhir_hub.hl7v2.emit.resources import of_bundle
    from fhir_hub.hl7v2.maps.map_files import InvalidMapping
    from fhir_hub.hl7v2.maps.mappings import load_mappings
    from fhir_hub.r4.definitions import load_definitions
    from fhir_hub.settings import InvalidSettings, load_settings

    bundle = fhirjson.loads(content)
    if not isinstance(bundle, dict) or "resourceType" not in bundle:
        raise InvalidResource("no FHIR resource")
    if event and event not in EVENTS:
        raise InvalidResource(f"no message {event} is written; there are: {', '.join(EVENTS)}")
    try:
        settings = load_settings(config, {}, os.environ)
        folders = [settings.mappings_folder] if settings.mappings_folder else []
        mappings = load_mappings(load_definitions(), folders)
    except InvalidSettings as error:
        refuse(str(error))
    except InvalidMapping as error:
        fail("the HL7v2 maps cannot be used / HL7v2 映射文件有误\n" + "\n".join(error.problems))
    if receiver.sender and receiver.sender not in mappings.senders:
        shown = ", ".join(mappings.senders) or "none"
        refuse(f"--sender: no file for this sender; there are: {shown} / 没有该发送方的配置")
    number = control_id or new_logical_id().replace("-", "")[:20]
    return emit(of_bundle(bundle), mappings, receiver, moment=now(), control_id=number, event=event)
