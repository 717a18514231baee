"""`fhir-hub outbox`: how deliveries to the partners stand, and dead messages sent anew."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_hub.cli.journal import run_on_store, settings_of
from fhir_hub.cli.say import count, fail, refuse
from fhir_hub.nearest import did_you_mean

if TYPE_CHECKING:
    from fhir_hub.hl7v2.deliver.outbox import Dead, Pending
    from fhir_hub.hl7v2.deliver.silence import Silence
    from fhir_hub.settings.hub import Settings
    from fhir_hub.store.open import Backend

EXAMPLE = "fhir-hub outbox list --store sqlite:data/hub.sqlite"

app = typer.Typer(
    help="See what waits for the partners and what was given up. 外发消息。",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Store = Annotated[str | None, typer.Option(help="sqlite:PATH (sqlite:data/hub.sqlite if not set)")]
Config = Annotated[Path | None, typer.Option(help="Settings in TOML, the same as the hub's.")]


Partner = Annotated[str, typer.Argument(help="The partner's name in the settings.")]
Numbers = Annotated[
    list[str] | None, typer.Argument(metavar="CONTROL-ID…", help="Which dead messages.")
]
All = Annotated[bool, typer.Option("--all", help="All of this partner's.")]


@app.callback(invoke_without_command=True)
def command(context: typer.Context, store: Store = None, config: Config = None) -> None:
    """Show how far each partner is, who does not answer, and the dead messages. 外发状态。"""
    if context.invoked_subcommand is None:
        list_(store, config)
    elif store or config:
        refuse("write --store and --config behind the command / 请将选项写在子命令之后")


@app.command("list", epilog=f"Example: {EXAMPLE}")
def list_(store: Store = None, config: Config = None) -> None:
    """Show how far each partner is, who does not answer, and the dead messages. 列出外发状态。"""
    from fhir_hub.hl7v2.deliver.outbox import dead_messages, paused, progresses
    from fhir_hub.hl7v2.deliver.silence import silent

    async def work(backend: "Backend") -> None:
        last = (await backend.store.status()).sequence
        resting, quiet = await paused(backend.store), await silent(backend.store)
        for name, progress in (await progresses(backend.store)).items():
            pending = progress.pending
            under_way = f"  under way: {pending.event} {pending.control_id}" if pending else ""
            refused = _refused(pending) if pending and pending.attempts else ""
            state = "  paused" if name in resting else ""
            silence = f"  {_told(quiet[name])}" if name in quiet else ""
            told = f"told up to {progress.sequence} of {last}"
            print(f"{name}  {told}{silence}{state}{under_way}{refused}")
        dead = await dead_messages(backend.store)
        for one in dead:
            what = f"{one.event}  {one.address}/_history/{one.version_id}  {one.at}"
            print(f"{one.partner}  {one.control_id}  {one.ack_code} {one.error_code}  {what}")
        print(count(len(dead), "dead message"))

    run_on_store(settings_of(store, config), work)


def _refused(pending: "Pending") -> str:
    said = f": {pending.refusal}" if pending.refusal else ""
    return f" (refused {count(pending.attempts, 'time')}{said})"


def _told(silence: "Silence") -> str:
    how = "left alone until" if silence.is_left_alone else "next try"
    why = f"{silence.reason}, {count(silence.tries, 'attempt')}"
    return f"SILENT 无应答 since {silence.since} ({why}), {how} {silence.next_try}"


@app.command("retry", epilog="Example: fhir-hub outbox retry hospital --all")
def retry(
    partner: Partner,
    control_ids: Numbers = None,
    is_all: All = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """Have dead messages made and sent anew, by a running hub at once. 重新发送失败消息。"""
    from fhir_hub.hl7v2.deliver.outbox import try_again

    async def again(backend: "Backend", dead: Sequence["Dead"]) -> None:
        for one in dead:
            await try_again(backend.store, one)

    done = _with_dead(settings_of(store, config), partner, _wanted(control_ids, is_all), again)
    print(f"{count(done, 'message')} to be sent again")


@app.command("drop", epilog="Example: fhir-hub outbox drop hospital --all")
def drop_(
    partner: Partner,
    control_ids: Numbers = None,
    is_all: All = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """Forget dead messages that nobody is to send anew. 清除失败消息。"""
    from fhir_hub.hl7v2.deliver.outbox import drop

    async def forget(backend: "Backend", dead: Sequence["Dead"]) -> None:
        await drop(backend.store, dead)

    done = _with_dead(settings_of(store, config), partner, _wanted(control_ids, is_all), forget)
    print(f"{count(done, 'dead message')} dropped")


@app.command("skip", epilog="Example: fhir-hub outbox skip hospital 7GH2K1-4711")
def skip_(
    partner: Partner,
    control_id: Annotated[str, typer.Argument(metavar="CONTROL-ID", help="What is under way.")],
    store: Store = None,
    config: Config = None,
) -> None:
    """Give up the message that is under way, so that those behind it go. 跳过正在发送的消息。"""
    from fhir_hub.hl7v2.deliver.outbox import progresses, skip

    settings = settings_of(store, config)

    async def work(backend: "Backend") -> None:
        await _check_partner(backend, settings, partner)
        progress = (await progresses(backend.store)).get(partner)  # none before the first start
        pending = progress.pending if progress else None
        if pending is None or pending.control_id != control_id:
            now = pending.control_id if pending else "nothing / 无"
            fail(f"{control_id} is not under way; under way: {now} / 该消息不在发送中")
        await skip(backend.store, partner, control_id)

    run_on_store(settings, work)
    print(f"{control_id} to be skipped")


@app.command("pause", epilog="Example: fhir-hub outbox pause hospital")
def pause_(partner: Partner, store: Store = None, config: Config = None) -> None:
    """Send a partner nothing until he is resumed; what there is for him waits. 暂停外发。"""
    _set_paused(partner, settings_of(store, config), is_paused=True)
    print(f"{partner} is paused")


@app.command("resume", epilog="Example: fhir-hub outbox resume hospital")
def resume(partner: Partner, store: Store = None, config: Config = None) -> None:
    """Send a partner what has waited for him, and what comes. 恢复外发。"""
    _set_paused(partner, settings_of(store, config), is_paused=False)
    print(f"{partner} is resumed")


@app.command("forget", epilog="Example: fhir-hub outbox forget hospital")
def forget_(partner: Partner, store: Store = None, config: Config = None) -> None:
    """Forget what waits for a partner who is not in the settings any more. 清除已移除的合作方。"""
    from fhir_hub.hl7v2.deliver.outbox import forget

    settings = settings_of(store, config)
    if partner in settings.partners:
        fail(f"{partner} is in the settings; take him out first / 该合作方仍在配置中")

    async def work(backend: "Backend") -> None:
        await _check_partner(backend, settings, partner)
        await forget(backend.store, partner)

    run_on_store(settings, work)
    print(f"{partner} is forgotten")


def _wanted(control_ids: list[str] | None, is_all: bool) -> set[str]:
    """Return the messages that are named, none if all are meant."""
    wanted = set(control_ids or ())
    if bool(wanted) is is_all:
        refuse("name the messages, or write --all / 请指定消息编号或 --all")
    return wanted


async def _check_partner(backend: "Backend", settings: "Settings", partner: str) -> None:
    from fhir_hub.hl7v2.deliver.outbox import progresses

    known = sorted({*await progresses(backend.store), *settings.partners})
    if partner not in known:
        there = f"there are: {', '.join(known) or 'none, in these settings (--config)'}"
        fail(f"no partner {partner}{did_you_mean(partner, known, there)} / 没有该合作方")


def _with_dead(
    settings: "Settings",
    partner: str,
    wanted: set[str],
    do: Callable[["Backend", Sequence["Dead"]], Awaitable[None]],
) -> int:
    """Do something with a partner's dead messages that are named, all if none is; how many."""

    async def work(backend: "Backend") -> int:
        chosen = await _chosen(backend, settings, partner, wanted)
        await do(backend, chosen)
        return len(chosen)

    return run_on_store(settings, work)


async def _chosen(
    backend: "Backend", settings: "Settings", partner: str, wanted: set[str]
) -> "list[Dead]":
    """Return a partner's dead messages that are named, all if none is."""
    from fhir_hub.hl7v2.deliver.outbox import dead_messages

    await _check_partner(backend, settings, partner)
    dead = [one for one in await dead_messages(backend.store) if one.partner == partner]
    if unknown := sorted(wanted - {one.control_id for one in dead}):
        fail(f"{partner} has no dead message {', '.join(unknown)} / 没有该失败消息")
    return [one for one in dead if not wanted or one.control_id in wanted]


def _set_paused(partner: str, settings: "Settings", *, is_paused: bool) -> None:
    from fhir_hub.hl7v2.deliver.outbox import pause

    async def work(backend: "Backend") -> None:
        await _check_partner(backend, settings, partner)
        await pause(backend.store, partner, is_paused=is_paused)

    run_on_store(settings, work)
