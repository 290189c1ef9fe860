"""What can be wrong with a certificate file: a module a subject, each a generator of findings.

`question` is what they are asked, `finding` what they answer; `check` beside this package puts them together.
"""
