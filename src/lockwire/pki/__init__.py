"""Certificates and keys.

`authority` issues, `revocation` ends before the date, `toolkit` reads and judges any file, ours or not. What
they have in common lies here: `certificate` and `reading` for fields, `keys`, `pem` and `pkcs8` for keys,
`paths` for chains, `wording` for people, `files` for writing whole or not at all.
"""
