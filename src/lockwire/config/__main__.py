"""`python -m lockwire.config` prints the documentation of `lockwire.toml`; with `example`, an example."""

import sys

from lockwire.config.documentation import EXAMPLE, markdown

sys.stdout.write(EXAMPLE if sys.argv[1:] == ["example"] else markdown())
