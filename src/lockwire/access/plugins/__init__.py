"""Plug-ins that decide who clients are and what they may do.

Start with `protocol`, what a plug-in is; `loading` finds it by its name, `authenticator`, `authorizer` and
`psk` stand between it and the broker, and `sql` and `http` are those that come with Lockwire.
"""
