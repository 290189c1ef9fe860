"""CONNECT until its CONNACK: who is it, may it, and which session does it get (MQTT 5 sections 3.1, 3.2,
4.12).

Every step completes by callback, perhaps at once; the connection is parked from CONNECT to CONNACK.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from lockwire.access.authenticator import Credentials, Decision, Exchange, Step
from lockwire.access.authorizer import publish_bit
from lockwire.access.identity import Identity
from lockwire.broker.commit import Effect
from lockwire.broker.registry import same_owner
from lockwire.mqtt import reasons
from lockwire.mqtt.encoder import encode_auth, encode_connack
from lockwire.mqtt.errors import MqttError, ProtocolError
from lockwire.mqtt.packets import Auth, Connect, Properties, Will
from lockwire.mqtt.topics import validate_topic_name
from lockwire.pki.certificate import certificate_key
from lockwire.store.interface import StoreError

if TYPE_CHECKING:
    from lockwire.broker.connection import Connection
    from lockwire.broker.session import Session

CONNACK_UNSUPPORTED_VERSION: Final = b"\x20\x02\x00\x01"
"""What a client of an unknown protocol level can read: the CONNACK of MQTT 3 [MQTT311-3.1.2-2]."""
DEFAULT_RECEIVE_MAXIMUM: Final = 65_535
REVOKED: Final = "the client certificate has been revoked: issue the device a new one"
LARGEST_PACKET: Final = 268_435_460


class _OpenAfterCommit(Effect):
    """The CONNACK, which leaves after the commit of the session it states."""

    def __init__(self, connecting: Connecting, session: Session, present: bool) -> None:
        self.connecting = connecting
        self.session = session
        self.present = present

    def committed(self) -> None:
        self.connecting.accept(self.session, self.present)

    def refused(self, error: StoreError) -> None:
        connection = self.connecting.connection
        if connection is not None:
            connection.will = None
        if not self.present:
            self.session.durable = False  # nobody knows of it: it ends with the connection
        self.connecting.refuse(reasons.SERVER_UNAVAILABLE, f"the session could not be kept: {error}")


class Connecting:
    """One CONNECT on its way to a CONNACK, or a re-authentication under way (`packet` None)."""

    def __init__(self, connection: Connection, packet: Connect | None) -> None:
        self.connection: Connection | None = connection
        self.packet = packet
        self._exchange: Exchange | None = None
        self._method: str | None = None
        self._final_data: bytes = b""
        self._assigned: bool = False
        self._again: bool = False
        self._keep_alive: int = 0
        self._ended: list[tuple[str, str]] = []

    @staticmethod
    def again(connection: Connection) -> Connecting:
        """A re-authentication of a client that is connected (MQTT 5 section 4.12.1)."""
        connecting = Connecting(connection, None)
        connecting._again = True
        connecting._method = connection.authentication_method
        return connecting

    def abandoned(self) -> None:
        """The connection is gone; answers that are still to come find nobody."""
        self.connection = None

    def identity_ended(self, name: str, realm: str) -> None:
        """An identity is no more: should this client turn out to be it, it stays out."""
        self._ended.append((name, realm))

    # -- CONNECT -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Looks at the CONNECT itself, then asks who it is."""
        connection = self.connection
        packet = self.packet
        assert connection is not None
        assert packet is not None
        connection.version = packet.version
        connection.problem_information = packet.properties.request_problem_information != 0
        if packet.properties.maximum_packet_size > 0:
            connection.maximum_packet_size = packet.properties.maximum_packet_size
        connection.park()
        exposure = connection.listener.exposure
        if exposure is not None:
            exposure.connect(packet.client_id, packet.username, packet.password is not None)
        if not self._name(connection, packet) or not self._check_will(connection, packet):
            return
        link = connection.link
        tls = link.tls
        if self._is_revoked(connection):
            self.refuse(reasons.NOT_AUTHORIZED, REVOKED)
            return
        credentials = Credentials(
            listener=connection.listener.name,
            peer=link.peer,
            client_id=connection.client_id,
            username=packet.username,
            password=packet.password,
            certificate=tls.peer_certificate if tls is not None else None,
            psk_identity=tls.psk_identity if tls is not None else None,
            version=packet.version,
            assigned=self._assigned,
        )
        method = packet.properties.authentication_method
        if method is None:
            connection.listener.authenticator.authenticate(credentials, self._decided)
            return
        self._method = method
        self._exchange = connection.listener.authenticator.exchange(method, credentials)
        if self._exchange is None:
            self.refuse(reasons.BAD_AUTHENTICATION_METHOD, f"authentication method {method!r} is not offered")
            return
        self._exchange.step(packet.properties.authentication_data or b"", self._stepped)

    def _is_revoked(self, connection: Connection) -> bool:
        """Whether the client certificate is on the deny-list; asked for resumed sessions too, which TLS does
        not verify again.
        """
        deny_list = connection.hub.deny_list
        tls = connection.link.tls
        if not deny_list or tls is None:
            return False
        certificate = tls.peer_certificate
        return certificate is not None and certificate_key(certificate) in deny_list

    def _name(self, connection: Connection, packet: Connect) -> bool:
        """Takes the client identifier, or assigns one (MQTT 5 section 3.1.3.1)."""
        client_id = packet.client_id
        # MQTT 3.1 allows 1 to 23 characters; longer ones have long been common and hurt nobody.
        if packet.version == 3 and not client_id:
            self.refuse(reasons.CLIENT_IDENTIFIER_NOT_VALID, "MQTT 3.1 needs a client identifier")
            return False
        if not client_id:
            if packet.version != 5 and not packet.clean_start:
                self.refuse(
                    reasons.CLIENT_IDENTIFIER_NOT_VALID, "an empty client identifier needs Clean Session 1"
                )
                return False
            client_id = f"auto-{secrets.token_hex(12)}"
            self._assigned = True
        connection.client_id = client_id
        return True

    def _check_will(self, connection: Connection, packet: Connect) -> bool:
        will = packet.will
        if will is None:
            return True
        validate_topic_name(will.topic)
        levels = connection.hub.topic_levels
        if will.topic.count(b"/") >= levels:
            self.refuse(reasons.TOPIC_NAME_INVALID, f"the will's topic has more than {levels} levels")
            return False
        if will.qos > connection.listener.maximum_qos:
            self.refuse(reasons.QOS_NOT_SUPPORTED, "the will has a higher QoS than this listener allows")
            return False
        if will.retain and not connection.listener.retain_available:
            self.refuse(
                reasons.RETAIN_NOT_SUPPORTED, "the will is retained, which this listener does not allow"
            )
            return False
        return True

    # -- enhanced authentication -------------------------------------------------------------------

    def continue_exchange(self, packet: Auth) -> None:
        """An AUTH of the client [MQTT5-4.12.0-3, 4.12.0-5, 4.12.1-1]."""
        connection = self.connection
        assert connection is not None
        properties = packet.properties
        method = properties.authentication_method if properties is not None else None
        data = b""
        if properties is not None and properties.authentication_data is not None:
            data = properties.authentication_data
        if method != self._method:
            raise ProtocolError("the Authentication Method differs from that of CONNECT")
        if self._exchange is None:
            if not self._again or packet.reason != reasons.RE_AUTHENTICATE:
                raise ProtocolError("AUTH without an authentication under way")
            link = connection.link
            credentials = Credentials(
                listener=connection.listener.name,
                peer=link.peer,
                client_id=connection.client_id,
                certificate=link.tls.peer_certificate if link.tls is not None else None,
                psk_identity=link.tls.psk_identity if link.tls is not None else None,
                version=5,
                known=connection.identity,
            )
            assert method is not None
            self._exchange = connection.listener.authenticator.exchange(method, credentials)
            if self._exchange is None:
                raise ProtocolError(
                    f"authentication method {method!r} is not offered", reasons.BAD_AUTHENTICATION_METHOD
                )
        elif packet.reason != reasons.CONTINUE_AUTHENTICATION:
            raise ProtocolError("AUTH must continue the authentication under way")
        connection.park()
        self._exchange.step(data, self._stepped)

    def _stepped(self, step: Step) -> None:
        connection = self.connection
        if connection is None:
            return
        decision = step.decision
        if decision is None:
            connection.answer(self._auth(reasons.CONTINUE_AUTHENTICATION, step.data))
            connection.unpark()
            return
        self._final_data = step.data
        if not self._again:
            self._decided(decision)
            return
        self._exchange = None
        identity = decision.identity
        if identity is None or not same_owner(identity, connection.identity):
            connection.core.counters.logins_refused += 1
            connection.end(reasons.NOT_AUTHORIZED, "the re-authentication failed")
            return
        connection.identity = identity
        session = connection.session
        registry = connection.hub.registry
        if session is not None and registry is not None:
            registry.adopt(session, identity)
        connection.watch_expiry(identity.expires)
        connection.answer(self._auth(reasons.SUCCESS, step.data))
        connection.connecting = None
        connection.unpark()

    def _auth(self, reason: int, data: bytes) -> bytes:
        properties = Properties()
        properties.authentication_method = self._method
        properties.authentication_data = data if data else None
        return encode_auth(reason, properties)

    # -- the decision ------------------------------------------------------------------------------

    def _decided(self, decision: Decision) -> None:
        connection = self.connection
        packet = self.packet
        if connection is None or packet is None:
            return
        identity = decision.identity
        if identity is None:
            connection.core.counters.logins_refused += 1
            self.refuse(decision.reason, decision.detail)
            return
        for name, realm in self._ended:
            if identity.rests_on(name, realm):
                self.refuse(reasons.NOT_AUTHORIZED, "the identity ended while it was being checked")
                return
        if identity.certificate in connection.hub.deny_list:
            self.refuse(reasons.NOT_AUTHORIZED, REVOKED)  # while the decision was under way
            return
        connection.identity = identity
        if self._assigned and decision.client_id:
            connection.client_id = decision.client_id
        if not self._may_have_will(connection, identity, packet.will):
            self.refuse(reasons.NOT_AUTHORIZED, "may not publish its will")
            return
        registry = connection.hub.registry
        assert registry is not None
        client_id = connection.client_id
        if registry.refuses(client_id, identity):
            self.refuse(
                reasons.CLIENT_IDENTIFIER_NOT_VALID,
                "the client identifier belongs to another identity's session",
            )
            return
        if registry.is_full(client_id):
            self.refuse(reasons.QUOTA_EXCEEDED, "there are too many sessions")
            return
        connection.core.counters.logins += 1
        registry.open(connection, client_id, identity, packet.clean_start, self._opened)

    def _may_have_will(self, connection: Connection, identity: Identity, will: Will | None) -> bool:
        if will is None:
            return True
        mask = connection.hub.authorizer.publish_mask(identity, connection.client_id, will.topic)
        return mask < 0 or mask & publish_bit(will.qos, will.retain) != 0

    def _opened(self, session: Session, present: bool) -> None:
        connection = self.connection
        packet = self.packet
        if connection is None or packet is None:
            if session.hub.registry is not None:
                session.hub.registry.abandoned(session)
            return
        hub = connection.hub
        registry = hub.registry
        assert registry is not None
        committer = hub.core.committer
        before = committer.staged
        connection.session = session
        session.version = packet.version
        session.listener = connection.listener.name
        session.awaited = True
        registry.keep(session, self._expiry(connection, packet))
        will = packet.will
        if will is not None:
            connection.will = will
            registry.stage_will(session, will, 0.0)
        if committer.staged != before:
            committer.after(_OpenAfterCommit(self, session, present))
            hub.core.begin()
        else:
            self.accept(session, present)

    def _expiry(self, connection: Connection, packet: Connect) -> int:
        maximum = connection.listener.session_expiry_maximum
        if packet.version == 5:
            interval = max(0, packet.properties.session_expiry_interval)
            return min(interval, maximum)
        return 0 if packet.clean_start else maximum

    def accept(self, session: Session, present: bool) -> None:
        """Sends the CONNACK and lets the session go on."""
        connection = self.connection
        packet = self.packet
        if connection is None or packet is None or connection.link.closing:
            return
        listener = connection.listener
        link = connection.link
        keep_alive = packet.keep_alive
        if listener.keep_alive_maximum and (keep_alive == 0 or keep_alive > listener.keep_alive_maximum):
            keep_alive = listener.keep_alive_maximum if packet.version == 5 else keep_alive
        self._keep_alive = keep_alive
        frame = self._connack(connection, packet, session, present)
        if not connection.fits(frame):
            return
        link.send(frame)
        connection.opened(session)
        connection.authentication_method = self._method
        connection.decoder.maximum_packet_size = listener.packet_size
        link.arm_deadline(0)
        connection.watch_keep_alive(keep_alive)
        connection.watch_expiry(connection.identity.expires)
        quota = listener.inflight_v3
        aliases = 0
        if packet.version == 5:
            quota = packet.properties.receive_maximum
            if quota < 0:
                quota = DEFAULT_RECEIVE_MAXIMUM
            aliases = min(max(0, packet.properties.topic_alias_maximum), listener.topic_alias_maximum)
        session.attach(link, packet.version, quota, connection.maximum_packet_size, aliases)
        if present:
            session.drop_forbidden()
            session.resume()
        connection.unpark()

    def _connack(self, connection: Connection, packet: Connect, session: Session, present: bool) -> bytes:
        if packet.version != 5:
            return encode_connack(packet.version, present, reasons.V3_ACCEPTED)
        listener = connection.listener
        properties = Properties()
        asked = max(0, packet.properties.session_expiry_interval)
        if session.expiry_interval != asked:
            properties.session_expiry_interval = session.expiry_interval
        if listener.receive_maximum != DEFAULT_RECEIVE_MAXIMUM:
            properties.receive_maximum = listener.receive_maximum
        if listener.maximum_qos < 2:
            properties.maximum_qos = listener.maximum_qos
        if not listener.retain_available:
            properties.retain_available = 0
        if listener.packet_size < LARGEST_PACKET:
            properties.maximum_packet_size = listener.packet_size
        if self._assigned:
            properties.assigned_client_identifier = connection.client_id
        if listener.topic_alias_maximum > 0:
            properties.topic_alias_maximum = listener.topic_alias_maximum
        if self._keep_alive != packet.keep_alive:
            properties.server_keep_alive = self._keep_alive
        if packet.properties.request_response_information == 1:
            properties.response_information = f"response/{connection.client_id}"
        if self._method is not None:
            properties.authentication_method = self._method
            properties.authentication_data = self._final_data or None
        return encode_connack(5, present, reasons.SUCCESS, properties)

    # -- refusals ----------------------------------------------------------------------------------

    def refuse(self, reason: int, detail: str) -> None:
        """Sends a CONNACK that says no, and closes [MQTT5-3.2.2-7]."""
        connection = self.connection
        if connection is None:
            return
        connection.core.counters.connections_refused += 1
        connection.record("connect", reason, detail)
        if connection.version == 5:
            properties = Properties()
            if connection.problem_information:
                properties.reason_string = reasons.name_of(reason)
            frame = encode_connack(5, False, reason, properties)
            if len(frame) > connection.maximum_packet_size:
                frame = encode_connack(5, False, reason)
            connection.link.send(frame)
        else:
            connection.link.send(
                encode_connack(connection.version, False, reasons.connack_return_code(reason))
            )
        connection.link.close_now()

    def fail(self, error: MqttError) -> None:
        """Answers a CONNECT, or what came in its place, that is malformed or breaks the protocol."""
        connection = self.connection
        if connection is None:
            return
        if connection.version == 0:
            connection.version = connection.decoder.version
        if error.reason == reasons.UNSUPPORTED_PROTOCOL_VERSION:
            connection.record("connect", error.reason, error.detail)
            connection.link.send(CONNACK_UNSUPPORTED_VERSION)
            connection.link.close_now()
        elif connection.version == 5:
            self.refuse(error.reason, error.detail)
        else:
            # MQTT 3 has no return code for it: the connection closes without one [MQTT311-3.1.4-1].
            connection.record("connect", error.reason, error.detail)
            connection.link.close_now()
