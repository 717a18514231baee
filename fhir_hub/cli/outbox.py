"""`fhir-hub outbox`: how deliveries to the partners stand, and dead messages sent anew."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_hub.cli.journal import run_on_store, settings_of
from fhir_hub.cli.say import count, fail, refuse

if TYPE_CHECKING:
    from fhir_hub.store.open import Backend

EXAMPLE = "fhir-hub outbox list --store sqlite:data/hub.sqlite"

app = typer.Typer(
    help="See what waits for the partners and what was given up. 外发消息。",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Store = Annotated[str | None, typer.Option(help="sqlite:PATH (sqlite:data/hub.sqlite if not set)")]
Config = Annotated[Path | None, typer.Option(help="Settings in TOML, the same as the hub's.")]


@app.command("list", epilog=f"Example: {EXAMPLE}")
def list_(store: Store = None, config: Config = None) -> None:
    """Show how far each partner is, and the dead messages. 列出外发状态与失败消息。"""
    from fhir_hub.hl7v2.deliver.outbox import dead_messages, progresses

    async def work(backend: "Backend") -> None:
        last = (await backend.store.status()).sequence
        for name, progress in (await progresses(backend.store)).items():
            pending = progress.pending
            under_way = f"  under way: {pending.event} {pending.control_id}" if pending else ""
            print(f"{name}  told up to {progress.sequence} of {last}{under_way}")
        dead = await dead_messages(backend.store)
        for one in dead:
            what = f"{one.event}  {one.address}/_history/{one.version_id}"
            print(f"{one.partner}  {one.control_id}  {one.ack_code} {one.error_code}  {what}")
        print(count(len(dead), "dead message"))

    run_on_store(settings_of(store, config), work)


@app.command("retry", epilog="Example: fhir-hub outbox retry hospital --all")
def retry(
    partner: Annotated[str, typer.Argument(help="The partner's name in the settings.")],
    control_ids: Annotated[
        list[str] | None, typer.Argument(metavar="CONTROL-ID…", help="Which dead messages.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="All of this partner's.")] = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """Have dead messages made and sent anew, by a running hub at once. 重新发送失败消息。"""
    from fhir_hub.hl7v2.deliver.outbox import dead_messages, progresses, try_again

    settings = settings_of(store, config)
    wanted = set(control_ids or ())
    if bool(wanted) is is_all:
        refuse("name the messages, or write --all / 请指定消息编号或 --all")

    async def work(backend: "Backend") -> int:
        dead = [one for one in await dead_messages(backend.store) if one.partner == partner]
        known = sorted({*await progresses(backend.store), *settings.partners})
        if partner not in known:
            fail(f"no partner {partner}; there are: {', '.join(known)} / 没有该合作方")
        if unknown := sorted(wanted - {one.control_id for one in dead}):
            fail(f"{partner} has no dead message {', '.join(unknown)} / 没有该失败消息")
        chosen = [one for one in dead if is_all or one.control_id in wanted]
        for one in chosen:
            await try_again(backend.store, one)
        return len(chosen)

    done = run_on_store(settings, work)
    print(f"{count(done, 'message')} to be sent again")
