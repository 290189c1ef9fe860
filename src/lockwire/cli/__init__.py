"""The command `lockwire`: a module a group of commands, each thin: parse, call, print.

`root` puts the groups together, `options` has what every command understands, `failures` what they say and
which exit status they give when something is wrong.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line of this process, and ends it with the exit status."""
    from lockwire.cli import failures
    from lockwire.cli.root import app

    try:
        app(prog_name="lockwire")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`lockwire status | head`): nothing is left to say.
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        failure = failures.explain(error)
        if failure is None:
            raise
        failures.show(failure)
        sys.exit(failure.status)
