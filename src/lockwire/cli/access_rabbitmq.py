"""`lockwire access rabbitmq`: permissions as RabbitMQ has them, and what they come to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lockwire.cli.access import app
from lockwire.cli.failures import CommandError
from lockwire.cli.options import DataOption, locate
from lockwire.cli.reach import ask
from lockwire.cli.rules import print_notes
from lockwire.cli.table import print_table


def _expression(what: str) -> Any:
    return typer.Option(metavar="REGEXP", help=what, show_default=False)


@app.command(
    epilog="Example: lockwire access rabbitmq jo --write amq.topic --read . --topic-write '^iot\\\\.'"
)
def rabbitmq(
    user: Annotated[
        str | None,
        typer.Argument(metavar="USER", help="Whose. Default: everybody's are listed.", show_default=False),
    ] = None,
    configure: Annotated[
        str | None, _expression("Resources that it may make, as the queue of a client.")
    ] = None,
    write: Annotated[str | None, _expression("Resources that it may write to: amq.topic to publish.")] = None,
    read: Annotated[str | None, _expression("Resources that it may read: amq.topic to receive.")] = None,
    topic_write: Annotated[
        str | None, _expression("Topics, with . for /, that it may publish to. Default: all.")
    ] = None,
    topic_read: Annotated[
        str | None, _expression("Topics, with . for /, that it may receive. Default: all.")
    ] = None,
    client_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Show it for this client identifier. Default: USER.", show_default=False
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take all these permissions away.")] = False,
    data: DataOption = None,
) -> None:
    """Show or set configure, write and read permissions and topic permissions, as RabbitMQ has them.

    Regular expressions are found anywhere in a name: begin them with ^ and end them with $. Who has such
    permissions gets nothing from rules that allow everyone something.
    """
    given = {
        "configure": configure,
        "write": write,
        "read": read,
        "topic_write": topic_write,
        "topic_read": topic_read,
    }
    changes = remove or any(value is not None for value in given.values())
    if user is None:
        if changes or client_id is not None:
            raise CommandError("no USER", "Say whose permissions")
        _print_all(ask(locate(data), "rabbitmq.list"))
    elif changes:
        if remove and any(value is not None for value in given.values()):
            raise CommandError("--remove and an expression exclude each other")
        _print(ask(locate(data), "rabbitmq.change", name=user, remove=remove, **given))
    else:
        _print(ask(locate(data), "rabbitmq.show", name=user, client_id=client_id))


def _print_all(rows: object) -> None:
    assert isinstance(rows, list)
    columns = ("configure", "write", "read", "topic_write", "topic_read")
    print_table(
        ("user", *(column.replace("_", " ") for column in columns)),
        [(row["name"], *(_quoted(row[column]) for column in columns)) for row in rows],
    )


def _print(answer: object) -> None:
    assert isinstance(answer, dict)
    for field, value in answer["expressions"].items():
        if value is not None:
            print(f"{field.replace('_', ' '):<12}{_quoted(value)}")
    if not any(value is not None for value in answer["expressions"].values()):
        print(f"{answer['name']} has no permissions of RabbitMQ's kind: the rules decide.")
    elif not answer["rules"]:
        print("They allow nothing: --write and --read must admit amq.topic.")
    else:
        print("They amount to:")
        for rule in answer["rules"]:
            print(f"  {', '.join(rule['may'])}{_qos(rule)}: {rule['topics']}")
    print_notes(answer)


def _quoted(expression: str | None) -> str:
    """An expression as it was written: a backslash stays one."""
    return "" if expression is None else f"'{expression}'"


def _qos(rule: dict[str, Any]) -> str:
    return "" if len(rule["qos"]) == 3 else f" with QoS {', '.join(map(str, rule['qos']))}"
