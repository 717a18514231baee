"""How a partner is spoken to over TLS; certificates that were renewed hold for the next connection.

Spec: docs/outbound.md
"""

import ssl
from pathlib import Path

from fhir_hub.settings.partners import PartnerSettings

_Stamp = tuple[tuple[int, int, int], ...]


class Certificates:
    """The TLS of one partner: that of his files as they are now."""

    def __init__(self, partner: PartnerSettings) -> None:
        self._partner = partner
        self._stamp: _Stamp | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext | None:
        """Return it, None without TLS; raises `OSError` if a file cannot be read or used."""
        partner = self._partner
        if not partner.is_tls:
            return None
        files = (partner.tls_ca, partner.tls_certificate, partner.tls_key)
        stamp = tuple(_stamp(file) for file in files if file is not None)
        if self._context is None or stamp != self._stamp:
            context = ssl.create_default_context(cafile=partner.tls_ca)
            if partner.tls_certificate is not None:
                context.load_cert_chain(partner.tls_certificate, partner.tls_key)
            self._context, self._stamp = context, stamp
        return self._context


def _stamp(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def fault_of(error: OSError) -> str:
    """Return what TLS did not like, in a few words of OpenSSL, else the kind of error."""
    found = getattr(error, "verify_message", "") or getattr(error, "reason", None)
    return str(found or type(error).__name__).rstrip(".")
