"""The normative statements of MQTT 5.0: number | whom it binds | what it asks [| why it is excused]."""

from typing import Final

MQTT5: Final = """
1.5.4-1 | both | Strings are well-formed UTF-8 without surrogates
1.5.4-2 | both | No U+0000 in a string
1.5.4-3 | both | The bytes EF BB BF in a string are U+FEFF and stay where they are
1.5.5-1 | both | A variable byte integer takes the fewest bytes
1.5.7-1 | both | Both parts of a string pair are UTF-8 strings as above
2.1.3-1 | both | Reserved flag bits of the fixed header carry the listed values
2.2.1-2 | both | PUBLISH with QoS 0 has no packet identifier
2.2.1-3 | both | A client's SUBSCRIBE, UNSUBSCRIBE and PUBLISH above QoS 0 take an unused identifier, not 0
2.2.1-4 | server | A server's new PUBLISH above QoS 0 takes an unused identifier, not 0
2.2.1-5 | both | PUBACK, PUBREC, PUBREL and PUBCOMP repeat the identifier of the PUBLISH
2.2.1-6 | server | SUBACK and UNSUBACK repeat the identifier of what they answer
2.2.2-1 | both | Without properties there is a property length of 0
3.1.0-1 | both | The first packet a client sends is CONNECT
3.1.0-2 | server | A second CONNECT is a protocol error and closes the connection
3.1.2-1 | server | Another protocol name: perhaps CONNACK 0x84, then the close
3.1.2-2 | server | Another protocol version not served: perhaps CONNACK 0x84, then the close
3.1.2-3 | server | The reserved connect flag is checked to be 0
3.1.2-4 | both | Clean Start 1 discards the session there was and starts a new one
3.1.2-5 | server | Clean Start 0 with a session there resumes it
3.1.2-6 | server | Clean Start 0 without one makes a new session
3.1.2-7 | server | Will Flag 1: the will is stored with the session
3.1.2-8 | server | The will is published after the connection closes and the delay or the session has ended
3.1.2-9 | both | Will Flag 1: will properties, topic and payload are in the payload
3.1.2-10 | server | The will is gone once published or after DISCONNECT 0x00
3.1.2-11 | both | Will Flag 0: Will QoS is 0
3.1.2-12 | both | Will Flag 1: Will QoS is 0, 1 or 2
3.1.2-13 | both | Will Flag 0: Will Retain is 0
3.1.2-14 | server | Will Retain 0: the will is published as a message that is not retained
3.1.2-15 | server | Will Retain 1: the will is published as a retained message
3.1.2-16 | both | User Name Flag 0: no user name in the payload
3.1.2-17 | both | User Name Flag 1: a user name in the payload
3.1.2-18 | both | Password Flag 0: no password in the payload
3.1.2-19 | both | Password Flag 1: a password in the payload
3.1.2-20 | client | A client with nothing else to send sends PINGREQ within the keep alive
3.1.2-21 | client | A client uses the Server Keep Alive it was given
3.1.2-22 | server | Nothing received for one and a half keep alives closes the connection as if it had failed
3.1.2-23 | both | The session outlives the connection where Session Expiry Interval is above 0
3.1.2-24 | server | No packet is larger than the client's Maximum Packet Size
3.1.2-25 | server | A packet too large for the client is dropped and counts as delivered
3.1.2-26 | server | No topic alias towards the client is above its Topic Alias Maximum
3.1.2-27 | server | No topic alias at all where the client gave no Topic Alias Maximum, or 0
3.1.2-28 | server | Request Response Information 0: no Response Information
3.1.2-29 | server | Request Problem Information 0: reasons only on PUBLISH, CONNACK and DISCONNECT
3.1.2-30 | client | With an Authentication Method the client sends only AUTH and DISCONNECT before CONNACK
3.1.3-1 | both | The payload's order: client identifier, will properties, topic, payload, user name, password
3.1.3-2 | both | The client identifier names the session on both sides
3.1.3-3 | both | The client identifier is there, first in the payload
3.1.3-4 | both | The client identifier is a UTF-8 string
3.1.3-5 | server | Client identifiers of 1 to 23 letters and digits are allowed
3.1.3-6 | server | A client identifier of no bytes, where allowed, gets a unique one from the server
3.1.3-7 | server | That identifier is used as if the client had sent it, and is told in CONNACK
3.1.3-8 | server | A refused client identifier: perhaps CONNACK 0x85, then the close
3.1.3-9 | server | A new connection to the session within the will delay prevents the will
3.1.3-10 | server | The will's user properties keep their order
3.1.3-11 | both | The will topic is a UTF-8 string
3.1.3-12 | both | The user name is a UTF-8 string
3.1.4-1 | server | A CONNECT that does not follow section 3.1 closes the connection
3.1.4-2 | server | A CONNECT that fails a further check, authentication for one, closes the connection
3.1.4-3 | server | An identifier in use: the older connection gets DISCONNECT 0x8E and is closed
3.1.4-4 | server | Clean Start is acted upon
3.1.4-5 | server | A valid CONNECT is answered by CONNACK 0x00
3.1.4-6 | server | After a refused CONNECT nothing but AUTH from that client is processed
3.2.0-1 | server | Nothing but AUTH is sent before CONNACK 0x00
3.2.0-2 | server | One CONNACK a connection
3.2.2-1 | server | Bits 7 to 1 of the connect acknowledge flags are 0
3.2.2-2 | server | Clean Start 1: Session Present is 0
3.2.2-3 | server | Clean Start 0: Session Present says whether there was a session
3.2.2-4 | client | A client without a session closes the connection on Session Present 1
3.2.2-5 | client | A client with a session drops it on Session Present 0
3.2.2-6 | server | A reason code other than 0 comes with Session Present 0
3.2.2-7 | server | After a reason code of 0x80 or more the connection is closed
3.2.2-8 | server | CONNACK uses one of its reason codes
3.2.2-9 | server | A server without QoS 1 or 2 says so by Maximum QoS | our server supports all three
3.2.2-10 | server | Such a server still accepts subscriptions at any QoS | our server supports all three
3.2.2-11 | client | A client publishes at no QoS above Maximum QoS
3.2.2-12 | server | A will at a QoS not supported refuses the connection | our server supports all three
3.2.2-13 | server | A retained will, where not supported, refuses the connection | our server retains messages
3.2.2-14 | client | A client publishes nothing retained where Retain Available is 0
3.2.2-15 | both | No packet is larger than the server's Maximum Packet Size
3.2.2-16 | server | A client identifier of no bytes: CONNACK has an assigned one that no session uses
3.2.2-17 | both | No topic alias towards the server is above its Topic Alias Maximum
3.2.2-18 | both | No topic alias at all where the server gave no Topic Alias Maximum
3.2.2-19 | server | No Reason String that makes CONNACK larger than the client's Maximum Packet Size
3.2.2-20 | server | No User Property that makes CONNACK larger than the client's Maximum Packet Size
3.2.2-21 | client | A client uses the Server Keep Alive it was given
3.2.2-22 | server | Without Server Keep Alive the client's Keep Alive holds
3.3.1-1 | both | DUP is 1 on a PUBLISH delivered again
3.3.1-2 | both | DUP is 0 at QoS 0
3.3.1-3 | server | DUP towards a subscriber says only whether that PUBLISH is sent again
3.3.1-4 | both | QoS 3 is not used
3.3.1-5 | server | RETAIN 1: the message takes the place of the one retained on its topic
3.3.1-6 | server | A retained message without payload is delivered and removes what was retained
3.3.1-7 | server | A retained message without payload is not stored
3.3.1-8 | server | RETAIN 0 neither stores nor removes a retained message
3.3.1-9 | server | Retain Handling 0: a subscription gets the retained messages
3.3.1-10 | server | Retain Handling 1: only a subscription that was not there gets them
3.3.1-11 | server | Retain Handling 2: it gets none
3.3.1-12 | server | Retain As Published 0: RETAIN is 0 on what is forwarded
3.3.1-13 | server | Retain As Published 1: RETAIN is as it came
3.3.2-1 | both | The topic name comes first in PUBLISH and is a UTF-8 string
3.3.2-2 | both | A topic name has no wildcards
3.3.2-3 | server | What a subscriber gets has a topic that its filter matches
3.3.2-4 | server | Payload Format Indicator is passed on as it is
3.3.2-5 | server | A copy whose Message Expiry Interval passed before delivery began is deleted
3.3.2-6 | server | Message Expiry Interval is passed on less the time spent waiting
3.3.2-7 | both | Topic aliases end with the connection
3.3.2-8 | both | Topic alias 0 is not used
3.3.2-9 | both | A client's topic alias is at most the server's Topic Alias Maximum
3.3.2-10 | client | A client accepts every alias up to its own Topic Alias Maximum
3.3.2-11 | server | A server's topic alias is at most the client's Topic Alias Maximum
3.3.2-12 | server | A server accepts every alias up to its own Topic Alias Maximum
3.3.2-13 | both | Response Topic is a UTF-8 string
3.3.2-14 | both | Response Topic has no wildcards
3.3.2-15 | server | Response Topic is passed on as it is
3.3.2-16 | server | Correlation Data is passed on as it is
3.3.2-17 | server | User properties are all passed on as they are
3.3.2-18 | server | User properties keep their order
3.3.2-19 | both | Content Type is a UTF-8 string
3.3.2-20 | server | Content Type is passed on as it is
3.3.4-1 | both | PUBLISH is answered by PUBACK at QoS 1, PUBREC at QoS 2, nothing at QoS 0
3.3.4-2 | server | Overlapping subscriptions: delivered at the highest QoS among them
3.3.4-3 | server | The subscription identifiers of overlapping subscriptions come with the message
3.3.4-4 | server | A single copy has the identifiers of all matching subscriptions
3.3.4-5 | server | A copy a subscription has that subscription's identifier
3.3.4-6 | both | A client's PUBLISH has no Subscription Identifier
3.3.4-7 | both | A client has at most Receive Maximum publications above QoS 0 unacknowledged
3.3.4-8 | client | A client sends its other packets even then
3.3.4-9 | server | A server has at most the client's Receive Maximum publications above QoS 0 unacknowledged
3.3.4-10 | server | A server sends its other packets even then
3.4.2-1 | both | PUBACK uses one of its reason codes
3.4.2-2 | both | No Reason String that makes PUBACK larger than the receiver's Maximum Packet Size
3.4.2-3 | both | No User Property that makes PUBACK larger than the receiver's Maximum Packet Size
3.5.2-1 | both | PUBREC uses one of its reason codes
3.5.2-2 | both | No Reason String that makes PUBREC larger than the receiver's Maximum Packet Size
3.5.2-3 | both | No User Property that makes PUBREC larger than the receiver's Maximum Packet Size
3.6.1-1 | both | PUBREL has the flags 0010; others are malformed and close the connection
3.6.2-1 | both | PUBREL uses one of its reason codes
3.6.2-2 | both | No Reason String that makes PUBREL larger than the receiver's Maximum Packet Size
3.6.2-3 | both | No User Property that makes PUBREL larger than the receiver's Maximum Packet Size
3.7.2-1 | both | PUBCOMP uses one of its reason codes
3.7.2-2 | both | No Reason String that makes PUBCOMP larger than the receiver's Maximum Packet Size
3.7.2-3 | both | No User Property that makes PUBCOMP larger than the receiver's Maximum Packet Size
3.8.1-1 | both | SUBSCRIBE has the flags 0010; others are malformed and close the connection
3.8.3-1 | both | Topic filters in SUBSCRIBE are UTF-8 strings
3.8.3-2 | both | SUBSCRIBE has at least one topic filter with its options
3.8.3-3 | server | No Local 1: nothing is forwarded to the client identifier that published it
3.8.3-4 | both | No Local 1 on a shared subscription is a protocol error
3.8.3-5 | server | Reserved bits of the subscription options other than 0 are malformed
3.8.4-1 | server | SUBSCRIBE is answered by SUBACK
3.8.4-2 | server | SUBACK has the packet identifier of its SUBSCRIBE
3.8.4-3 | server | The same filter again, not shared, replaces the subscription
3.8.4-4 | server | With Retain Handling 0 that sends retained messages again; nothing is lost by replacing
3.8.4-5 | server | Several filters act like several SUBSCRIBE packets, with one SUBACK
3.8.4-6 | server | SUBACK has a reason code for each filter
3.8.4-7 | server | It is the granted QoS or a failure
3.8.4-8 | server | Messages come at the lower of their own QoS and the granted one
3.9.2-1 | server | No Reason String that makes SUBACK larger than the client's Maximum Packet Size
3.9.2-2 | server | No User Property that makes SUBACK larger than the client's Maximum Packet Size
3.9.3-1 | server | Reason codes are in the order of the filters
3.9.3-2 | server | SUBACK uses one of its reason codes for each filter
3.10.1-1 | both | UNSUBSCRIBE has the flags 0010; others are malformed and close the connection
3.10.3-1 | both | Topic filters in UNSUBSCRIBE are UTF-8 strings
3.10.3-2 | both | UNSUBSCRIBE has at least one topic filter
3.10.4-1 | server | Filters are compared character by character; an exact match deletes the subscription
3.10.4-2 | server | After that no new messages are added for the client
3.10.4-3 | server | Messages of QoS 1 and 2 already begun are finished
3.10.4-4 | server | UNSUBSCRIBE is answered by UNSUBACK
3.10.4-5 | server | UNSUBACK has the same packet identifier and comes even where nothing was deleted
3.10.4-6 | server | Several filters act like several UNSUBSCRIBE packets, with one UNSUBACK
3.11.2-1 | server | No Reason String that makes UNSUBACK larger than the client's Maximum Packet Size
3.11.2-2 | server | No User Property that makes UNSUBACK larger than the client's Maximum Packet Size
3.11.3-1 | server | Reason codes are in the order of the filters
3.11.3-2 | server | UNSUBACK uses one of its reason codes for each filter
3.12.4-1 | server | PINGREQ is answered by PINGRESP
3.14.0-1 | server | No DISCONNECT before a CONNACK below 0x80
3.14.1-1 | both | DISCONNECT has the flags 0000; others are answered by DISCONNECT 0x81
3.14.2-1 | both | DISCONNECT uses one of its reason codes
3.14.2-2 | server | A server's DISCONNECT has no Session Expiry Interval
3.14.2-3 | both | No Reason String that makes DISCONNECT larger than the receiver's Maximum Packet Size
3.14.2-4 | both | No User Property that makes DISCONNECT larger than the receiver's Maximum Packet Size
3.14.4-1 | both | After DISCONNECT nothing more is sent
3.14.4-2 | both | After DISCONNECT its sender closes the connection
3.14.4-3 | server | DISCONNECT 0x00 discards the will without publishing it
3.15.1-1 | both | AUTH has the flags 0000; others are malformed and close the connection
3.15.2-1 | both | AUTH uses one of its reason codes
3.15.2-2 | both | No Reason String that makes AUTH larger than the receiver's Maximum Packet Size
3.15.2-3 | both | No User Property that makes AUTH larger than the receiver's Maximum Packet Size
4.1.0-1 | both | Session state is not discarded while the connection is open
4.1.0-2 | server | It is discarded when the connection is closed and Session Expiry Interval has passed
4.2.0-1 | both | A transport is offered that is an ordered, lossless stream of bytes both ways
4.3.1-1 | both | QoS 0 is sent with DUP 0
4.3.2-1 | both | QoS 1, sender: an unused packet identifier for each new message
4.3.2-2 | both | QoS 1, sender: first sent with DUP 0
4.3.2-3 | both | QoS 1, sender: unacknowledged until PUBACK
4.3.2-4 | both | QoS 1, receiver: PUBACK with that identifier once the message is owned
4.3.2-5 | both | QoS 1, receiver: after PUBACK the identifier stands for a new message, whatever DUP says
4.3.3-1 | both | QoS 2, sender: an unused packet identifier for each new message
4.3.3-2 | both | QoS 2, sender: first sent with DUP 0
4.3.3-3 | both | QoS 2, sender: unacknowledged until PUBREC
4.3.3-4 | both | QoS 2, sender: a PUBREC below 0x80 is answered by PUBREL with the same identifier
4.3.3-5 | both | QoS 2, sender: PUBREL is unacknowledged until PUBCOMP
4.3.3-6 | both | QoS 2, sender: no PUBLISH again after PUBREL
4.3.3-7 | both | QoS 2, sender: no message expiry once PUBLISH was sent
4.3.3-8 | both | QoS 2, receiver: PUBREC with that identifier once the message is owned
4.3.3-9 | both | QoS 2, receiver: after a PUBREC of 0x80 or more the identifier stands for a new message
4.3.3-10 | both | QoS 2, receiver: until PUBREL, the same identifier gets PUBREC and no second delivery
4.3.3-11 | both | QoS 2, receiver: PUBREL is answered by PUBCOMP with the same identifier
4.3.3-12 | both | QoS 2, receiver: after PUBCOMP the identifier stands for a new message
4.3.3-13 | both | QoS 2, receiver: the exchange goes on even where the message expired
4.4.0-1 | both | Unacknowledged PUBLISH and PUBREL are sent again on resuming a session, and only then
4.4.0-2 | both | A PUBACK or PUBREC of 0x80 or more acknowledges: nothing is sent again
4.5.0-1 | server | An accepted message joins the session of every client with a matching subscription
4.5.0-2 | client | A client acknowledges what it receives, whether or not it makes use of it
4.6.0-1 | client | A client sends PUBLISH again in its first order
4.6.0-2 | client | A client sends PUBACK in the order of the PUBLISH packets
4.6.0-3 | client | A client sends PUBREC in the order of the PUBLISH packets
4.6.0-4 | client | A client sends PUBREL in the order of the PUBREC packets
4.6.0-5 | server | One client's messages of an ordered topic and a QoS reach consumers in the order they came
4.6.0-6 | server | Every topic is ordered for subscriptions that are not shared, unless configured otherwise
4.7.0-1 | both | Wildcards belong in topic filters, not in topic names
4.7.1-1 | both | `#` stands alone or after a separator, and last
4.7.1-2 | both | `+` takes a whole level
4.7.2-1 | server | A filter that starts with a wildcard does not match topics that start with `$`
4.7.3-1 | both | Topic names and filters have at least one character
4.7.3-2 | both | Topic names and filters have no U+0000
4.7.3-3 | both | Topic names and filters have at most 65,535 bytes
4.7.3-4 | server | Matching neither normalizes nor replaces characters
4.8.2-1 | both | A shared subscription starts with `$share/` and has a share name of at least one character
4.8.2-2 | both | The share name has no `/`, `+` or `#`; a `/` and a topic filter follow
4.8.2-3 | server | A shared subscriber's granted QoS is respected
4.8.2-4 | server | QoS 2 begun with one shared subscriber is finished with it when it is back
4.8.2-5 | server | If that session ends first, the message goes to no other subscriber
4.8.2-6 | server | A shared delivery answered with 0x80 or more is discarded and goes to no other
4.9.0-1 | both | The first send quota is above 0 and at most Receive Maximum
4.9.0-2 | both | At a send quota of 0 no PUBLISH above QoS 0 is sent
4.9.0-3 | both | At a send quota of 0 all other packets are still processed
4.12.0-1 | server | An unknown authentication method: perhaps CONNACK 0x8C or 0x87, then the close
4.12.0-2 | server | A server that needs more sends AUTH with 0x18
4.12.0-3 | both | A client answers AUTH with AUTH and 0x18
4.12.0-4 | server | A server may refuse at any step, perhaps with CONNACK of 0x80 or more, then the close
4.12.0-5 | both | AUTH and a successful CONNACK repeat the Authentication Method of CONNECT
4.12.0-6 | server | Without one in CONNECT the server sends no AUTH and no Authentication Method
4.12.0-7 | both | Without one in CONNECT the client sends no AUTH
4.12.1-1 | both | Authenticating again (AUTH 0x19) keeps the method of CONNECT
4.12.1-2 | both | If that fails, perhaps DISCONNECT, then the close
4.13.1-1 | server | A malformed packet or a protocol error closes the connection
4.13.2-1 | both | A reason code of 0x80 or more in CONNACK or DISCONNECT means the close, sent or not
6.0.0-1 | both | Over WebSocket: binary frames only; another data frame closes the connection
6.0.0-2 | both | Over WebSocket: packets may be split over frames or share one
6.0.0-3 | client | Over WebSocket: the client offers the subprotocol `mqtt`
6.0.0-4 | server | Over WebSocket: the server selects the subprotocol `mqtt`
"""
