"""Who a client is and what it may do.

Start with `authenticator` and `authorizer`, the two seams that the broker knows; `chain` and `rules` are what
stands behind them.
"""
