from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockwire.tls import loading
from lockwire.tls.context import ServerContext
from lockwire.tls.policy import TlsPolicy
from tests.tls.certificates import TestPki

MakeContext = Callable[..., ServerContext]


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> TestPki:
    return TestPki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def server_context(pki: TestPki) -> MakeContext:
    """Makes a ServerContext from TlsPolicy's fields, with the test CA for client certificates."""

    def make(crl: Path | None = None, client_ca: Path | None = None, **fields: Any) -> ServerContext:
        own = loading.Pair(pki.server_pem, pki.server_key)
        files = loading.ServerFiles(own, client_ca=client_ca or pki.ca_pem, crl=crl)
        return ServerContext(TlsPolicy(**fields), files)

    return make
