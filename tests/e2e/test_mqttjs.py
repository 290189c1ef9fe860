"""MQTT.js, as Node.js programs and (over WebSocket) browsers use it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.site import Channel, Site
from tests.support.peers import NODE_FOLDER, peer_path

pytestmark = pytest.mark.peer("mqtt.js")


def go(channel: Channel, topic: str, version: int, **options: Any) -> list[dict[str, Any]]:
    """Let it go through its steps; gives what it said."""
    scheme = {"ws": "ws", "wss": "wss"}.get(channel.name) or ("mqtts" if channel.tls else "mqtt")
    url = f"{scheme}://{channel.host}:{channel.port}/mqtt"
    if channel.tls:
        options.setdefault("ca", str(channel.files.ca))
    if channel.mutual:
        options |= {"cert": str(channel.files.certificate), "key": str(channel.files.key)}
    else:
        options = {"username": channel.username, "password": channel.password} | options
    asked = {"url": url, "topic": topic, "version": version, "options": options}
    done = subprocess.run(
        [peer_path("mqtt.js"), "peer.js", json.dumps(asked)],
        cwd=NODE_FOLDER,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    said: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert said, done.stderr
    return said


@pytest.mark.parametrize("version", [3, 4, 5])
def test_everything_a_client_does(channel: Channel, version: int, unique: str) -> None:
    steps = go(channel, unique, version)
    values: dict[str, Any] = {each["step"]: each["value"] for each in steps}
    assert "error" not in values, values
    assert values["connected"] == 0
    messages = [each["value"] for each in steps if each["step"] == "message"]
    assert [(each["topic"], each["qos"], each["payload"]) for each in messages] == [
        (f"{unique}/m/{qos}", qos, "payload") for qos in (0, 1, 2)
    ]
    assert (values["retained"]["payload"], values["retained"]["retain"]) == ("kept", True)
    assert values["big"] is True
    assert values["will"]["payload"] == "gone"
    assert values["later"]["payload"] == "waited"
    if version == 5:
        for message in messages:
            properties = message["properties"]
            assert properties["contentType"] == "text/plain"
            assert properties["responseTopic"] == "r"
            assert properties["userProperties"] == {"a": ["1", "2"]}


def test_a_wrong_password_is_refused(site: Site, unique: str) -> None:
    assert "error" in go(site.channel("wss"), unique, 5, password="wrong")[-1]["step"]


def test_an_unknown_authority_is_noticed_by_the_client(site: Site, unique: str) -> None:
    said = go(site.channel("tls13"), unique, 5, ca=str(site.device.certificate))
    assert "certificate" in said[-1]["value"]


def test_a_page_of_another_host_may_not_connect(site: Site, unique: str) -> None:
    said = go(site.channel("ws"), unique, 5, wsOptions={"origin": "https://elsewhere.example"})
    assert said[-1]["step"] == "error"
    assert "pages of 'https://elsewhere.example' may not connect here" in site.broker.log
