"""The files of a terminology release: named one by one, in a folder, or in a zip as published.

Spec: https://confluence.ihtsdotools.org/display/DOCRELFMT (RF2 files), https://loinc.org/downloads
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from fhir_hub.errors import InvalidResource

ENCODINGS = ("utf-8-sig", "gb18030")
# called with how many bytes were read since the last call
Advance = Callable[[int], None]

csv.field_size_limit(1 << 24)


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One file: its name without folders, its size in bytes, how to open it."""

    name: str
    size: int
    open: Callable[[], BinaryIO]


def files_of(paths: Iterable[Path]) -> list[ReleaseFile]:
    """Return the files at `paths`: files, those in folders, those in zips, sorted by name.

    Raises `InvalidResource` for a zip that is none.
    """
    found: list[ReleaseFile] = []
    for path in paths:
        if path.is_dir():
            found += (_plain(one) for one in sorted(path.rglob("*")) if one.is_file())
        elif path.suffix.lower() == ".zip":
            found += _zipped(path)
        else:
            found.append(_plain(path))
    return found


def _plain(path: Path) -> ReleaseFile:
    return ReleaseFile(path.name, path.stat().st_size, lambda: path.open("rb"))


def _zipped(path: Path) -> Iterator[ReleaseFile]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise InvalidResource(f"{path.name} is no zip / 不是有效的 zip 文件") from None
    for member in archive.infolist():
        if not member.is_dir():
            name = member.filename.rpartition("/")[2]
            yield ReleaseFile(name, member.file_size, _opener(archive, member))


def _opener(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
    return lambda: archive.open(member)  # type: ignore[return-value]  # it reads as one


def rows(
    file: ReleaseFile, advance: Advance, *, delimiter: str = "", is_quoted: bool = True
) -> Iterator[dict[str, str]]:
    """Yield the rows of a table with a header, UTF-8 or GB 18030, by column.

    Without a `delimiter` it is the comma, tab or semicolon that the header has most of. Raises
    `InvalidResource` for a file that is no such text.
    """
    encoding = _encoding(file)
    with file.open() as raw:
        text = io.TextIOWrapper(io.BufferedReader(_Counted(raw, advance)), encoding, newline="")
        quoting: Literal[0, 3] = 0 if is_quoted else 3
        try:
            header = text.readline()
            by = delimiter or max(",\t;", key=header.count)
            names = next(csv.reader([header], delimiter=by, quoting=quoting), [])
            names = [name.strip() for name in names]
            for values in csv.reader(text, delimiter=by, quoting=quoting):
                yield dict(zip(names, values, strict=False))
        except (UnicodeDecodeError, csv.Error) as error:
            kind = type(error).__name__
            raise InvalidResource(f"{file.name} is no table ({kind}) / 无法读取表格") from None


def _encoding(file: ReleaseFile) -> str:
    """Return the encoding in which the beginning of a file makes sense."""
    with file.open() as raw:
        start = raw.read(1 << 16)
    start = start[: start.rfind(b"\n") + 1] or start
    for encoding in ENCODINGS:
        try:
            start.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    raise InvalidResource(f"{file.name} is neither UTF-8 nor GB 18030 / 编码无法识别")


class _Counted(io.RawIOBase):
    """A stream that tells how much of it was read."""

    def __init__(self, stream: BinaryIO, advance: Advance) -> None:
        self._stream, self._advance = stream, advance

    def readable(self) -> bool:
        """Say yes: it is read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a kind of Buffer
        """Fill `buffer`; return how many bytes."""
        content = self._stream.read(len(buffer))
        self._advance(len(content))
        buffer[: len(content)] = content
        return len(content)
