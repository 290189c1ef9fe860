"""Packets that must be refused, each with the reason code: one table for decoder and fuzzer."""

# ruff: noqa: E501 (a table)

from __future__ import annotations

from tests.mqtt.vectors import section, short

MALFORMED = 0x81
PROTOCOL = 0x82
VERSION = 0x84
FILTER = 0x8F
TOPIC = 0x90
ALIAS = 0x94


class Bad:
    """`data` of `version` from `sender` is refused with `reason`; `version` 0: nothing came before it."""

    def __init__(self, name: str, version: int, sender: str, reason: int, data: bytes) -> None:
        self.name = f"v{version} {sender}: {name}"
        self.version = version
        self.from_client = sender == "client"
        self.reason = reason
        self.data = data


CONNECT4 = b"\x00\x04MQTT\x04"
CONNECT5 = b"\x00\x04MQTT\x05"
USER = b"\x26\x00\x01a\x00\x01b"


def connect5(*found: bytes, flags: int = 2, payload: bytes = b"\x00\x01c") -> bytes:
    return short(0x10, CONNECT5, bytes((flags, 0, 0)), section(*found), payload)


def will5(*found: bytes) -> bytes:
    return connect5(flags=6, payload=b"\x00\x01c" + section(*found) + b"\x00\x01w\x00\x00")


def connack5(*found: bytes) -> bytes:
    return short(0x20, b"\x00\x00", section(*found))


def publish5(*found: bytes) -> bytes:
    return short(0x30, b"\x00\x03a/b", section(*found), b"hi")


def subscribe5(options: int, *found: bytes, topic_filter: bytes = b"a/b") -> bytes:
    topic = len(topic_filter).to_bytes(2, "big") + topic_filter
    return short(0x82, b"\x00\x01", section(*found), topic, bytes((options,)))


def subscribe4(topic_filter: bytes, options: int = 0) -> bytes:
    return short(0x82, b"\x00\x01", len(topic_filter).to_bytes(2, "big"), topic_filter, bytes((options,)))


