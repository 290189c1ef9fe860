"""What commands do to a data folder: one function an operation, for the running broker and without one.

An operation takes a Household and arguments that JSON can carry, changes the folder, and gives an Outcome:
the answer for the command, and what the change means for a running broker (`effects`).
"""
