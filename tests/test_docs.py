"""The manual: links lead somewhere, configurations load, commands exist, tables are complete."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from lockwire.broker.counters import Counters
from lockwire.cli.root import app
from lockwire.cli.tls_names import check_tls_names
from lockwire.config import LimitSettings, ListenerLimitSettings, Settings, load
from lockwire.config.documentation import markdown

ROOT = Path(__file__).parents[1]
GENERATED = ("configuration.md", "conformance.md")
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "bench" / "README.md", *(ROOT / "docs").rglob("*.md")]
)
WRITTEN = [page for page in PAGES if page.name not in GENERATED]
REGISTRIES = re.compile(
    r"pypi\.|pythonhosted|npmjs|registry\.|crates\.io|deb\.debian\.org|proxy\.golang", re.I
)
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language; "" for those without."""
    return [text for found, text in _FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """What may stand behind # in a link to a page."""
    found = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def commands(page: Path) -> Iterator[list[str]]:
    """Every `lockwire ...` command that a page shows, as words."""
    text = page.read_text(encoding="utf-8")
    in_blocks = [line for _, block in _FENCE.findall(text) for line in block.splitlines()]
    in_text = re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))
    for line in [*in_blocks, *in_text]:
        found = re.match(r"(?:\s|\$ |[A-Z_]+=\S+ )*(?:ExecStart=)?(?:\S*/)?lockwire( .*)?$", line)
        if found and not re.match(r" \d", found[1] or ""):
            words = shlex.split((found[1] or "").partition(" | ")[0], comments=True)
            yield words[: words.index("...")] if "..." in words else words


def parse(words: list[str]) -> None:
    """Parses a command as the program would, without running it. Raises what it would show as wrong usage."""
    # Some versions of typer bring a click of their own: hence no type of click's.
    command: Any = typer.main.get_command(app)
    context: Any = None
    while True:
        context = command.make_context(command.name or "lockwire", list(words), parent=context)
        if not hasattr(command, "get_command"):
            return
        _, command, words = command.resolve_command(
            context, [*getattr(context, "_protected_args", []), *context.args]
        )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        found = page if not path else page.parent / path
        if path.endswith("bench/RESULTS.md") or (page.parent.name == "bench" and path == "RESULTS.md"):
            continue  # `make bench` writes it
        assert found.exists(), f"{target} in {name_of(page)}"
        if anchor:
            assert anchor in anchors(found), f"{target} in {name_of(page)}"


def test_every_page_can_be_reached_from_the_index() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for target in re.findall(r"\]\(([^)#\s]+)", prose(page)):
            found = (page.parent / target).resolve()
            if found.exists():
                ahead.append(found)
    assert {name_of(page) for page in PAGES} <= {name_of(page) for page in reached}


def tables() -> list[tuple[str, str]]:
    return [(name_of(page), text) for page in PAGES for text in blocks(page, "toml")]


@pytest.mark.parametrize(
    ("page", "text"), tables(), ids=[f"{page}-{number}" for number, (page, _) in enumerate(tables())]
)
def test_every_configuration_loads_under_up(tmp_path: Path, page: str, text: str) -> None:
    for name in re.findall(r'^(?:\w*certificate|\w*key|client_ca|crl|file) = "(.+)"$', text, re.MULTILINE):
        (tmp_path / name).write_text("stands for a file of yours")
    (tmp_path / "lockwire.toml").write_text(text)
    load(tmp_path / "lockwire.toml", Settings.for_up(tmp_path / "data"), check_tls_names)


def test_the_listeners_of_the_example_are_those_of_the_status_below_it(tmp_path: Path) -> None:
    page = ROOT / "docs" / "listeners.md"
    (tmp_path / "lockwire.toml").write_text(blocks(page, "toml")[0])
    settings = load(tmp_path / "lockwire.toml", Settings.for_up(tmp_path / "data"))
    shown = next(text for text in blocks(page, "") if text.startswith("$ lockwire status"))
    rows = re.findall(r"^(\S+) +(?:tls|wss|unix) \S+ +\d+ +(\w+(?:, \w+)*)", shown, re.MULTILINE)
    assert rows == [(item.name, ", ".join(item.authentication)) for item in settings.listeners]


def shown_commands() -> list[tuple[str, list[str]]]:
    return [(name_of(page), words) for page in WRITTEN for words in commands(page)]


def test_pages_show_commands() -> None:
    assert len(shown_commands()) > 30


@pytest.mark.parametrize(
    ("page", "words"),
    shown_commands(),
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_every_command_shown_exists_with_these_options(page: str, words: list[str]) -> None:
    if words and "--version" not in words and "--help" not in words:  # they end while being parsed
        parse(words)


def test_a_command_that_does_not_exist_is_found() -> None:
    with pytest.raises(Exception, match="No such command 'remove'"):
        parse(["device", "remove", "x"])
    with pytest.raises(Exception, match="No such option"):
        parse(["up", "--port", "1"])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_package_registry(page: Path) -> None:
    assert not REGISTRIES.search(page.read_text(encoding="utf-8"))


class TestLimits:
    """docs/limits.md beside the model and the counters."""

    page = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)`(?: \(under `\[tls\]`\))?( \*)? \| `[^`]+` \|", page, re.MULTILINE))

    def test_has_every_limit_and_no_other(self) -> None:
        assert set(self.rows) - {"handshake_timeout"} == set(LimitSettings.model_fields)

    def test_marks_those_that_a_listener_may_have(self) -> None:
        marked = {name for name, mark in self.rows.items() if mark}
        assert marked - {"handshake_timeout"} == set(ListenerLimitSettings.model_fields)

    def test_has_the_defaults(self) -> None:
        generated = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| `([^`]+)` \|", markdown(), re.MULTILINE))
        written = re.findall(r"^\| `(\w+)`[^|]*\| `([^`]+)` \|", self.page, re.MULTILINE)
        assert dict(written) == {name: generated[name] for name, _ in written}

    def test_names_counters_that_there_are(self) -> None:
        column = re.findall(r"^\| `\w+`.*\| ([^|]*) \|$", self.page, re.MULTILINE)
        named = {name for cell in column for name in re.findall(r"`(\w+)`", cell)}
        assert named
        assert named <= set(Counters().snapshot())
