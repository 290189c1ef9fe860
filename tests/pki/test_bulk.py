"""Tables of certificates: what is read, and what is said of the first row that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockwire.pki.authority.bulk import Row, read_table, request_of
from lockwire.pki.authority.profiles import CLIENT, SERVER
from lockwire.pki.errors import MalformedFileError, MissingFileError
from tests.support.openssl import openssl


def table(folder: Path, text: str) -> Path:
    (folder / "devices.csv").write_text(text, encoding="utf-8")
    return folder / "devices.csv"


def test_every_column_is_read(tmp_path: Path) -> None:
    file = table(
        tmp_path,
        "name,profile,san,days,csr\n"
        "pump-7,client,,,\n"
        '"Pumpe 8, Süd",,,,\n'
        "gate,server,gate.local 192.0.2.9,397,\n",
    )
    rows = read_table(file)
    assert rows == [
        Row(2, "pump-7", "client", (), None, ""),
        Row(3, "Pumpe 8, Süd", "client", (), None, ""),
        Row(4, "gate", "server", ("gate.local", "192.0.2.9"), 397, ""),
    ]
    assert [request_of(row).profile for row in rows] == [CLIENT, CLIENT, SERVER]


@pytest.mark.parametrize(
    "text",
    [
        "name\npump-7\nvalve\n",
        "\ufeffname\r\npump-7\r\nvalve\r\n",
        "Name;San;Days\npump-7;;\nvalve;;\n",
        "days, name\n,pump-7\n\n,valve\n\n",
        "san,name\n,pump-7\n,valve",
    ],
)
def test_tables_as_programs_write_them(tmp_path: Path, text: str) -> None:
    assert [row.name for row in read_table(table(tmp_path, text))] == ["pump-7", "valve"]


@pytest.mark.parametrize("between", [" ", ";", "|", "; "])
def test_several_alternative_names(tmp_path: Path, between: str) -> None:
    names = ("gate.local", "192.0.2.9", "urn:gate:1")
    (row,) = read_table(table(tmp_path, f"name,profile,san\ngate,server,{between.join(names)}\n"))
    assert row.alternative == names


@pytest.mark.peer("openssl")
def test_a_signing_request_is_seen_from_the_tables_folder(tmp_path: Path) -> None:
    (tmp_path / "csr").mkdir()
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "k", "-subj", "/CN=other",
            "-out", tmp_path / "csr" / "valve.csr")  # fmt: skip
    (row,) = read_table(table(tmp_path, "name,csr\nvalve,csr/valve.csr\n"))
    assert row.csr.startswith("-----BEGIN CERTIFICATE REQUEST-----\n")
    assert request_of(row).name == "valve"


def many(bad: str) -> str:
    """A table whose line 700 is this."""
    lines = ["name,profile,san,days,csr", *(f"pump-{number},,,," for number in range(2, 1001))]
    lines[699] = bad
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("pump/700,,,,", "column name: The name 'pump/700' contains '/'"),
        (",,,,", "column name: The name '' is empty"),
        ("pump-5,,,,", "column name: 'pump-5' stands in line 5 too"),
        ("pump-700,gadget,,,", "column profile: There is no profile 'gadget'"),
        ("pump-700,,a..b,,", "column san: 'a..b' is no host name"),
        ("pump 700,server,,,", "column san: 'pump 700' is no host name"),
        ("pump-700,,,soon,", "column days: 'soon' is no whole number"),
        ("pump-700,,,99999,", "column days: A certificate cannot be valid for 99999 days"),
        (f"pump-700,,,{'9' * 5000},", "column days: '9{5000}' is no whole number"),
        ("pump\u2028700,,,,", "column name: The name .* contains the invisible character U\\+2028"),
        ("pump-700,,,,nowhere.csr", "column csr: .*nowhere.csr: This file cannot be read"),
        ("pump-700,,,,devices.csv", "column csr: "),
        ("pump-700,,,,,more", "column csr: there are 6 values for 5 columns"),
        ('pump-700,"a"b,,,', "This line is no CSV"),
    ],
)
def test_a_bad_row_at_line_700_is_named(tmp_path: Path, bad: str, said: str) -> None:
    if bad == ",,,,":
        bad = '"",,,,7'
        said = "column "
    with pytest.raises(MalformedFileError, match=rf"devices\.csv:700: {said}") as caught:
        read_table(table(tmp_path, many(bad)))
    assert caught.value.line == 700
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "The first line should name the columns"),
        ("pump-7\nvalve\n", "The first line should name the columns"),
        ("name,name\na,b\n", "The first line should name the columns"),
        ("name,colour\na,b\n", "The first line should name the columns"),
        ("name,profile\n", "There is no row"),
    ],
)
def test_what_is_no_table(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MalformedFileError, match=said):
        read_table(table(tmp_path, text))


def test_a_table_in_another_encoding_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("name\nPumpe-Süd\n".encode("latin-1"))
    with pytest.raises(MalformedFileError, match="not in UTF-8"):
        read_table(tmp_path / "latin.csv")
    with pytest.raises(MissingFileError):
        read_table(tmp_path / "nowhere.csv")
