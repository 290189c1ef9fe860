"""Plug-ins are found by their names; whatever is wrong with one is said with its name and the option."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lockwire.access.plugins.errors import PluginError
from lockwire.access.plugins.loading import installed, load_plugin
from lockwire.access.plugins.options import Options, Value
from lockwire.access.plugins.protocol import Plugin
from lockwire.config import load

SOURCE = """
from lockwire.access.plugins.protocol import Options, Plugin

class Good(Plugin):
    def __init__(self, options: Options) -> None:
        self.word = options.text("word", "open")

class Bad(Plugin):
    def __init__(self, options: Options) -> None:
        raise RuntimeError("no database")

class Wrong(Plugin):
    def __init__(self, options: Options) -> None:
        raise options.wrong("colour", "it is mauve, expected green")

class Empty:
    def __init__(self, options: Options) -> None:
        pass
"""
ENTRIES = """[lockwire.authenticator]
good = tried_plugins:Good
bad = tried_plugins:Bad
wrong = tried_plugins:Wrong
empty = tried_plugins:Empty
number = tried_plugins:__doc__
gone = tried_plugins:Gone
missing = no_such_module:Any
sql = tried_plugins:Good
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of plug-ins that is installed as far as Python is concerned."""
    (tmp_path / "tried_plugins.py").write_text(SOURCE)
    information = tmp_path / "tried_plugins-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tried-plugins\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tried_plugins", raising=False)


def failure(name: str, **values: Value) -> str:
    """What is said when a plug-in cannot be loaded."""
    with pytest.raises(PluginError) as caught:
        load_plugin(name, values)
    assert caught.value.plugin == name
    return str(caught.value)


def test_a_plugin_is_made_with_its_options() -> None:
    plugin = load_plugin("good", {"word": "sesame"})
    assert isinstance(plugin, Plugin)
    assert vars(plugin) == {"word": "sesame"}


def test_an_unknown_name_lists_what_is_installed() -> None:
    assert {"good", "http", "sql"} <= set(installed())
    message = failure("goood")
    assert message.startswith("the plug-in 'goood': it is not installed here; there are: bad, ")
    assert "http" in message


def test_nobody_takes_the_name_of_a_plugin_that_comes_with_lockwire() -> None:
    assert "user_query" in failure("sql", url="sqlite://"), "it is the real one that complains"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bad", "the plug-in 'bad': it could not be started: RuntimeError: no database"),
        ("wrong", "[plugin.options] colour of the plug-in 'wrong': it is mauve, expected green"),
        ("number", "the plug-in 'number': tried_plugins:__doc__ is no class"),
        ("empty", "the plug-in 'empty': it has no method authenticate"),
        ("missing", "the plug-in 'missing': no_such_module:Any cannot be imported"),
        ("gone", "the plug-in 'gone': tried_plugins:Gone cannot be loaded: AttributeError"),
    ],
)
def test_what_cannot_be_loaded_says_why(name: str, said: str) -> None:
    assert failure(name).startswith(said)


def test_an_option_that_nobody_takes_is_a_mistake() -> None:
    assert failure("good", wrod="sesame") == (
        "[plugin.options] wrod of the plug-in 'good': it is not known, expected some of: word"
    )


def test_options_say_what_was_expected(tmp_path: Path) -> None:
    options = Options("tried", {"text": 1, "number": "x", "flag": 1, "file": str(tmp_path / "none")})
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: options.text("text"), "text of the plug-in 'tried': it is 1, expected text"),
        (lambda: options.text("absent"), "absent of the plug-in 'tried': it is missing, expected text"),
        (lambda: options.integer("number"), "it is 'x', expected a whole number from 0 to 2147483647"),
        (lambda: options.integer("text", most=0), "it is 1, expected a whole number from 0 to 0"),
        (lambda: options.flag("flag"), "it is 1, expected true or false"),
        (lambda: options.file("file"), "there is no file"),
    ]
    for take, said in cases:
        with pytest.raises(PluginError, match=r"expected|no file") as caught:
            take()
        assert said in str(caught.value)
    assert options.text("absent", "there") == "there"
    assert "number" in repr(options)
    assert "'x'" not in repr(options), "a value may be a secret"


def test_a_secret_comes_from_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("sesame\n")
    path.chmod(0o644)
    options = Options("tried", {"secret": str(path)})
    with pytest.raises(PluginError, match=r"others on this machine can read .* \(mode 0644\): chmod 600"):
        options.secret_file("secret")
    path.chmod(0o600)
    assert options.secret_file("secret") == "sesame"
    path.write_text(" \n")
    with pytest.raises(PluginError, match="is empty"):
        options.secret_file("secret")
    assert options.secret_file("other") is None


def test_a_relative_file_name_is_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text("{}")
    configuration = tmp_path / "lockwire.toml"
    configuration.write_text(
        '[[listener]]\nname = "hall"\ntransport = "tcp"\naddress = "127.0.0.1"\nport = 1883\n'
        'authentication = ["plugin"]\n'
        '[plugin]\nname = "good"\n[plugin.options]\nwords = "words.json"\nelsewhere = "/dev/null/x"\n'
    )
    settings = load(configuration).plugin
    options = Options(settings.name, settings.options, settings.folder)
    assert options.file("words") == tmp_path / "words.json"
    with pytest.raises(PluginError, match="there is no file '/dev/null/x'"):
        options.file("elsewhere")
