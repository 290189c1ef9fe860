"""Every normative statement of the two OASIS standards, by its number: what it asks and whom it binds.

The numbers are those of appendix B of each standard, written `MQTT311-x.y.z-n` (MQTT 3.1.1, 29 October 2014)
and `MQTT5-x.y.z-n` (MQTT 5.0, 7 March 2019), because the same number means different things in the two. What
they ask is told in our own words, shortened; the standards' text decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.conformance.statements_mqtt5 import MQTT5
from tests.conformance.statements_mqtt311 import MQTT311

BINDS = ("server", "client", "both")


@dataclass(frozen=True)
class Statement:
    """One normative statement.

    `binds` is "server", "client" or "both"; the last two of these are about packets either side may send, or
    about a client's duty whose breach the server has to answer. `excused` says why a statement that binds a
    server asks nothing of ours ("" where it does).
    """

    number: str
    binds: str
    asks: str
    excused: str = ""

    @property
    def version(self) -> str:
        """`MQTT311` or `MQTT5`."""
        return self.number.partition("-")[0]

    @property
    def needs_test(self) -> bool:
        """Whether a server can and has to be tested for it."""
        return self.binds != "client" and not self.excused


def _rows(version: str, table: str) -> list[Statement]:
    """The statements of one table: a line each, `number | binds | what it asks [| why it is excused]`."""
    statements = []
    for line in table.strip().splitlines():
        number, binds, asks, *excused = (cell.strip() for cell in line.split("|"))
        statements.append(Statement(f"{version}-{number}", binds, asks, *excused))
    return statements


STATEMENTS: dict[str, Statement] = {
    statement.number: statement for statement in _rows("MQTT311", MQTT311) + _rows("MQTT5", MQTT5)
}
