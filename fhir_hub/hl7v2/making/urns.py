"""Names as `urn:uuid:`, the same for the same name: by them a message's resources are told apart.

They are UUIDs of version 5, made faster than `uuid` makes them.

Spec: RFC 9562, 5.5
"""

try:  # CPython's own: for a few bytes it takes a third of the time of OpenSSL's
    from _sha1 import sha1  # type: ignore[import-not-found]  # it has no stubs
except ImportError:
    from hashlib import sha1

_NAMESPACE = bytes.fromhex("5b1c1f0e6f0a5c1e9a556a3f7d0f2c11")
_VARIANTS = {f"{digit:x}": "89ab"[digit & 3] for digit in range(16)}


class Urns:
    """The URNs of the names that begin with `prefix`."""

    __slots__ = ("_begun",)

    def __init__(self, prefix: str) -> None:
        self._begun = sha1(_NAMESPACE + prefix.encode(), usedforsecurity=False)

    def of(self, name: str) -> str:
        """Return the URN of a name: of the prefix, and this behind it."""
        digest = self._begun.copy()
        digest.update(name.encode())
        return _urn(digest.hexdigest())


def name_based_urn(name: str) -> str:
    """Return the URN of a name.

    >>> name_based_urn("a|b") == Urns("a|").of("b")
    True
    """
    return _urn(sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest())


def _urn(digest: str) -> str:
    variant = _VARIANTS[digest[16]]
    return (
        f"urn:uuid:{digest[:8]}-{digest[8:12]}-5{digest[13:16]}"
        f"-{variant}{digest[17:20]}-{digest[20:32]}"
    )
