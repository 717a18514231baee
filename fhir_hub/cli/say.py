"""What every command says the same way: errors, paths, progress."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn, TypeVar

import typer

T = TypeVar("T")


def say(text: str) -> None:
    """Write a line for people to standard error."""
    print(f"fhir-hub: {text}", file=sys.stderr, flush=True)


def in_both(text: str, chinese: str) -> str:
    """Return a text with the Chinese of its kind behind it, unless it has its own.

    >>> in_both("not here", "找不到"), in_both("gone / 已删除", "找不到")
    ('not here / 找不到', 'gone / 已删除')
    """
    has_own = not chinese or any("\u4e00" <= one <= "\u9fff" for one in text)
    return text if has_own else f"{text} / {chinese}"


def fail(text: str) -> NoReturn:
    """Say what failed and end with exit code 1."""
    say(text)
    raise typer.Exit(1)


def refuse(text: str) -> NoReturn:
    """Say what is wrong with how the command was called and end with exit code 2."""
    say(text)
    raise typer.Exit(2)


def count(number: int, what: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def is_standard_input(file: Path) -> bool:
    """Say whether a file is `-`, as which standard input is named."""
    return str(file) == "-"


def require(files: Iterable[Path], *, may_be_folders: bool = False) -> None:
    """End with exit code 2 if one of the files is not there; standard input (`-`) always is."""
    for file in files:
        if is_standard_input(file):
            continue
        if not file.exists():
            refuse(f"{file}: no such file / 没有该文件")
        if file.is_dir() and not may_be_folders:
            refuse(f"{file}: it is a folder / 它是目录")


def read(file: Path) -> bytes:
    """Return a file's bytes, of `-` standard input's; exit code 1 if it cannot be read."""
    try:
        return sys.stdin.buffer.read() if is_standard_input(file) else file.read_bytes()
    except OSError as error:
        fail(f"{file}: {error.strerror} / 无法读取文件")


def pieces(file: Path) -> Iterator[bytes]:
    """Yield what `read` returns a megabyte at a time; exit code 1 if it cannot be read."""
    try:
        own = nullcontext(sys.stdin.buffer) if is_standard_input(file) else file.open("rb")
        with own as opened:
            while piece := opened.read(1 << 20):
                yield piece
    except OSError as error:
        fail(f"{file}: {error.strerror} / 无法读取文件")


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield the items, with a progress bar on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(items, what, total=total, console=console, transient=True)
