"""How others are spoken to over TLS; certificates that were renewed hold for the next connection.

Spec: docs/outbound.md, docs/channels.md
"""

import ssl
from pathlib import Path
from typing import Protocol

_Stamp = tuple[tuple[int, int, int], ...]


class Spoken(Protocol):
    """Who is spoken to: over TLS or not, and the files for it."""

    @property
    def is_tls(self) -> bool:
        """Whether it is MLLP over TLS."""

    @property
    def tls_ca(self) -> Path | None:
        """The certificates that his must come from; None: those of the system."""

    @property
    def tls_certificate(self) -> Path | None:
        """The hub's own certificate for him."""

    @property
    def tls_key(self) -> Path | None:
        """The key of that, where it is in a file of its own."""


class Certificates:
    """The TLS of one of them: that of his files as they are now."""

    def __init__(self, spoken: Spoken) -> None:
        self._spoken = spoken
        self._stamp: _Stamp | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext | None:
        """Return it, None without TLS; raises `OSError` if a file cannot be read or used."""
        to = self._spoken
        if not to.is_tls:
            return None
        files = (to.tls_ca, to.tls_certificate, to.tls_key)
        stamp = tuple(_stamp(file) for file in files if file is not None)
        if self._context is None or stamp != self._stamp:
            context = ssl.create_default_context(cafile=to.tls_ca)
            if to.tls_certificate is not None:
                context.load_cert_chain(to.tls_certificate, to.tls_key)
            self._context, self._stamp = context, stamp
        return self._context


def _stamp(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def fault_of(error: OSError) -> str:
    """Return what TLS did not like, in a few words of OpenSSL, else the kind of error."""
    found = getattr(error, "verify_message", "") or getattr(error, "reason", None)
    return str(found or type(error).__name__).rstrip(".")


def tls_problems(spoken: Spoken, address: str) -> list[str]:
    """Return what is wrong with the files, each by its key; `address` is the key of the address."""
    named = {name: getattr(spoken, name) for name in ("tls_ca", "tls_certificate", "tls_key")}
    files = {name: path for name, path in named.items() if path is not None}
    if files and not spoken.is_tls:
        # it would be taken for encrypted
        why = f"{', '.join(files)}: for mllps:// only / 仅用于 mllps://"
        return [f"{address}: {why}"]
    missing = [
        f"{name}: there is no file {path} / 文件不存在"
        for name, path in files.items()
        if not path.is_file()
    ]
    if missing:
        return missing
    try:
        Certificates(spoken).context()
    except OSError as error:
        return [f"{', '.join(files)}: cannot be used: {fault_of(error)} / 证书文件无法使用"]
    return []
