"""The record of learning in the data folder, so that it goes on after a restart."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, Final

from lockwire.access.errors import AccessFileError
from lockwire.access.identity import METHODS, Identity
from lockwire.access.learning.recorder import Record, Recorder
from lockwire.access.learning.shapes import Shapes
from lockwire.mqtt.errors import MqttError
from lockwire.mqtt.topics import validate_topic_filter
from lockwire.pki.files import make_private_folder, write_private

VERSION: Final = 1
_KINDS: Final = {"published": 63, "subscribed": 7, "received": 1}


class Learning:
    """Whether it goes on, since when, and what was seen.

    path: the file. Reading raises AccessFileError where it is damaged, OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.running = False
        self.started = 0.0
        """A time of `time.time()`; 0.0: never."""
        self.recorder = Recorder()
        self._saved = 0
        self._lock = threading.Lock()
        if path.exists():
            self._read()

    def start(self, fresh: bool) -> None:
        """Begins, or goes on. fresh: what was seen before is forgotten. OSError where the disk refuses."""
        if fresh:
            self.recorder.clear()
        if fresh or not self.started:
            self.started = time.time()
        self.running = True
        self._write()

    def stop(self) -> None:
        """Ends; the record stays. OSError where the disk refuses."""
        self.running = False
        self._write()

    def save(self) -> None:
        """Writes what is new since the last time. OSError where the disk refuses."""
        if self.recorder.changes != self._saved:
            self._write()

    def _write(self) -> None:
        with self._lock:
            changes = self.recorder.changes
            document = {
                "version": VERSION,
                "running": self.running,
                "started": self.started,
                "records": [_fields(record) for record in self.recorder.snapshot()],
            }
            make_private_folder(self.path.parent)
            write_private(self.path, json.dumps(document, ensure_ascii=False).encode())
            self._saved = changes

    def _read(self) -> None:
        try:
            document = json.loads(self.path.read_bytes())
            if document["version"] != VERSION:
                raise self._damaged(f"it is of version {document['version']!r}")
            records = [_record(fields) for fields in document["records"]]
            self.running = bool(document["running"])
            self.started = float(document["started"])
        except (ValueError, KeyError, TypeError, AttributeError, MqttError, RecursionError) as error:
            raise self._damaged("it is damaged") from error
        self.recorder = Recorder(records)

    def _damaged(self, problem: str) -> AccessFileError:
        return AccessFileError(
            self.path, 0, problem, "what lockwire access learn wrote; delete it, and what was learned with it"
        )


def _fields(record: Record) -> dict[str, object]:
    identity = record.identity
    return {
        "name": identity.name,
        "method": identity.method,
        "administrator": identity.administrator,
        "common_name": identity.common_name,
        "groups": list(identity.groups),
        "client_id": record.client_id,
        **{kind: getattr(record, kind) for kind in _KINDS},
    }


def _record(fields: dict[str, Any]) -> Record:
    texts = [fields[name] for name in ("name", "method", "common_name", "client_id")] + fields["groups"]
    if not all(isinstance(text, str) for text in texts) or fields["method"] not in METHODS:
        raise ValueError("a record with something else than text")
    identity = Identity(
        fields["name"],
        fields["method"],
        bool(fields["administrator"]),
        fields["common_name"],
        groups=tuple(fields["groups"]),
    )
    shapes = {kind: _shapes(fields[kind], most) for kind, most in _KINDS.items()}
    return Record(identity, fields["client_id"], **shapes)


def _shapes(table: dict[str, Any], most: int) -> Shapes:
    for shape, bits in table.items():
        validate_topic_filter(shape)
        if type(bits) is not int or not 0 < bits <= most:
            raise ValueError("bits that cannot be")
    return table
