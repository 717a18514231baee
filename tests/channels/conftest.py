"""Fixtures of the channels: ways in that are started, certificates made for the test."""

import ssl

import pytest
import trustme
from channel_parts import SERVER, started


@pytest.fixture
def start():
    return started


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def certificates(authority, tmp_path_factory):
    """Return the files of a server's certificate with its key, and of its authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority.issue_cert(SERVER).private_key_and_cert_chain_pem.write_to_path(folder / "hub.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return {"certificate": folder / "hub.pem", "client_ca": folder / "ca.pem"}


@pytest.fixture
def client_tls(authority):
    """Return a maker of a client's TLS, with a certificate of that name and authority or none."""

    def make(name: str = "", by: trustme.CA | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if name:
            (by or authority).issue_cert(name).configure_cert(context)
        return context

    return make
