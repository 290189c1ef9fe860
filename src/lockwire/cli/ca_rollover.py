"""`lockwire ca rollover`: a new authority in the place of the old one, with an overlap."""

from __future__ import annotations

from typing import Annotated

import typer

from lockwire.cli.answers import answer_of
from lockwire.cli.ca import KeyOption, app, print_changed, root_key_arguments
from lockwire.cli.file_options import JsonOption, bad_input, print_json
from lockwire.cli.options import DataOption, command_line, group, locate
from lockwire.cli.passphrase import (
    EncryptRootOption,
    PassphraseFileOption,
    RootKeyOption,
    RootKeyOutOption,
)
from lockwire.cli.reach import ask
from lockwire.pki.keys import KeyKind

rollover = group("A new authority in the place of the old one, with an overlap in which both are trusted.")
app.add_typer(rollover, name="rollover", epilog="Example: lockwire ca rollover status")


@rollover.command(epilog="Example: lockwire ca rollover start --root-key /media/stick/root.key")
def start(
    key: KeyOption = KeyKind.P256.value,
    root_key: RootKeyOption = None,
    encrypt_root: EncryptRootOption = False,
    passphrase_file: PassphraseFileOption = None,
    root_key_out: RootKeyOutOption = None,
    data: DataOption = None,
) -> None:
    """Make the next authority. Both are trusted from now on; the present one goes on issuing."""
    folder = locate(data)
    with bad_input():
        keys = root_key_arguments(folder, root_key, encrypt_root, passphrase_file, root_key_out)
    print_changed(answer_of(ask(folder, "ca.rollover.start", key=key, **keys)))
    print(f"\nDevices that get {folder.ca / 'ca.pem'} from now on trust both roots. When enough of them do:")
    print(f"  {command_line('ca', 'rollover', 'switch', data=data)}")


@rollover.command(epilog="Example: lockwire ca rollover status --json")
def status(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show where a change of authorities is, and which clients still have certificates of the old one."""
    answer = answer_of(ask(locate(data), "ca.rollover.status"))
    if as_json:
        print_json(answer.values)
        return
    phase, left = answer.text("phase"), answer.objects("left")
    print(_PHASES.get(phase, phase))
    if left:
        print(f"Clients with certificates of the old authority: {len(left)}")
        for one in left:
            print(f"  {one.text('name')} (serial {one.text('serial')})")
    elif phase != "none":
        print("No client that the ledger knows has a certificate of the old authority.")


@rollover.command(epilog="Example: lockwire ca rollover switch")
def switch(data: DataOption = None) -> None:
    """Make the next authority the one that issues; the server presents a certificate of it."""
    print_changed(answer_of(ask(locate(data), "ca.rollover.switch")))
    print("\nRenew the clients' certificates (lockwire cert renew). When none of the old authority is left:")
    print(f"  {command_line('ca', 'rollover', 'finish', data=data)}")


@rollover.command(epilog="Example: lockwire ca rollover finish")
def finish(
    force: Annotated[
        bool, typer.Option("--force", help="Even if clients still have certificates of the old authority.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Drop the old authority: what it issued counts no more, and there is no way back."""
    print_changed(answer_of(ask(locate(data), "ca.rollover.finish", force=force)))


_PHASES = {
    "none": "No change of authorities is under way.",
    "started": "Started: both roots are trusted, the old authority issues.",
    "switched": "Switched: both roots are trusted, the new authority issues.",
}
