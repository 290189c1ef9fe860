"""`lockwire access`: who may publish, subscribe to and receive what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lockwire.cli.failures import FAILED
from lockwire.cli.options import DataOption, group, locate
from lockwire.cli.reach import ask
from lockwire.cli.rules import (
    NoteOption,
    QosOption,
    RegexpOption,
    RetainOption,
    RightsArgument,
    TopicArgument,
    add_rule,
    print_notes,
    print_rules,
    rule_text,
)
from lockwire.cli.table import print_table
from lockwire.cli.user import read_import, write_export

app = group("Permissions: rules, groups, and what they come to.")

WhoArgument = Annotated[
    str,
    typer.Argument(
        metavar="WHO",
        help="everyone (who proved who they are), anonymous, user:NAME, group:NAME or tag:NAME.",
        show_default=False,
    ),
]


@app.command(epilog="Example: lockwire access rules --who group:pumps")
def rules(
    who: Annotated[
        str | None, typer.Option(metavar="WHO", help="Only those for WHO, as user:jo.", show_default=False)
    ] = None,
    data: DataOption = None,
) -> None:
    """List the rules with their numbers. One that denies beats all others; what none allows is refused."""
    found = ask(locate(data), "access.rules", who=who)
    assert isinstance(found, list)
    print_rules(found)


@app.command(epilog="Example: lockwire access allow group:pumps publish 'pump/{client_id}/#'")
def allow(
    who: WhoArgument,
    rights: RightsArgument,
    topic: TopicArgument,
    qos: QosOption = None,
    retain: RetainOption = None,
    note: NoteOption = None,
    regexp: RegexpOption = False,
    data: DataOption = None,
) -> None:
    """Add a rule that allows something; it counts at once."""
    add_rule(locate(data), "allow", who, rights, topic, qos=qos, retain=retain, note=note, regexp=regexp)


@app.command(epilog="Example: lockwire access deny everyone publish 'plant/+/setpoint'")
def deny(
    who: WhoArgument,
    rights: RightsArgument,
    topic: TopicArgument,
    qos: QosOption = None,
    retain: RetainOption = None,
    note: NoteOption = None,
    regexp: RegexpOption = False,
    data: DataOption = None,
) -> None:
    """Add a rule that forbids something, whatever allows it; it counts at once."""
    add_rule(locate(data), "deny", who, rights, topic, qos=qos, retain=retain, note=note, regexp=regexp)


@app.command(epilog="Example: lockwire access remove 7")
def remove(
    ids: Annotated[
        list[int],
        typer.Argument(metavar="ID", help="The numbers of rules, as listed.", show_default=False),
    ],
    data: DataOption = None,
) -> None:
    """Remove rules by their numbers: all of them, or none where one is not there."""
    removed = ask(locate(data), "access.remove", ids=ids)
    assert isinstance(removed, list)
    for rule in removed:
        print(f"Removed rule {rule['id']}: {rule_text(rule)}")


@app.command(epilog="Example: lockwire access check pump-7 publish pump/7/state --qos 1")
def check(
    user: Annotated[
        str,
        typer.Argument(
            metavar="USER", help="A user, a device, a PSK identity; anonymous.", show_default=False
        ),
    ],
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="publish, subscribe or receive.", show_default=False)
    ],
    topic: Annotated[
        str,
        typer.Argument(metavar="TOPIC", help="A topic; to subscribe, a topic filter.", show_default=False),
    ],
    client_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The client identifier. Default: USER.", show_default=False),
    ] = None,
    qos: Annotated[int, typer.Option("--qos", metavar="N", min=0, max=2, help="The QoS.")] = 0,
    retain: Annotated[bool, typer.Option("--retain", help="A message with RETAIN.")] = False,
    common_name: Annotated[
        str | None,
        typer.Option("--cn", metavar="NAME", help="The common name of its certificate.", show_default=False),
    ] = None,
    device: Annotated[
        bool, typer.Option("--device", help="It connects with a certificate, though there is such a user.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Say whether a client may do something, and which rule decides. Exit status 0: it may; 1: it may not."""
    answer = ask(
        locate(data),
        "access.check",
        user=user,
        action=action,
        topic=topic,
        client_id=client_id,
        qos=qos,
        retain=retain,
        cn=common_name,
        device=device,
    )
    assert isinstance(answer, dict)
    print(answer["text"])
    if answer["rule"] is not None:
        print(f"That rule is number {answer['rule']}.")
    print_notes(answer)
    if not answer["allowed"]:
        raise typer.Exit(FAILED)


@app.command("export", epilog="Example: lockwire access export rules.json")
def export_rules(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Where to. Default: standard output.", show_default=False),
    ] = None,
    data: DataOption = None,
) -> None:
    """Write the rules as JSON."""
    write_export(file, ask(locate(data), "access.export"))


@app.command("import", epilog="Example: lockwire access import --replace rules.json")
def import_rules(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What lockwire access export wrote.", show_default=False)
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Remove all other rules.")] = False,
    data: DataOption = None,
) -> None:
    """Add the rules of a file: all of them, or none where something is wrong."""
    answer = ask(locate(data), "access.import", file=str(file), text=read_import(file), replace=replace)
    assert isinstance(answer, dict)
    print(f"Added {answer['added']} rules, removed {answer['removed']}.")


@app.command(epilog="Example: lockwire access groups")
def groups(data: DataOption = None) -> None:
    """List the groups, who is in them and how many rules they have."""
    found = ask(locate(data), "access.groups")
    assert isinstance(found, list)
    rows = [(each["group"], ", ".join(each["members"]), str(each["rules"])) for each in found]
    print_table(("group", "members", "rules"), rows)
