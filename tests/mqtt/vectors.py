"""Packets as bytes and what they mean: one table for decoder, encoder and fuzzer.

The bytes were written by hand from the tables of the two standards, not by the encoder.
"""

from __future__ import annotations

from lockwire.mqtt import packets
from lockwire.mqtt.packets import (
    Ack,
    Auth,
    Connack,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Suback,
    Unsuback,
    Unsubscribe,
)
from tests.mqtt.meaning import connect, properties, publish, request, subscribe, will


class Vector:
    """`data` of `version` means `packet`. `canonical` False: valid, but not what our encoder writes."""

    def __init__(
        self, name: str, version: int, sender: str, data: bytes, packet: Packet, canonical: bool = True
    ) -> None:
        self.name = f"v{version} {name}"
        self.version = version
        self.from_client = sender == "client"
        self.data = data
        self.packet = packet
        self.canonical = canonical


def short(first: int, *fields: bytes) -> bytes:
    """A packet below 128 bytes."""
    return bytes((first, sum(map(len, fields)))) + b"".join(fields)


def section(*found: bytes) -> bytes:
    """A property section below 128 bytes."""
    return bytes((sum(map(len, found)),)) + b"".join(found)


# fmt: off
VECTORS: list[Vector] = [
    # CONNECT
    Vector("CONNECT 3.1", 3, "client",
           b"\x10\x11\x00\x06MQIsdp\x03\x02\x00\x1e\x00\x03dev", connect(3, "dev", keep_alive=30)),
    Vector("CONNECT 3.1 from a bridge", 3, "client",
           b"\x10\x11\x00\x06MQIsdp\x83\x02\x00\x1e\x00\x03dev",
           connect(3, "dev", keep_alive=30, is_bridge=True)),
    Vector("CONNECT 3.1 with a user name flag, but no user name", 3, "client",
           b"\x10\x11\x00\x06MQIsdp\x03\xc2\x00\x1e\x00\x03dev", connect(3, "dev", keep_alive=30), False),
    Vector("CONNECT 3.1 with the unused bit", 3, "client",
           b"\x10\x11\x00\x06MQIsdp\x03\x03\x00\x1e\x00\x03dev", connect(3, "dev", keep_alive=30), False),
    Vector("CONNECT", 4, "client",
           b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03dev", connect(4, "dev", keep_alive=60)),
    Vector("CONNECT from a bridge", 4, "client",
           b"\x10\x0f\x00\x04MQTT\x84\x02\x00\x3c\x00\x03dev",
           connect(4, "dev", keep_alive=60, is_bridge=True)),
    Vector("CONNECT without a client identifier", 4, "client",
           b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00", connect(4, "")),
    Vector("CONNECT that resumes", 4, "client",
           b"\x10\x0f\x00\x04MQTT\x04\x00\xff\xff\x00\x03dev",
           connect(4, "dev", clean_start=False, keep_alive=65_535)),
    Vector("CONNECT with will, user name, password", 4, "client",
           short(0x10, b"\x00\x04MQTT\x04\xee\x00\x00\x00\x01c\x00\x03w/t\x00\x02\x00\xff",
                 b"\x00\x02\xc3\xbc\x00\x02\x00p"),
           connect(4, "c", username="ü", password=b"\x00p", will=will(b"w/t", b"\x00\xff", 1, True))),
    Vector("CONNECT with a user name only", 4, "client",
           b"\x10\x10\x00\x04MQTT\x04\x82\x00\x00\x00\x01c\x00\x01u", connect(4, "c", username="u")),
    Vector("CONNECT with a remaining length of four bytes", 4, "client",
           b"\x10\x8f\x80\x80\x00\x00\x04MQTT\x04\x02\x00\x3c\x00\x03dev",
           connect(4, "dev", keep_alive=60), False),
    Vector("CONNECT", 5, "client",
           b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03dev", connect(5, "dev", keep_alive=60)),
    Vector("CONNECT with a password only", 5, "client",
           b"\x10\x11\x00\x04MQTT\x05\x42\x00\x00\x00\x00\x01c\x00\x01p", connect(5, "c", password=b"p")),
    Vector("CONNECT with every property", 5, "client",
           short(0x10, b"\x00\x04MQTT\x05\x02\x00\x00", section(
               b"\x11\x00\x00\x0e\x10", b"\x15\x00\x05SCRAM", b"\x16\x00\x02\x00\x01", b"\x17\x00",
               b"\x19\x01", b"\x21\x00\x14", b"\x22\x00\x0a", b"\x26\x00\x01k\x00\x01v",
               b"\x27\x00\x01\x00\x00"), b"\x00\x01c"),
           connect(5, "c", properties=properties(
               session_expiry_interval=3_600, authentication_method="SCRAM", authentication_data=b"\x00\x01",
               request_problem_information=0, request_response_information=1, receive_maximum=20,
               topic_alias_maximum=10, user_properties=[("k", "v")], maximum_packet_size=65_536))),
    Vector("CONNECT with a will and its properties", 5, "client",
           short(0x10, b"\x00\x04MQTT\x05\x14\x00\x00\x00\x00\x01c", section(
               b"\x18\x00\x00\x00\x05", b"\x01\x01", b"\x03\x00\x01t", b"\x08\x00\x01r", b"\x09\x00\x01d",
               b"\x26\x00\x01a\x00\x01b", b"\x02\x00\x00\x00\x09"), b"\x00\x01w\x00\x02hi"),
           connect(5, "c", clean_start=False, will=will(
               b"w", b"hi", 2, delay_interval=5, message_expiry_interval=9,
               properties=b"\x01\x01\x03\x00\x01t\x08\x00\x01r\x09\x00\x01d\x26\x00\x01a\x00\x01b"))),
    # CONNACK
    Vector("CONNACK", 3, "server", b"\x20\x02\x00\x00", Connack(False, 0, Properties())),
    Vector("CONNACK with the unused byte", 3, "server", b"\x20\x02\x07\x00",
           Connack(False, 0, Properties()), False),
    Vector("CONNACK with a session", 4, "server", b"\x20\x02\x01\x00", Connack(True, 0, Properties())),
    Vector("CONNACK refused", 4, "server", b"\x20\x02\x00\x05", Connack(False, 5, Properties())),
    Vector("CONNACK", 5, "server", b"\x20\x03\x00\x00\x00", Connack(False, 0, Properties())),
    Vector("CONNACK refused with a reason", 5, "server", b"\x20\x09\x00\x87\x06\x1f\x00\x03no!",
           Connack(False, 0x87, properties(reason_string="no!"))),
    Vector("CONNACK with every property", 5, "server",
           short(0x20, b"\x01\x00", section(
               b"\x11\x00\x00\x00\x00", b"\x12\x00\x02id", b"\x13\x00\x3c", b"\x15\x00\x01m",
           b"\x16\x00\x01d",
               b"\x1a\x00\x01i", b"\x1c\x00\x04host", b"\x1f\x00\x02ok", b"\x21\xff\xff", b"\x22\x00\x00",
               b"\x24\x01", b"\x25\x00", b"\x26\x00\x01a\x00\x01b", b"\x26\x00\x01a\x00\x01c",
               b"\x27\xff\xff\xff\xff", b"\x28\x01", b"\x29\x00", b"\x2a\x01")),
           Connack(True, 0, properties(
               session_expiry_interval=0, assigned_client_identifier="id", server_keep_alive=60,
               authentication_method="m", authentication_data=b"d", response_information="i",
               server_reference="host", reason_string="ok", receive_maximum=65_535, topic_alias_maximum=0,
               maximum_qos=1, retain_available=0, user_properties=[("a", "b"), ("a", "c")],
               maximum_packet_size=0xFFFFFFFF, wildcard_subscription_available=1,
               subscription_identifier_available=0, shared_subscription_available=1))),
    # PUBLISH
    Vector("PUBLISH QoS 0", 3, "client", b"\x30\x07\x00\x03a/bhi", publish(b"a/b", b"hi")),
    Vector("PUBLISH QoS 0", 4, "client", b"\x30\x07\x00\x03a/bhi", publish(b"a/b", b"hi")),
    Vector("PUBLISH QoS 0 without a payload", 4, "client", b"\x30\x05\x00\x03a/b", publish(b"a/b", b"")),
    Vector("PUBLISH QoS 0 retained", 4, "server", b"\x31\x07\x00\x03a/bhi", publish(b"a/b", b"hi", 1)),
    Vector("PUBLISH QoS 1", 4, "client", b"\x32\x09\x00\x03a/b\x00\x0ahi", publish(b"a/b", b"hi", 2, 10)),
    Vector("PUBLISH QoS 1 again", 4, "client", b"\x3a\x09\x00\x03a/b\xff\xffhi", publish(b"a/b", b"hi",
           10, 65_535)),
    Vector("PUBLISH QoS 2", 4, "client", b"\x34\x09\x00\x03a/b\x01\x02hi", publish(b"a/b", b"hi", 4, 258)),
    Vector("PUBLISH QoS 2 again, retained", 4, "server", b"\x3d\x07\x00\x03a/b\x01\x02",
           publish(b"a/b", b"", 13, 258)),
    Vector("PUBLISH with a remaining length of two bytes", 4, "client",
           b"\x30\x80\x01\x00\x03a/b" + 123 * b"x", publish(b"a/b", 123 * b"x")),
    Vector("PUBLISH with a remaining length of three bytes", 4, "client",
           b"\x30\x80\x80\x01\x00\x03a/b" + 16_379 * b"x", publish(b"a/b", 16_379 * b"x")),
    Vector("PUBLISH with a remaining length longer than needed", 4, "client",
           b"\x30\x87\x80\x00\x00\x03a/bhi", publish(b"a/b", b"hi"), False),
    Vector("PUBLISH QoS 0", 5, "client", b"\x30\x08\x00\x03a/b\x00hi", publish(b"a/b", b"hi")),
    Vector("PUBLISH QoS 0 without a payload", 5, "client", b"\x30\x06\x00\x03a/b\x00", publish(b"a/b", b"")),
    Vector("PUBLISH QoS 1", 5, "client", b"\x32\x0a\x00\x03a/b\x00\x0a\x00hi", publish(b"a/b", b"hi", 2, 10)),
    Vector("PUBLISH QoS 2 again", 5, "server", b"\x3c\x0a\x00\x03a/b\x00\x0a\x00hi", publish(b"a/b", b"hi",
           12, 10)),
    Vector("PUBLISH with what is forwarded", 5, "client",
           short(0x30, b"\x00\x03a/b", section(
               b"\x01\x01", b"\x26\x00\x01k\x00\x01v", b"\x08\x00\x03r/t", b"\x09\x00\x02\x00\xff",
               b"\x03\x00\x01j", b"\x26\x00\x01k\x00\x01w"), b"hi"),
           publish(b"a/b", b"hi", properties=(
               b"\x01\x01\x26\x00\x01k\x00\x01v\x08\x00\x03r/t\x09\x00\x02\x00\xff\x03\x00\x01j\x26\x00\x01k\x00\x01w"))),
    Vector("PUBLISH with a message expiry interval", 5, "client",
           b"\x30\x0d\x00\x03a/b\x05\x02\x00\x00\x00\x3chi",
           publish(b"a/b", b"hi", message_expiry_interval=60)),
    Vector("PUBLISH with an alias", 5, "client", b"\x30\x0b\x00\x03a/b\x03\x23\x00\x07hi",
           publish(b"a/b", b"hi", topic_alias=7)),
    *(Vector(f"PUBLISH with an alias behind property 0x{found[0]:02x}", 5, "client",
             short(0x30, b"\x00\x03a/b", section(found, b"\x23\x00\x07"), b"hi"),
             publish(b"a/b", b"hi", properties=found, topic_alias=7))
      for found in (b"\x01\x01", b"\x03\x00\x01t", b"\x08\x00\x01r", b"\x09\x00\x01d")),
    Vector("PUBLISH with an alias only", 5, "client", b"\x32\x0a\x00\x00\x00\x01\x03\x23\x00\x07hi",
           publish(b"", b"hi", 2, 1, topic_alias=7)),
    Vector("PUBLISH with forwarded properties between others", 5, "client",
           short(0x30, b"\x00\x03a/b", section(
               b"\x01\x01", b"\x02\x00\x00\x00\x3c", b"\x26\x00\x01k\x00\x01v", b"\x23\x00\x07",
               b"\x09\x00\x02xy"), b"hi"),
           publish(b"a/b", b"hi", message_expiry_interval=60, topic_alias=7,
                   properties=b"\x01\x01\x26\x00\x01k\x00\x01v\x09\x00\x02xy"), False),
    Vector("PUBLISH with subscription identifiers", 5, "server",
           b"\x30\x0f\x00\x03a/b\x07\x0b\x01\x0b\xff\xff\xff\x7fhi",
           publish(b"a/b", b"hi", subscription_identifiers=[1, 268_435_455])),
    Vector("PUBLISH of what is not UTF-8 and says that it is", 5, "client",
           b"\x30\x09\x00\x03a/b\x02\x01\x01\xff", publish(b"a/b", b"\xff", properties=b"\x01\x01")),
    # PUBACK, PUBREC, PUBREL, PUBCOMP
    *(Vector(f"{name} of success", version, sender, bytes((first, 2, 0x12, 0x34)),
             Ack(first >> 4, 0x1234, 0, None))
      for name, first in (("PUBACK", 0x40), ("PUBREC", 0x50), ("PUBREL", 0x62), ("PUBCOMP", 0x70))
      for version in (3, 4, 5) for sender in ("client", "server")),
    Vector("PUBREL with DUP", 3, "client", b"\x6a\x02\x00\x01", Ack(packets.PUBREL, 1, 0, None), False),
    Vector("PUBACK with a reason", 5, "client", b"\x40\x03\x00\x01\x10", Ack(packets.PUBACK, 1, 0x10, None)),
    Vector("PUBACK with an empty property section", 5, "client", b"\x40\x04\x00\x01\x00\x00",
           Ack(packets.PUBACK, 1, 0, Properties())),
    Vector("PUBREC with reason and reason string", 5, "server", b"\x50\x09\x00\x01\x97\x05\x1f\x00\x02no",
           Ack(packets.PUBREC, 1, 0x97, properties(reason_string="no"))),
    Vector("PUBREL with a reason", 5, "client", b"\x62\x03\x00\x01\x92", Ack(packets.PUBREL, 1, 0x92, None)),
    Vector("PUBCOMP with a user property", 5, "client", b"\x70\x0b\x00\x01\x92\x07\x26\x00\x01a\x00\x01b",
           Ack(packets.PUBCOMP, 1, 0x92, properties(user_properties=[("a", "b")]))),
    # SUBSCRIBE, SUBACK
    Vector("SUBSCRIBE", 3, "client", b"\x82\x08\x00\x01\x00\x03a/+\x01", subscribe(1, request("a/+", 1))),
    Vector("SUBSCRIBE with DUP", 3, "client", b"\x8a\x08\x00\x01\x00\x03a/+\x01",
           subscribe(1, request("a/+", 1)), False),
    Vector("SUBSCRIBE", 4, "client", b"\x82\x0c\x00\x0a\x00\x03a/b\x01\x00\x01#\x02",
           subscribe(10, request("a/b", 1), request("#", 2))),
    Vector("SUBSCRIBE", 5, "client", b"\x82\x09\x00\x0a\x00\x00\x03a/b\x2e",
           subscribe(10, request("a/b", 2, True, True, 2), properties=Properties())),
    Vector("SUBSCRIBE shared", 5, "client", b"\x82\x10\x00\x0a\x00\x00\x0a$share/g/#\x01",
           subscribe(10, request("$share/g/#", 1), properties=Properties())),
    Vector("SUBSCRIBE with identifier and user property", 5, "client",
           b"\x82\x13\x00\x0a\x0a\x0b\x80\x01\x26\x00\x01a\x00\x01b\x00\x03a/b\x00",
           subscribe(10, request("a/b"), identifier=128, properties=properties(
               subscription_identifiers=[128], user_properties=[("a", "b")]))),
    Vector("SUBSCRIBE of a bad filter, which SUBACK answers", 5, "client",
           b"\x82\x08\x00\x01\x00\x00\x02a#\x00", subscribe(1, request("a#"), properties=Properties())),
    Vector("SUBACK", 3, "server", b"\x90\x03\x00\x01\x02", Suback(1, [2], None)),
    Vector("SUBACK", 4, "server", b"\x90\x06\x00\x01\x00\x01\x02\x80", Suback(1, [0, 1, 2, 0x80], None)),
    Vector("SUBACK", 5, "server", b"\x90\x05\x00\x01\x00\x01\x87", Suback(1, [1, 0x87], Properties())),
    Vector("SUBACK with a reason string", 5, "server", b"\x90\x08\x00\x01\x04\x1f\x00\x01n\x80",
           Suback(1, [0x80], properties(reason_string="n"))),
    # UNSUBSCRIBE, UNSUBACK
    Vector("UNSUBSCRIBE", 3, "client", b"\xa2\x07\x00\x01\x00\x03a/b", Unsubscribe(1, ["a/b"], None)),
    Vector("UNSUBSCRIBE", 4, "client", b"\xa2\x0a\x00\x01\x00\x03a/b\x00\x01#",
           Unsubscribe(1, ["a/b", "#"], None)),
    Vector("UNSUBSCRIBE", 5, "client", b"\xa2\x08\x00\x01\x00\x00\x03a/b",
           Unsubscribe(1, ["a/b"], Properties())),
    Vector("UNSUBSCRIBE with a user property", 5, "client",
           b"\xa2\x0f\x00\x01\x07\x26\x00\x01a\x00\x01b\x00\x03a/b",
           Unsubscribe(1, ["a/b"], properties(user_properties=[("a", "b")]))),
    Vector("UNSUBSCRIBE of a bad filter, which UNSUBACK answers", 5, "client",
           b"\xa2\x07\x00\x01\x00\x00\x02a#", Unsubscribe(1, ["a#"], Properties())),
    Vector("UNSUBACK", 3, "server", b"\xb0\x02\x00\x01", Unsuback(1, [], None)),
    Vector("UNSUBACK", 4, "server", b"\xb0\x02\x00\x01", Unsuback(1, [], None)),
    Vector("UNSUBACK", 5, "server", b"\xb0\x05\x00\x01\x00\x00\x11", Unsuback(1, [0, 0x11], Properties())),
    # PINGREQ, PINGRESP
    *(Vector("PINGREQ", version, "client", b"\xc0\x00", Pingreq()) for version in (3, 4, 5)),
    *(Vector("PINGRESP", version, "server", b"\xd0\x00", Pingresp()) for version in (3, 4, 5)),
    # DISCONNECT
    *(Vector("DISCONNECT", version, "client", b"\xe0\x00", Disconnect(0, None)) for version in (3, 4, 5)),
    Vector("DISCONNECT with will", 5, "client", b"\xe0\x01\x04", Disconnect(4, None)),
    Vector("DISCONNECT with a session expiry interval", 5, "client",
           b"\xe0\x07\x00\x05\x11\x00\x00\x00\x0a", Disconnect(0, properties(session_expiry_interval=10))),
    Vector("DISCONNECT", 5, "server", b"\xe0\x00", Disconnect(0, None)),
    Vector("DISCONNECT that moves", 5, "server", b"\xe0\x0d\x9d\x0b\x1c\x00\x01h\x1f\x00\x04gone",
           Disconnect(0x9D, properties(server_reference="h", reason_string="gone"))),
    # AUTH
    Vector("AUTH", 5, "client", b"\xf0\x0a\x18\x08\x15\x00\x01m\x16\x00\x01d",
           Auth(0x18, properties(authentication_method="m", authentication_data=b"d"))),
    Vector("AUTH again", 5, "client", b"\xf0\x06\x19\x04\x15\x00\x01m",
           Auth(0x19, properties(authentication_method="m"))),
    Vector("AUTH of success", 5, "server", b"\xf0\x00", Auth(0, None)),
    Vector("AUTH goes on", 5, "server", b"\xf0\x06\x18\x04\x15\x00\x01m",
           Auth(0x18, properties(authentication_method="m"))),
]
# fmt: on
