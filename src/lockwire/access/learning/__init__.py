"""Learned least privilege: what each client does is recorded, and the narrowest rules for it are proposed.

Start with `recorder`; `shapes` makes many topics one filter, `memory` keeps the record through a restart,
`proposal` turns it into rules.
"""
