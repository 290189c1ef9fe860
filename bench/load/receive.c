/* What brokers send: frames are found where they lie, and every payload's stamp is checked. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN_BITS = 64 };

static struct track *tracks;

void tracks_allocate(void)
{
    size_t count = (size_t)stream_count * (layout_exclusive() ? 1 : options.subscribers);
    tracks = calloc(count ? count : 1, sizeof *tracks);
    if (!tracks)
        die("no memory for %zu tracks", count);
}

struct track *track_of(unsigned subscriber, unsigned stream)
{
    return layout_exclusive() ? &tracks[stream] : &tracks[(size_t)subscriber * stream_count + stream];
}

/* A publication older than the newest one of its stream: a second copy, or one that was overtaken. */
static bool count_late(struct track *t, uint32_t sequence)
{
    uint32_t age = t->next - 1 - sequence;
    if (age >= SEEN_BITS || t->seen >> age & 1) {
        totals.duplicates++;
        return false;
    }
    t->seen |= (uint64_t)1 << age;
    totals.out_of_order++;
    return true;
}

static void count_delivery(struct subscriber *s, const struct stamp *stamp)
{
    if (stamp->stream >= stream_count) {
        totals.foreign++;
        return;
    }
    struct track *t = track_of(s->index, stamp->stream);
    if (!t->next || t->owner != s->index) {
        totals.misrouted++;
        return;
    }
    uint32_t ahead = stamp->sequence - t->next;
    if (ahead == 0) {
        t->seen = t->seen << 1 | 1;
        t->next++;
    } else if (ahead < UINT32_MAX / 2) {
        t->seen = ahead + 1 < SEEN_BITS ? t->seen << (ahead + 1) | 1 : 1;
        t->next = stamp->sequence + 1;
    } else if (!count_late(t, stamp->sequence)) {
        return;
    }
    s->received++;
    totals.received++;
}

/* Reads a variable byte integer; 0 where its end is not there yet. */
static size_t variable_byte_integer(const uint8_t *from, size_t available, size_t *value)
{
    *value = 0;
    for (size_t n = 0; n < 4; n++) {
        if (n == available)
            return 0;
        *value |= (size_t)(from[n] & 127) << 7 * n;
        if (from[n] < 128)
            return n + 1;
    }
    die("the broker sent a malformed length");
}

struct publication {
    size_t packet_id, payload;    /* offsets in the packet's body */
};

/* False: not enough of the packet is there yet. */
static bool read_publication(const uint8_t *body, size_t available, int qos, struct publication *found)
{
    if (available < 2)
        return false;
    found->packet_id = 2 + ((size_t)body[0] << 8 | body[1]);
    found->payload = found->packet_id + (qos ? 2 : 0);
    if (options.version == 5) {
        size_t properties;
        if (available <= found->payload)
            return false;
        size_t n = variable_byte_integer(body + found->payload, available - found->payload, &properties);
        if (!n)
            return false;
        found->payload += n + properties;
    }
    return available >= found->payload;
}

/* The server's Receive Maximum [MQTT 5, 3.2.2.3.3]. */
static unsigned receive_maximum(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        switch (*at++) {
        case 0x21: return end - at >= 2 ? (unsigned)(at[0] << 8 | at[1]) : 65535;
        case 0x11: case 0x27: at += 4; break;
        case 0x22: case 0x13: at += 2; break;
        case 0x24: case 0x25: case 0x28: case 0x29: case 0x2a: at += 1; break;
        default:
            if (end - at < 2)
                return 65535;
            bool pair = at[-1] == 0x26;
            at += 2 + (at[0] << 8 | at[1]);
            if (pair && end - at >= 2)
                at += 2 + (at[0] << 8 | at[1]);
        }
    }
    return 65535;
}

static void receive_connack(struct connection *c, const uint8_t *body, size_t length)
{
    if (length < 2 || body[1])
        die("CONNECT was refused with reason 0x%02x", length < 2 ? 0xff : body[1]);
    size_t properties;
    size_t n = options.version == 5 ? variable_byte_integer(body + 2, length - 2, &properties) : 0;
    if (n)
        c->receive_maximum = receive_maximum(body + 2 + n, body + 2 + n + properties);
    events.accepted(c);
}

static void receive_packet(struct connection *c, uint8_t header, const uint8_t *body, size_t length)
{
    switch (header >> 4) {
    case CONNACK:
        receive_connack(c, body, length);
        break;
    case PUBREL:
        send_acknowledgement(c, PUBCOMP << 4, body);
        break;
    case PINGRESP:
        break;
    case DISCONNECT:
        fprintf(stderr, "load: the broker disconnects client %u, reason 0x%02x\n", c->index, length ? body[0] : 0);
        break;
    default:
        if (events.packet)
            events.packet(c, header, body, length);
    }
}

static void keep_for_later(struct connection *c, const uint8_t *from, size_t length)
{
    if (length > sizeof c->carry)
        die("the broker sent a packet longer than expected");
    memcpy(c->carry, from, length);
    c->carried = length;
}

/* Counts a publication of which the stamp is there; false: it is not, and more of the packet will come. */
static bool receive_publication(struct connection *c, uint8_t header, const uint8_t *body, size_t available,
                                size_t remaining, uint64_t *now)
{
    struct publication found;
    struct stamp stamp;
    int qos = header >> 1 & 3;
    bool whole = available >= remaining;
    if (!read_publication(body, available, qos, &found)) {
        if (whole)
            die("the broker sent a malformed PUBLISH");
        return false;
    }
    if (available < found.payload + sizeof stamp) {
        if (!whole)
            return false;
        totals.foreign++;
    } else if (!c->subscriber) {
        totals.churn_received++;
    } else {
        memcpy(&stamp, body + found.payload, sizeof stamp);
        count_delivery(c->subscriber, &stamp);
        if (stamp.due_ns) {
            *now = *now ? *now : now_ns();
            latency_add(stamp.due_ns, *now);
        }
    }
    if (qos)
        send_acknowledgement(c, (uint8_t)((qos == 1 ? PUBACK : PUBREC) << 4), body + found.packet_id);
    return true;
}

/* Handles whole packets and the beginnings of publications; the rest of a payload is skipped when it comes. */
void receive(struct connection *c, const uint8_t *data, size_t length)
{
    const uint8_t *at = data, *end = data + length;
    uint64_t now = 0;
    while (at < end && c->phase != CLOSED) {
        size_t available = (size_t)(end - at), remaining;
        if (c->skip) {
            size_t skipped = c->skip < available ? c->skip : available;
            c->skip -= skipped;
            at += skipped;
            continue;
        }
        size_t n = variable_byte_integer(at + 1, available - 1, &remaining);
        size_t total = 1 + n + remaining;
        bool whole = n && available >= total;
        bool taken = whole;
        if (n && at[0] >> 4 == PUBLISH)
            taken = receive_publication(c, at[0], at + 1 + n, available - 1 - n < remaining ? available - 1 - n : remaining,
                                        remaining, &now);
        else if (whole)
            receive_packet(c, at[0], at + 1 + n, remaining);
        if (!taken) {
            keep_for_later(c, at, available);
            return;
        }
        if (!whole)
            c->skip = total - available;
        at += whole ? total : available;
    }
}
