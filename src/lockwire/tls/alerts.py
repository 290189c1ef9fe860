"""TLS alerts by number and name (RFC 8446 section 6, RFC 5246 section 7.2), and how OpenSSL reports them."""

from __future__ import annotations

NAMES: dict[int, str] = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}

_NUMBERS = {name: number for number, name in NAMES.items()} | {"user_cancelled": 90}
_PREFIXES = ("SSLV3_ALERT_", "TLSV13_ALERT_", "TLSV1_ALERT_", "TLSV1_")


def name_of(number: int) -> str:
    """The alert's name, `alert 99` for a number that no standard names, "none" for -1."""
    if number < 0:
        return "none"
    return NAMES.get(number, f"alert {number}")


def received_in(reason: str) -> int:
    """The alert that OpenSSL's reason says the peer sent (TLSV1_ALERT_UNKNOWN_CA: 48), or -1."""
    for prefix in _PREFIXES:
        if reason.startswith(prefix):
            return _NUMBERS.get(reason.removeprefix(prefix).lower(), -1)
    return -1
