"""Who a client is and what it may do.

Start with `authenticator` and `authorizer`, the two seams that the broker knows, and with `identity`, which
goes from one to the other. Behind the first stand `methods`, `tokens` and `plugins`, behind the second
`rights`; `database` keeps users and rules, `learning` proposes narrower ones.
"""