# fmt: off
BAD: list[Bad] = [
    # Fixed header (section 2.1)
    Bad("type 0", 4, "client", MALFORMED, b"\x00\x00"),
    Bad("type 15", 3, "client", MALFORMED, b"\xf0\x00"),
    Bad("type 15", 4, "client", MALFORMED, b"\xf0\x00"),
    Bad("five bytes of remaining length", 4, "client", MALFORMED, b"\x30\xff\xff\xff\xff\x01"),
    Bad("remaining length longer than needed, PUBLISH", 5, "client", MALFORMED, b"\x30\x88\x00\x00\x03a/b\x00hi"),
    Bad("remaining length longer than needed, PUBACK", 5, "client", MALFORMED, b"\x40\x82\x00\x00\x01"),
    Bad("remaining length longer than needed, PINGREQ", 5, "client", MALFORMED, b"\xc0\x80\x00"),
    Bad("remaining length longer than needed, CONNECT", 0, "client", MALFORMED,
        b"\x10\x8d\x00" + CONNECT5 + b"\x02\x00\x00\x00\x00\x00"),
    Bad("larger than allowed", 4, "client", 0x95, b"\x30\x81\x80\x80\x01"),
    *(Bad(f"flags {first & 15} of type {first >> 4}", version, "client", MALFORMED, short(first, body))
      for version in (4, 5)
      for first, body in ((0x41, b"\0\1"), (0x52, b"\0\1"), (0x60, b"\0\1"), (0x63, b"\0\1"), (0x78, b"\0\1"),
                          (0x80, b"\0\1\0\1a\0"), (0x8A, b"\0\1\0\1a\0"), (0xA0, b"\0\1\0\1a"), (0xC1, b""), (0xE2, b""))),
    Bad("flags of CONNECT (a TLS ClientHello)", 0, "client", MALFORMED, b"\x16\x03\x01\x02\x00\x01" + bytes(512)),
    Bad("flags of CONNACK", 4, "server", MALFORMED, b"\x21\x02\x00\x00"),
    Bad("flags of AUTH", 5, "client", MALFORMED, b"\xf1\x06\x18\x04\x15\x00\x01m"),
    # Who may send what, and when
    *(Bad(f"type {first >> 4} before CONNECT", 0, "client", PROTOCOL, short(first, body))
      for first, body in ((0x30, b"\0\1t\0"), (0x40, b"\0\1"), (0x62, b"\0\1"), (0x82, b"\0\1\0\1a\0"), (0xC0, b""),
                          (0xE0, b""), (0xF0, b"\x18\x04\x15\x00\x01m"))),
    Bad("HTTP", 0, "client", PROTOCOL, b"GET / HTTP/1.0\r\n\r\n"),
    Bad("the begin of a TLS record", 0, "client", MALFORMED, b"\x16"),
    *(Bad("a second CONNECT", version, "client", PROTOCOL, short(0x10, CONNECT4 + b"\x02\x00\x00\x00\x00"))
      for version in (3, 4, 5)),
    *(Bad(f"type {first >> 4} from a client", version, "client", PROTOCOL, short(first, b"\0\1\0"))
      for version in (4, 5) for first in (0x20, 0x90, 0xB0, 0xD0)),
    *(Bad(f"type {first >> 4} from a server", version, "server", PROTOCOL, short(first, b"\0\1"))
      for version in (4, 5) for first in (0x10, 0x82, 0xA2, 0xC0)),
    Bad("DISCONNECT from a server", 4, "server", PROTOCOL, b"\xe0\x00"),
    # CONNECT (section 3.1)
    Bad("wrong name", 0, "client", VERSION, short(0x10, b"\x00\x04MQTX\x04\x02\x00\x00\x00\x00")),
    Bad("name in lower case", 0, "client", VERSION, short(0x10, b"\x00\x04mqtt\x04\x02\x00\x00\x00\x00")),
    Bad("level 3 by the new name", 0, "client", VERSION, short(0x10, b"\x00\x04MQTT\x03\x02\x00\x00\x00\x00")),
    Bad("level 6", 0, "client", VERSION, short(0x10, b"\x00\x04MQTT\x06\x02\x00\x00\x00\x00")),
    Bad("level 0", 0, "client", VERSION, short(0x10, b"\x00\x04MQTT\x00\x02\x00\x00\x00\x00")),
    Bad("level 133", 0, "client", VERSION, short(0x10, b"\x00\x04MQTT\x85\x02\x00\x00\x00\x00\x00")),
    Bad("level 4 by the old name", 0, "client", VERSION, short(0x10, b"\x00\x06MQIsdp\x04\x02\x00\x00\x00\x00")),
    Bad("nothing", 0, "client", MALFORMED, b"\x10\x00"),
    Bad("name only", 0, "client", MALFORMED, b"\x10\x06\x00\x04MQTT"),
    Bad("no client identifier", 0, "client", MALFORMED, short(0x10, CONNECT4, b"\x02\x00\x00")),
    Bad("reserved flag, 3.1.1", 0, "client", MALFORMED, short(0x10, CONNECT4, b"\x03\x00\x00\x00\x00")),
    Bad("reserved flag, 5", 0, "client", MALFORMED, connect5(flags=3)),
    Bad("will QoS 3", 0, "client", MALFORMED, short(0x10, CONNECT4, b"\x1e\x00\x00\x00\x00\x00\x01w\x00\x00")),
    Bad("will QoS without a will", 0, "client", MALFORMED, short(0x10, CONNECT4, b"\x0a\x00\x00\x00\x00")),
    Bad("will retain without a will", 0, "client", MALFORMED, short(0x10, CONNECT4, b"\x22\x00\x00\x00\x00")),
    Bad("will retain without a will, 5", 0, "client", MALFORMED, connect5(flags=0x22)),
    Bad("will flag without a will", 0, "client", MALFORMED, short(0x10, CONNECT4, b"\x06\x00\x00\x00\x00")),
    Bad("empty will topic", 0, "client", TOPIC, short(0x10, CONNECT4, b"\x06\x00\x00\x00\x00\x00\x00\x00\x00")),
    Bad("will topic with a wildcard", 0, "client", TOPIC,
        short(0x10, CONNECT4, b"\x06\x00\x00\x00\x00\x00\x01#\x00\x00")),
    Bad("password without a user name", 0, "client", MALFORMED,
        short(0x10, CONNECT4, b"\x42\x00\x00\x00\x00\x00\x01p")),
    Bad("password without a user name, 3.1", 0, "client", MALFORMED,
        short(0x10, b"\x00\x06MQIsdp\x03\x42\x00\x00\x00\x01c\x00\x01p")),
    Bad("user name flag without a user name", 0, "client", MALFORMED,
        short(0x10, CONNECT4, b"\x82\x00\x00\x00\x00")),
    Bad("trailing bytes", 0, "client", MALFORMED, short(0x10, CONNECT4, b"\x02\x00\x00\x00\x00\x00")),
    Bad("trailing bytes, 5", 0, "client", MALFORMED, connect5(payload=b"\x00\x01cx")),
    Bad("client identifier with U+0000", 0, "client", MALFORMED,
        short(0x10, CONNECT4, b"\x02\x00\x00\x00\x02a\x00")),
    Bad("client identifier with a surrogate", 0, "client", MALFORMED,
        short(0x10, CONNECT4, b"\x02\x00\x00\x00\x03\xed\xa0\x80")),
    Bad("client identifier overlong", 0, "client", MALFORMED, short(0x10, CONNECT4, b"\x02\x00\x00\x00\x02\xc0\xaf")),
    Bad("user name not UTF-8", 0, "client", MALFORMED,
        short(0x10, CONNECT4, b"\x82\x00\x00\x00\x00\x00\x02\xff\xfe")),
    Bad("receive maximum 0", 0, "client", PROTOCOL, connect5(b"\x21\x00\x00")),
    Bad("maximum packet size 0", 0, "client", PROTOCOL, connect5(b"\x27\x00\x00\x00\x00")),
    Bad("request problem information 2", 0, "client", PROTOCOL, connect5(b"\x17\x02")),
    Bad("request response information 2", 0, "client", PROTOCOL, connect5(b"\x19\x02")),
    Bad("authentication data without a method", 0, "client", PROTOCOL, connect5(b"\x16\x00\x01d")),
    *(Bad(f"property 0x{found[0]:02x} twice", 0, "client", PROTOCOL, connect5(found, USER, found))
      for found in (b"\x11\0\0\0\1", b"\x15\0\1m", b"\x17\1", b"\x19\1", b"\x21\0\1", b"\x22\0\1", b"\x27\0\0\0\1")),
    *(Bad(f"property 0x{found[0]:02x}", 0, "client", MALFORMED, connect5(found))
      for found in (b"\x00", b"\x01\1", b"\x0b\1", b"\x12\0\1a", b"\x1f\0\1a", b"\x23\0\1", b"\x24\1", b"\x7f", b"\x80\1")),
    Bad("property cut short", 0, "client", MALFORMED, connect5(b"\x11\x00\x00")),
    Bad("property string cut short", 0, "client", MALFORMED, connect5(b"\x15\x00\x05ab")),
    Bad("user property without its value", 0, "client", MALFORMED, connect5(b"\x26\x00\x01a")),
    Bad("properties longer than the packet", 0, "client", MALFORMED,
        short(0x10, CONNECT5, b"\x02\x00\x00\x7f\x00\x00")),
    Bad("property length longer than needed", 0, "client", MALFORMED,
        short(0x10, CONNECT5, b"\x02\x00\x00\x80\x00\x00\x00")),
    Bad("property length of five bytes", 0, "client", MALFORMED,
        short(0x10, CONNECT5, b"\x02\x00\x00\x80\x80\x80\x80\x01\x00\x00")),
    Bad("will delay interval twice", 0, "client", PROTOCOL, will5(b"\x18\0\0\0\1\x18\0\0\0\1")),
    Bad("will with an alias", 0, "client", MALFORMED, will5(b"\x23\x00\x01")),
    Bad("will with a subscription identifier", 0, "client", MALFORMED, will5(b"\x0b\x01")),
    Bad("will with a wildcard response topic", 0, "client", PROTOCOL, will5(b"\x08\x00\x01+")),
    Bad("will with properties longer than the packet", 0, "client", MALFORMED,
        connect5(flags=6, payload=b"\x00\x01c\x7f\x00\x01w\x00\x00")),
    # CONNACK (section 3.2)
    Bad("CONNACK reserved flags", 4, "server", MALFORMED, b"\x20\x02\x02\x00"),
    Bad("CONNACK session present and refused", 4, "server", PROTOCOL, b"\x20\x02\x01\x05"),
    Bad("CONNACK reserved return code", 4, "server", PROTOCOL, b"\x20\x02\x00\x06"),
    Bad("CONNACK cut short", 4, "server", MALFORMED, b"\x20\x01\x00"),
    Bad("CONNACK trailing bytes", 4, "server", MALFORMED, b"\x20\x03\x00\x00\x00"),
    Bad("CONNACK unknown reason", 5, "server", PROTOCOL, b"\x20\x03\x00\x8d\x00"),
    Bad("CONNACK without properties", 5, "server", MALFORMED, b"\x20\x02\x00\x00"),
    Bad("CONNACK maximum QoS 2", 5, "server", PROTOCOL, connack5(b"\x24\x02")),
    *(Bad(f"CONNACK property 0x{identifier:02x} of 2", 5, "server", PROTOCOL, connack5(bytes((identifier, 2))))
      for identifier in (0x25, 0x28, 0x29, 0x2A)),
    Bad("CONNACK with a client's property", 5, "server", MALFORMED, connack5(b"\x17\x01")),
    # PUBLISH (section 3.3)
    *(Bad("PUBLISH QoS 3", version, "client", MALFORMED, short(0x36, b"\x00\x01t\x00\x01\x00")) for version in (3, 4, 5)),
    *(Bad("PUBLISH QoS 0 with DUP", version, "client", MALFORMED, short(0x38, b"\x00\x01t\x00")) for version in (3, 4, 5)),
    *(Bad("PUBLISH packet identifier 0", version, "client", MALFORMED, short(0x32, b"\x00\x01t\x00\x00\x00"))
      for version in (3, 4, 5)),
    *(Bad("PUBLISH of nothing", version, "client", MALFORMED, b"\x30\x00") for version in (3, 4, 5)),
    *(Bad("PUBLISH of one byte", version, "client", MALFORMED, b"\x30\x01\x00") for version in (3, 4, 5)),
    *(Bad("PUBLISH topic longer than the packet", version, "client", MALFORMED, short(0x30, b"\x00\x09abc"))
      for version in (3, 4, 5)),
    *(Bad("PUBLISH without packet identifier", version, "client", MALFORMED, short(0x32, b"\x00\x01t\x00"))
      for version in (3, 4, 5)),
    *(Bad("PUBLISH empty topic", version, "client", PROTOCOL, short(0x30, b"\x00\x00\x00")) for version in (3, 4, 5)),
    Bad("PUBLISH without properties", 5, "client", MALFORMED, short(0x30, b"\x00\x01t")),
    Bad("PUBLISH properties longer than the packet", 5, "client", MALFORMED, short(0x30, b"\x00\x01t\x05\x01")),
    Bad("PUBLISH property length longer than needed", 5, "client", MALFORMED, short(0x30, b"\x00\x01t\x80\x00")),
    Bad("PUBLISH property length cut short", 5, "client", MALFORMED, short(0x30, b"\x00\x01t\x80")),
    Bad("PUBLISH alias 0", 5, "client", ALIAS, publish5(b"\x23\x00\x00")),
    Bad("PUBLISH with a property, without topic and alias", 5, "client", PROTOCOL, short(0x30, b"\x00\x00", section(USER))),
    Bad("PUBLISH payload format indicator 2", 5, "client", PROTOCOL, publish5(b"\x01\x02")),
    Bad("PUBLISH response topic with a wildcard", 5, "client", PROTOCOL, publish5(b"\x08\x00\x03a/#")),
    Bad("PUBLISH empty response topic", 5, "client", PROTOCOL, publish5(b"\x08\x00\x00")),
    Bad("PUBLISH response topic not UTF-8", 5, "client", MALFORMED, publish5(b"\x08\x00\x01\xff")),
    Bad("PUBLISH content type not UTF-8", 5, "client", MALFORMED, publish5(b"\x03\x00\x01\xff")),
    Bad("PUBLISH user property with U+0000", 5, "client", MALFORMED, publish5(b"\x26\x00\x01a\x00\x01\x00")),
    Bad("PUBLISH subscription identifier", 5, "client", PROTOCOL, publish5(b"\x0b\x01")),
    Bad("PUBLISH subscription identifier 0", 5, "server", PROTOCOL, publish5(b"\x0b\x00")),
    *(Bad(f"PUBLISH property 0x{found[0]:02x} twice", 5, "client", PROTOCOL, publish5(found, USER, found))
      for found in (b"\x01\1", b"\x02\0\0\0\1", b"\x03\0\1t", b"\x08\0\1r", b"\x09\0\1d", b"\x23\0\1")),
    *(Bad(f"PUBLISH property 0x{found[0]:02x}", 5, "client", MALFORMED, publish5(found))
      for found in (b"\x00", b"\x04", b"\x0a\1", b"\x11\0\0\0\1", b"\x18\0\0\0\1", b"\x1f\0\1r", b"\x2a\1", b"\x2b\1", b"\xff")),
    *(Bad(f"PUBLISH property 0x{found[0]:02x} cut short", 5, "client", MALFORMED, publish5(USER, found))
      for found in (b"\x01", b"\x02\0\0\0", b"\x03\0", b"\x03\0\2t", b"\x08\0\1", b"\x09\0\2d", b"\x23\0", b"\x26\0\1a\0")),
    # PUBACK, PUBREC, PUBREL, PUBCOMP (sections 3.4 to 3.7)
    *(Bad(f"type {first >> 4} packet identifier 0", version, "client", MALFORMED, bytes((first, 2, 0, 0)))
      for version in (3, 4, 5) for first in (0x40, 0x50, 0x62, 0x70)),
    *(Bad(f"type {first >> 4} cut short", version, "client", MALFORMED, bytes((first, 1, 0)))
      for version in (3, 4, 5) for first in (0x40, 0x50, 0x62, 0x70)),
    *(Bad(f"type {first >> 4} with a reason", 4, "client", MALFORMED, bytes((first, 3, 0, 1, 0)))
      for first in (0x40, 0x50, 0x62, 0x70)),
    *(Bad(f"type {first >> 4} with a reason of another", 5, "client", PROTOCOL, bytes((first, 3, 0, 1, reason)))
      for first, reason in ((0x40, 0x92), (0x50, 0x01), (0x62, 0x10), (0x70, 0x80))),
    Bad("PUBACK packet identifier 0 and a reason", 5, "client", MALFORMED, b"\x40\x03\x00\x00\x00"),
    Bad("PUBACK with another's property", 5, "client", MALFORMED, b"\x40\x06\x00\x01\x00\x02\x01\x01"),
    Bad("PUBACK reason string twice", 5, "client", PROTOCOL,
        short(0x40, b"\x00\x01\x00", section(b"\x1f\x00\x01a", b"\x1f\x00\x01a"))),
    Bad("PUBACK trailing bytes", 5, "client", MALFORMED, b"\x40\x05\x00\x01\x00\x00\x00"),
    # SUBSCRIBE (section 3.8)
    *(Bad("SUBSCRIBE packet identifier 0", version, "client", MALFORMED, short(0x82, b"\x00\x00\x00\x01a\x00"))
      for version in (3, 4)),
    *(Bad("SUBSCRIBE of nothing", version, "client", PROTOCOL, b"\x82\x02\x00\x01") for version in (3, 4)),
    *(Bad("SUBSCRIBE QoS 3", version, "client", MALFORMED, subscribe4(b"a", 3)) for version in (3, 4)),
    *(Bad("SUBSCRIBE reserved bits", version, "client", MALFORMED, subscribe4(b"a", 5)) for version in (3, 4)),
    Bad("SUBSCRIBE without QoS", 4, "client", MALFORMED, short(0x82, b"\x00\x01\x00\x01a")),
    *(Bad(f"SUBSCRIBE {topic_filter!r}", 4, "client", FILTER, subscribe4(topic_filter))
      for topic_filter in (b"", b"a#", b"a/#/b", b"#/", b"+a", b"a/b+/c", b"##", b"++", b"$share/g", b"$share//t",
                           b"$share/g/", b"$share/+/t", b"$share/g/a#")),
    *(Bad(f"SUBSCRIBE {topic_filter!r}", 4, "client", MALFORMED, subscribe4(topic_filter))
      for topic_filter in (b"\xff", b"a\0", b"\xed\xbf\xbf")),
    Bad("SUBSCRIBE packet identifier 0", 5, "client", MALFORMED, short(0x82, b"\x00\x00\x00\x00\x01a\x00")),
    Bad("SUBSCRIBE of nothing", 5, "client", PROTOCOL, b"\x82\x03\x00\x01\x00"),
    Bad("SUBSCRIBE QoS 3", 5, "client", PROTOCOL, subscribe5(3)),
    Bad("SUBSCRIBE reserved bits", 5, "client", MALFORMED, subscribe5(0x40)),
    Bad("SUBSCRIBE retain handling 3", 5, "client", PROTOCOL, subscribe5(0x30)),
    Bad("SUBSCRIBE No Local, shared", 5, "client", PROTOCOL, subscribe5(4, topic_filter=b"$share/g/a")),
    Bad("SUBSCRIBE identifier 0", 5, "client", PROTOCOL, subscribe5(0, b"\x0b\x00")),
    Bad("SUBSCRIBE identifier twice", 5, "client", PROTOCOL, subscribe5(0, b"\x0b\x01\x0b\x02")),
    Bad("SUBSCRIBE identifier longer than needed", 5, "client", MALFORMED, subscribe5(0, b"\x0b\x81\x00")),
    Bad("SUBSCRIBE with another's property", 5, "client", MALFORMED, subscribe5(0, b"\x1f\x00\x01a")),
    # SUBACK (section 3.9)
    Bad("SUBACK of nothing", 4, "server", PROTOCOL, b"\x90\x02\x00\x01"),
    Bad("SUBACK return code 3", 4, "server", PROTOCOL, b"\x90\x03\x00\x01\x03"),
    Bad("SUBACK reason 0x11", 5, "server", PROTOCOL, b"\x90\x04\x00\x01\x00\x11"),
    # UNSUBSCRIBE, UNSUBACK (sections 3.10, 3.11)
    *(Bad("UNSUBSCRIBE of nothing", version, "client", PROTOCOL, b"\xa2\x02\x00\x01") for version in (3, 4)),
    Bad("UNSUBSCRIBE of nothing", 5, "client", PROTOCOL, b"\xa2\x03\x00\x01\x00"),
    Bad("UNSUBSCRIBE packet identifier 0", 4, "client", MALFORMED, short(0xA2, b"\x00\x00\x00\x01a")),
    Bad("UNSUBSCRIBE of an invalid filter", 4, "client", FILTER, short(0xA2, b"\x00\x01\x00\x02a#")),
    Bad("UNSUBACK with reasons", 4, "server", MALFORMED, b"\xb0\x03\x00\x01\x00"),
    Bad("UNSUBACK without reasons", 5, "server", PROTOCOL, b"\xb0\x03\x00\x01\x00"),
    # PINGREQ, PINGRESP, DISCONNECT, AUTH (sections 3.12 to 3.15)
    Bad("PINGREQ with a body", 4, "client", MALFORMED, b"\xc0\x01\x00"),
    Bad("PINGRESP with a body", 4, "server", MALFORMED, b"\xd0\x01\x00"),
    Bad("DISCONNECT with a body", 4, "client", MALFORMED, b"\xe0\x01\x00"),
    Bad("DISCONNECT with a server's reason", 5, "client", PROTOCOL, b"\xe0\x01\x8b"),
    Bad("DISCONNECT with a client's reason", 5, "server", PROTOCOL, b"\xe0\x01\x04"),
    Bad("DISCONNECT with a server reference", 5, "client", PROTOCOL, short(0xE0, b"\x00", section(b"\x1c\x00\x01h"))),
    Bad("DISCONNECT with a session expiry interval", 5, "server", PROTOCOL,
        short(0xE0, b"\x00", section(b"\x11\x00\x00\x00\x01"))),
    Bad("DISCONNECT trailing bytes", 5, "client", MALFORMED, b"\xe0\x03\x00\x00\x00"),
    Bad("AUTH of nothing", 5, "client", PROTOCOL, b"\xf0\x00"),
    Bad("AUTH of success", 5, "client", PROTOCOL, b"\xf0\x06\x00\x04\x15\x00\x01m"),
    Bad("AUTH re-authenticate", 5, "server", PROTOCOL, b"\xf0\x06\x19\x04\x15\x00\x01m"),
    Bad("AUTH without a method", 5, "client", PROTOCOL, b"\xf0\x02\x18\x00"),
    Bad("AUTH without properties", 5, "client", MALFORMED, b"\xf0\x01\x18"),
]
# fmt: on
