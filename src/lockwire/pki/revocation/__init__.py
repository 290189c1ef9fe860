"""Certificates that ended before their date: lists (`crl`), answers (`ocsp`) and the broker's `denylist`."""
