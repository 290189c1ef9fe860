"""Mosquitto's files: passwords, access control lists, pre-shared keys.

`passwords`, `acl` and `psk` read one file each and find everything that is wrong with it; `rules` says what
an access control list is in Lockwire's rules.
"""
