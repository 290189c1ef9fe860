"""The table in docs/ says what the tests say."""

from __future__ import annotations

from pathlib import Path

from tests.conformance import report
from tests.conformance.statements import BINDS, STATEMENTS


def test_the_page_in_docs_is_up_to_date() -> None:
    assert report.PAGE.read_text() == report.page(), "run python -m tests.conformance.report"


def test_every_statement_is_there_once_and_binds_somebody() -> None:
    """Appendix B of MQTT 5.0 has 251 statements; that of MQTT 3.1.1 has 141."""
    versions = [statement.version for statement in STATEMENTS.values()]
    assert versions.count("MQTT5") == 251
    assert versions.count("MQTT311") == 141
    assert {statement.binds for statement in STATEMENTS.values()} == set(BINDS)


def test_every_statement_that_binds_a_server_has_a_test() -> None:
    tests = report.marked_tests()
    bare = [each.number for each in STATEMENTS.values() if each.needs_test and not tests[each.number]]
    assert bare == []


def test_outcomes_reach_the_page(tmp_path: Path) -> None:
    junit = tmp_path / "results.xml"
    junit.write_text(
        '<testsuites><testsuite><testcase classname="tests.conformance.test_common_connect" '
        'name="test_a_ping_is_answered[5]"><failure/></testcase></testsuite></testsuites>'
    )
    assert "`common_connect::a_ping_is_answered` **failed**" in report.page(report.outcomes(junit))
