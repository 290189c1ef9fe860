"""The normative statements of MQTT 3.1.1: number | whom it binds | what it asks [| why it is excused]."""

from typing import Final

MQTT311: Final = """
1.5.3-1 | both | Strings are well-formed UTF-8 without surrogates; anything else closes the connection
1.5.3-2 | both | No U+0000 in a string; one closes the connection
1.5.3-3 | both | The bytes EF BB BF in a string are U+FEFF and stay where they are
2.2.2-1 | both | Reserved flag bits of the fixed header carry the listed values
2.2.2-2 | both | Invalid flags close the connection
2.3.1-1 | both | SUBSCRIBE, UNSUBSCRIBE and PUBLISH above QoS 0 carry a packet identifier other than 0
2.3.1-2 | client | Each new packet of these kinds takes an identifier that is not in use
2.3.1-3 | client | A packet sent again keeps its identifier, which is free only after the acknowledgement
2.3.1-4 | server | The same holds for what the server publishes above QoS 0
2.3.1-5 | both | PUBLISH with QoS 0 has no packet identifier
2.3.1-6 | both | PUBACK, PUBREC and PUBREL repeat the identifier of the PUBLISH
2.3.1-7 | server | SUBACK and UNSUBACK repeat the identifier of what they answer
3.1.0-1 | both | The first packet a client sends is CONNECT
3.1.0-2 | server | A second CONNECT is a protocol violation and ends the connection
3.1.2-1 | server | A CONNECT with another protocol name is not served as MQTT 3.1.1
3.1.2-2 | server | An unsupported protocol level gets return code 1, then the connection is closed
3.1.2-3 | server | The reserved connect flag is checked to be 0; otherwise the connection is closed
3.1.2-4 | both | Clean Session 0 resumes that client identifier's session or makes one, and keeps it
3.1.2-5 | server | For such a session, messages of QoS 1 and 2 are kept while the client is away
3.1.2-6 | both | Clean Session 1 drops the earlier session; its own ends with the connection and is not reused
3.1.2-7 | server | Retained messages outlive sessions
3.1.2-8 | server | A will is stored and published when the connection closes without DISCONNECT
3.1.2-9 | both | Will Flag 1: the payload has will topic and will message; Will QoS and Will Retain are used
3.1.2-10 | server | The will is gone once published or after DISCONNECT
3.1.2-11 | both | Will Flag 0: Will QoS and Will Retain are 0, and there are no will fields in the payload
3.1.2-12 | server | Will Flag 0: no will is published
3.1.2-13 | both | Will Flag 0: Will QoS is 0
3.1.2-14 | both | Will Flag 1: Will QoS is 0, 1 or 2, never 3
3.1.2-15 | both | Will Flag 0: Will Retain is 0
3.1.2-16 | server | Will Retain 0: the will is published as a message that is not retained
3.1.2-17 | server | Will Retain 1: the will is published as a retained message
3.1.2-18 | both | User Name Flag 0: no user name in the payload
3.1.2-19 | both | User Name Flag 1: a user name in the payload
3.1.2-20 | both | Password Flag 0: no password in the payload
3.1.2-21 | both | Password Flag 1: a password in the payload
3.1.2-22 | both | User Name Flag 0: Password Flag is 0 too
3.1.2-23 | client | A client with nothing else to send sends PINGREQ within the keep alive
3.1.2-24 | server | Nothing received for one and a half keep alives closes the connection as a failed one
3.1.3-1 | both | The payload's order: client identifier, will topic, will message, user name, password
3.1.3-2 | both | The client identifier names the session on both sides
3.1.3-3 | both | The client identifier is there, first in the payload
3.1.3-4 | both | The client identifier is a UTF-8 string
3.1.3-5 | server | Client identifiers of 1 to 23 letters and digits are allowed
3.1.3-6 | server | A client identifier of no bytes, where allowed, gets a unique one from the server
3.1.3-7 | client | With a client identifier of no bytes comes Clean Session 1
3.1.3-8 | server | A client identifier of no bytes with Clean Session 0 gets return code 2, then the close
3.1.3-9 | server | A refused client identifier gets return code 2, then the close
3.1.3-10 | both | The will topic is a UTF-8 string
3.1.3-11 | both | The user name is a UTF-8 string
3.1.4-1 | server | A CONNECT that does not follow section 3.1 closes the connection without CONNACK
3.1.4-2 | server | A client that connects with an identifier in use ends the older connection
3.1.4-3 | server | Clean Session is acted upon
3.1.4-4 | server | A valid CONNECT is answered by CONNACK with return code 0
3.1.4-5 | server | After a refused CONNECT nothing more from that client is processed
3.2.0-1 | server | The first packet a server sends is CONNACK
3.2.2-1 | server | Clean Session 1: Session Present is 0
3.2.2-2 | server | Clean Session 0 and a stored session: Session Present is 1
3.2.2-3 | server | No stored session: Session Present is 0
3.2.2-4 | server | A return code other than 0 comes with Session Present 0
3.2.2-5 | server | After a return code other than 0 the connection is closed
3.2.2-6 | server | Where no return code fits, the connection is closed without CONNACK
3.3.1-1 | both | DUP is 1 on a PUBLISH delivered again
3.3.1-2 | both | DUP is 0 at QoS 0
3.3.1-3 | server | DUP towards a subscriber says only whether that PUBLISH is sent again
3.3.1-4 | both | QoS 3 closes the connection
3.3.1-5 | server | RETAIN 1: the message and its QoS are stored for future subscribers
3.3.1-6 | server | A new subscription gets the last retained message of each matching topic
3.3.1-7 | server | A retained message of QoS 0 takes the place of the one before
3.3.1-8 | server | RETAIN is 1 on what is sent because of a new subscription
3.3.1-9 | server | RETAIN is 0 on what an established subscription receives
3.3.1-10 | server | A retained message without payload is delivered and removes what was retained
3.3.1-11 | server | A retained message without payload is not stored
3.3.1-12 | server | RETAIN 0 neither stores nor removes a retained message
3.3.2-1 | both | The topic name comes first in PUBLISH and is a UTF-8 string
3.3.2-2 | both | A topic name has no wildcards
3.3.2-3 | server | What a subscriber gets has a topic that its filter matches
3.3.4-1 | both | PUBLISH is answered by PUBACK at QoS 1, PUBREC at QoS 2, nothing at QoS 0
3.3.5-1 | server | Overlapping subscriptions: delivered at the highest QoS among them
3.3.5-2 | server | An unauthorized PUBLISH is acknowledged as usual, or the connection is closed
3.6.1-1 | both | PUBREL has the flags 0010; others are malformed and close the connection
3.8.1-1 | both | SUBSCRIBE has the flags 0010; others are malformed and close the connection
3.8.3-1 | both | Topic filters in SUBSCRIBE are UTF-8 strings
3.8.3-2 | server | A server without wildcards refuses filters with wildcards | our server supports wildcards
3.8.3-3 | both | SUBSCRIBE has at least one topic filter with its QoS
3.8.3-4 | server | Reserved bits in a requested QoS, or QoS 3, are malformed and close the connection
3.8.4-1 | server | SUBSCRIBE is answered by SUBACK
3.8.4-2 | server | SUBACK has the packet identifier of its SUBSCRIBE
3.8.4-3 | server | The same filter replaces the subscription, resends retained messages, loses nothing
3.8.4-4 | server | Several filters act like several SUBSCRIBE packets, with one SUBACK
3.8.4-5 | server | SUBACK has a return code for each filter: the granted QoS or a failure
3.8.4-6 | server | Messages come at the lower of their own QoS and the granted one
3.9.3-1 | server | Return codes are in the order of the filters
3.9.3-2 | server | SUBACK uses no return code but 0, 1, 2 and 0x80
3.10.1-1 | both | UNSUBSCRIBE has the flags 0010; others are malformed and close the connection
3.10.3-1 | both | Topic filters in UNSUBSCRIBE are UTF-8 strings
3.10.3-2 | both | UNSUBSCRIBE has at least one topic filter
3.10.4-1 | server | Filters are compared character by character; an exact match deletes the subscription
3.10.4-2 | server | After the deletion no new messages are added for the client
3.10.4-3 | server | Messages of QoS 1 and 2 already begun are finished
3.10.4-4 | server | UNSUBSCRIBE is answered by UNSUBACK with its packet identifier
3.10.4-5 | server | UNSUBACK comes even where there was nothing to delete
3.10.4-6 | server | Several filters act like several UNSUBSCRIBE packets, with one UNSUBACK
3.12.4-1 | server | PINGREQ is answered by PINGRESP
3.14.1-1 | server | DISCONNECT has the flags 0000; others close the connection
3.14.4-1 | client | After DISCONNECT the client closes the connection
3.14.4-2 | client | After DISCONNECT the client sends nothing more
3.14.4-3 | server | DISCONNECT discards the will without publishing it
4.1.0-1 | both | Session state is kept as long as the session lasts
4.1.0-2 | both | A session lasts at least as long as its connection
4.3.1-1 | both | QoS 0 is sent with DUP 0
4.3.2-1 | both | QoS 1, sender: an unused identifier, DUP 0 at first, unacknowledged until PUBACK
4.3.2-2 | both | QoS 1, receiver: PUBACK with that identifier, after which it stands for a new message
4.3.3-1 | both | QoS 2, sender: unused identifier, DUP 0, PUBREL on PUBREC, no PUBLISH again after PUBREL
4.3.3-2 | both | QoS 2, receiver: PUBREC, no second delivery until PUBREL, PUBCOMP, then a new message
4.4.0-1 | both | On reconnecting without clean session, unacknowledged PUBLISH and PUBREL are sent again
4.5.0-1 | server | An accepted message joins the session of every client with a matching subscription
4.5.0-2 | client | A client acknowledges what it receives, whether or not it makes use of it
4.6.0-1 | both | PUBLISH packets are sent again in their first order
4.6.0-2 | both | PUBACK packets come in the order of the PUBLISH packets
4.6.0-3 | both | PUBREC packets come in the order of the PUBLISH packets
4.6.0-4 | both | PUBREL packets come in the order of the PUBREC packets
4.6.0-5 | server | Every topic is ordered unless configured otherwise
4.6.0-6 | server | One client's messages of a topic and QoS reach subscribers in the order they came
4.7.1-1 | both | Wildcards belong in topic filters, not in topic names
4.7.1-2 | both | `#` stands alone or after a separator, and last
4.7.1-3 | both | `+` takes a whole level
4.7.2-1 | server | A filter that starts with a wildcard does not match topics that start with `$`
4.7.3-1 | both | Topic names and filters have at least one character
4.7.3-2 | both | Topic names and filters have no U+0000
4.7.3-3 | both | Topic names and filters have at most 65,535 bytes
4.7.3-4 | server | Matching neither normalizes nor replaces characters
4.8.0-1 | both | A protocol violation closes the connection it came on
4.8.0-2 | both | A transient error in processing a packet closes the connection | no packet brings one about
6.0.0-1 | both | Over WebSocket: binary frames only; another data frame closes the connection
6.0.0-2 | both | Over WebSocket: packets may be split over frames or share one
6.0.0-3 | client | Over WebSocket: the client offers the subprotocol `mqtt`
6.0.0-4 | server | Over WebSocket: the server selects the subprotocol `mqtt`
7.0.0-1 | server | A server that connects to others conforms as a client too | ours connects to no other yet
7.0.0-2 | both | Nothing beyond the standard is required to interoperate
7.1.1-1 | server | The server offers an ordered, lossless stream of bytes
7.1.2-1 | client | The client offers an ordered, lossless stream of bytes
"""
