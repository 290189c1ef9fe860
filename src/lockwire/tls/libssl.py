"""What Python's ssl cannot set on an SSLContext, set through the libssl that it is linked to.

Python 3.11 to 3.13 have no call for TLS 1.3 cipher suites, none for a list of groups and none to turn the
session cache off; 3.11 and 3.12 have none for pre-shared keys. OpenSSL has them all, and needs the
`SSL_CTX *` inside Python's object. It is the first field of the C structure, which nothing promises: so it is
used only on interpreters where that was verified, is compared with what Python says about the context, and
what was set is read back. Where any of this fails, TlsPolicyError gives the reason.
"""

from __future__ import annotations

import ctypes
import ssl
import sys
from collections.abc import Callable
from typing import Any

from lockwire.tls.errors import TlsPolicyError

_VERIFIED_PYTHONS = ((3, 11), (3, 12), (3, 13))

# openssl/ssl.h
_CTRL_SET_SESSION_CACHE_MODE = 44
_CTRL_SET_GROUPS_LIST = 92
_CTRL_GET_MIN_PROTO_VERSION = 130
_CTRL_GET_MAX_PROTO_VERSION = 131


def set_tls13_suites(context: ssl.SSLContext, suites: tuple[str, ...]) -> None:
    """Sets the TLS 1.3 cipher suites, OpenSSL names in order of preference (SSL_CTX_set_ciphersuites).

    Raises TlsPolicyError where this Python's ssl cannot be reached that way, or OpenSSL refuses a name.
    """
    library, pointer = _reach(context, "cipher_suites", "a choice of TLS 1.3 cipher suites")
    library.SSL_CTX_set_ciphersuites.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    done = library.SSL_CTX_set_ciphersuites(pointer, ":".join(suites).encode())
    now = tuple(cipher["name"] for cipher in context.get_ciphers() if cipher["name"].startswith("TLS_"))
    if done != 1 or now != suites:
        raise TlsPolicyError("cipher_suites", f"{ssl.OPENSSL_VERSION} refuses {', '.join(suites)}")


def set_groups(context: ssl.SSLContext, groups: tuple[str, ...]) -> None:
    """Sets the key exchange groups, OpenSSL names in order of preference (SSL_CTX_set1_groups_list).

    Raises TlsPolicyError where this Python's ssl cannot be reached that way, or OpenSSL refuses a name.
    """
    library, pointer = _reach(context, "groups", "more than one group")
    names = ":".join(groups).encode()
    if library.SSL_CTX_ctrl(pointer, _CTRL_SET_GROUPS_LIST, 0, names) != 1:
        raise TlsPolicyError("groups", f"{ssl.OPENSSL_VERSION} refuses {', '.join(groups)}")


# unsigned int (*)(SSL *, const char *identity, unsigned char *psk, unsigned int max_psk_len)
_PSK_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_uint, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint
)


def disable_session_cache(context: ssl.SSLContext) -> None:
    """Keeps no sessions to be resumed by their ID (SSL_CTX_set_session_cache_mode, SSL_SESS_CACHE_OFF).

    Raises TlsPolicyError where this Python's ssl cannot be reached that way.
    """
    library, pointer = _reach(context, "session_tickets", "turning the session cache off")
    library.SSL_CTX_ctrl(pointer, _CTRL_SET_SESSION_CACHE_MODE, 0, None)


def set_psk_server_callback(context: ssl.SSLContext, key_for: Callable[[bytes], bytes], hint: str) -> None:
    """Asks `key_for` for the key of an identity (SSL_CTX_set_psk_server_callback).

    key_for: gets the identity as it came, up to a zero byte; gives 1 to 64 bytes. hint: "" for none.
    Raises TlsPolicyError where this Python's ssl cannot be reached that way, or OpenSSL refuses the hint.
    """
    library, pointer = _reach(context, "psk", "a server with pre-shared keys")

    def answer(_connection: int, identity: bytes | None, place: int, size: int) -> int:
        key = key_for(identity or b"")
        if len(key) > size:
            return 0
        ctypes.memmove(place, key, len(key))
        return len(key)

    callback = _PSK_CALLBACK(answer)
    library.SSL_CTX_set_psk_server_callback.argtypes = [ctypes.c_void_p, _PSK_CALLBACK]
    library.SSL_CTX_set_psk_server_callback.restype = None
    library.SSL_CTX_set_psk_server_callback(pointer, callback)
    keeper: Any = context
    keeper.lockwire_psk_callback = callback  # OpenSSL keeps no reference of its own
    library.SSL_CTX_use_psk_identity_hint.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    if hint and library.SSL_CTX_use_psk_identity_hint(pointer, hint.encode()) != 1:
        raise TlsPolicyError("psk", f"{ssl.OPENSSL_VERSION} refuses the hint {hint!r}")


def _reach(context: ssl.SSLContext, field: str, wish: str) -> tuple[ctypes.CDLL, int]:
    """The libssl behind Python's ssl, and the address of the context's SSL_CTX."""
    refusal = f"{wish} is beyond this Python's ssl module"
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in _VERIFIED_PYTHONS:
        raise TlsPolicyError(
            field, f"{refusal}, and Python {sys.version.split()[0]} is not one where a way was verified"
        )
    import _ssl

    path = getattr(_ssl, "__file__", None)
    if path is None:
        raise TlsPolicyError(field, f"{refusal}, and OpenSSL is built into this interpreter")
    try:
        # Looked up through the extension module, a symbol is the one of the libssl that the module uses.
        library = ctypes.CDLL(path)
        get_options, control = library.SSL_CTX_get_options, library.SSL_CTX_ctrl
        get_verify_mode, _ = library.SSL_CTX_get_verify_mode, library.SSL_CTX_set_ciphersuites
    except (OSError, AttributeError):
        raise TlsPolicyError(field, f"{refusal}, and it is not linked to a shared OpenSSL") from None
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    if not pointer:
        raise TlsPolicyError(field, f"{refusal}, and its context could not be found in memory")
    get_options.argtypes, get_options.restype = [ctypes.c_void_p], ctypes.c_uint64
    get_verify_mode.argtypes, get_verify_mode.restype = [ctypes.c_void_p], ctypes.c_int
    control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    control.restype = ctypes.c_long
    found = (
        get_options(pointer) & 0xFFFFFFFF,
        get_verify_mode(pointer),
        control(pointer, _CTRL_GET_MIN_PROTO_VERSION, 0, None),
        control(pointer, _CTRL_GET_MAX_PROTO_VERSION, 0, None),
    )
    expected = (
        int(context.options) & 0xFFFFFFFF,
        int(context.verify_mode),
        max(context.minimum_version, 0),  # Python says -2 and -1 for OpenSSL's 0: no limit
        max(context.maximum_version, 0),
    )
    if found != expected:
        raise TlsPolicyError(field, f"{refusal}, and its context in memory is not what it says")
    return library, pointer
