"""The files of FHIR packages, from a folder or a `.tgz`: read, never unpacked, and within limits.

A package in the NPM form is a folder `package/` with `package.json` and one resource a file;
folders below it (`example/`, `other/`, `xml/`) hold no definitions and are left alone. An archive
is read as a stream and nothing of it is written to disk, so a name such as `../../etc/passwd` has
nowhere to go; it is refused all the same, because a package that holds one is not one. The size
that counts is the unpacked one, and it is counted while it is unpacked.

Spec: https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ARCHIVES = (".tgz", ".tar.gz")
MANIFEST = "package.json"


class InvalidPackage(Exception):
    """Packages cannot be used; `problems` are all that is wrong, each with its file."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Limits:
    """What a package may hold at most: bytes unpacked, bytes of one file, members."""

    total_bytes: int = 512 << 20
    file_bytes: int = 64 << 20
    members: int = 50_000


@dataclass(slots=True)
class PackageFiles:
    """The files of one package by name; `source` is the folder or archive they come from."""

    source: Path
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def manifest(self) -> bytes | None:
        """Return `package.json`, `None` for a folder that is no package but holds files."""
        return self.files.get(MANIFEST)

    def shown(self, name: str) -> str:
        """Return how messages call a file: `cn-yangtze/ValueSet-sex.json`."""
        return f"{self.source.name}/{name}"


def packages_at(path: Path, limits: Limits | None = None) -> list[PackageFiles]:
    """Return the packages at `path`: an archive, a package's folder, or a folder of those.

    A folder without `package.json` may also hold definitions itself, as a package without name.
    Raises `InvalidPackage` if there is none, or an archive is broken or over `limits`.
    """
    limits = limits or Limits()
    if path.name.endswith(ARCHIVES) and path.is_file():
        return [_of_archive(path, limits)]
    if not path.is_dir():
        raise InvalidPackage(f"{path}: there is no such folder or .tgz / 没有该目录或 .tgz 文件")
    if folder := _package_folder(path):
        return [_of_folder(folder, path, limits)]
    inside = [each for each in sorted(path.iterdir()) if _may_be_package(each)]
    found = [package for each in inside for package in packages_at(each, limits)]
    own = _of_folder(path, path, limits)
    if own.files:
        found.append(own)
    if not found:
        raise InvalidPackage(
            f"{path}: no package.json, .tgz or resource in JSON here / 该目录中没有 FHIR 包"
        )
    return found


def _package_folder(path: Path) -> Path | None:
    return next((each for each in (path, path / "package") if (each / MANIFEST).is_file()), None)


def _may_be_package(path: Path) -> bool:
    if path.is_dir():
        return _package_folder(path) is not None
    return path.name.endswith(ARCHIVES)


def _of_folder(folder: Path, source: Path, limits: Limits) -> PackageFiles:
    package = PackageFiles(source)
    total = 0
    for path in sorted(folder.glob("*.json")):
        if path.name.startswith(".") or not path.is_file():
            continue
        size = path.stat().st_size
        total += size
        if size > limits.file_bytes or total > limits.total_bytes:
            raise InvalidPackage(f"{package.shown(path.name)}: too large for a package / 文件过大")
        package.files[path.name] = path.read_bytes()
    return package


def _of_archive(path: Path, limits: Limits) -> PackageFiles:
    package = PackageFiles(path)
    try:
        with gzip.open(path) as unpacked:
            counted = io.BufferedReader(_Counted(unpacked, limits.total_bytes, path.name))
            # a stream: a member is read where it stands, and no size that it claims is believed
            with tarfile.open(fileobj=counted, mode="r|") as archive:
                for name, content in _members(archive, path.name, limits):
                    package.files[name] = content
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InvalidPackage(f"{path.name}: no .tgz: {error} / 不是有效的 .tgz 文件") from None
    if package.manifest is None:
        raise InvalidPackage(f"{path.name}: there is no package/package.json in it / 包内缺少清单")
    return package


def _members(archive: tarfile.TarFile, shown: str, limits: Limits) -> Iterator[tuple[str, bytes]]:
    for number, member in enumerate(archive):
        if number >= limits.members:
            raise InvalidPackage(f"{shown}: more than {limits.members} files / 文件数过多")
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts or "\\" in member.name:
            raise InvalidPackage(f"{shown}: a file's name leads out of the package / 文件名越界")
        if member.isdir():
            continue
        if not member.isfile():
            raise InvalidPackage(f"{shown}: {name} is a link or a device / 包内含链接或设备文件")
        is_wanted = len(name.parts) == 2 and name.parts[0] == "package" and name.suffix == ".json"
        if not is_wanted or name.name.startswith("."):
            continue
        if member.size > limits.file_bytes:
            raise InvalidPackage(f"{shown}/{name.name}: too large for a package / 文件过大")
        if content := archive.extractfile(member):
            yield name.name, content.read()


class _Counted(io.RawIOBase):
    """A stream that gives no more than `limit` bytes: the end of a bomb."""

    def __init__(self, stream: gzip.GzipFile, limit: int, shown: str) -> None:
        self._stream, self._left, self._shown = stream, limit, shown

    def readable(self) -> bool:
        """Say yes: it is read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a kind of Buffer
        """Fill `buffer`; return how many bytes. Raises `InvalidPackage` beyond the limit."""
        content = self._stream.read(len(buffer))
        self._left -= len(content)
        if self._left < 0:
            raise InvalidPackage(f"{self._shown}: unpacks to too much / 解压后过大")
        buffer[: len(content)] = content
        return len(content)
