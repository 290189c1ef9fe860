/* Publishers: frames are formatted once; a publication costs one small store and its share of a large write. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

enum {
    SLICE_SIZE = 64 * 1024,       /* bytes handed to one write */
    BLOCK_SIZE = 4 * 1024 * 1024,
    COPY_SIZE = 16 * 1024,        /* shorter ones go into the same write as acknowledgements */
};

static bool held = true;

void publish_hold(bool hold)
{
    held = hold;
}

/* Formats everything of the publisher's stream number slot that comes before the payload. */
static size_t format_head(const struct publisher *p, unsigned slot, uint8_t *to)
{
    char topic[256];
    size_t packet_id_offset;
    layout_topic(p->first + slot * p->step, topic);
    return publish_head(to, topic, &packet_id_offset);
}

static void format_heads(struct publisher *p)
{
    uint8_t head[512];
    p->heads = malloc((size_t)p->streams * p->stamp_offset);
    if (!p->heads)
        die("no memory for topics");
    for (unsigned slot = 0; slot < p->streams; slot++) {
        if (format_head(p, slot, head) != p->stamp_offset)
            die("the topics of one publisher must be equally long");
        memcpy(p->heads + (size_t)slot * p->stamp_offset, head, p->stamp_offset);
    }
}

/* Formats the block: as many frames as fill a slice, in whole rounds through the publisher's streams. Where one
 * round would be too large, frames get their heads only when they are sent. */
void publisher_prepare(struct publisher *p)
{
    uint8_t head[512];
    char topic[256];
    size_t packet_id_offset;
    layout_topic(p->first, topic);
    p->stamp_offset = (unsigned)publish_head(head, topic, &packet_id_offset);
    p->packet_id_offset = (unsigned)packet_id_offset;
    p->stride = p->stamp_offset + options.payload;
    format_heads(p);
    p->frames = SLICE_SIZE / p->stride + 1;
    bool rounds = (size_t)p->streams * p->stride <= BLOCK_SIZE;
    if (rounds)
        p->frames = (p->frames + p->streams - 1) / p->streams * p->streams;
    p->block = malloc((size_t)p->frames * p->stride);
    if (!p->block)
        die("no memory for publications");
    for (unsigned i = 0; i < p->frames; i++) {
        uint8_t *frame = p->block + (size_t)i * p->stride;
        memcpy(frame, p->heads + (size_t)(i % p->streams) * p->stamp_offset, p->stamp_offset);
        for (unsigned j = 0; j < options.payload; j++)
            frame[p->stamp_offset + j] = (uint8_t)('a' + j % 26);
    }
    if (rounds) {
        free(p->heads);
        p->heads = NULL;
    }
    p->sequence = 1;
    p->packet_id = 1;
}

static unsigned window_left(const struct publisher *p)
{
    uint64_t window = options.window;
    if (window > p->connection->receive_maximum)
        window = p->connection->receive_maximum;
    uint64_t outstanding = p->sent - p->acknowledged;
    return outstanding < window ? (unsigned)(window - outstanding) : 0;
}

bool publisher_may_send(const struct publisher *p)
{
    const struct connection *c = p->connection;
    if (held || c->phase != RUNNING || c->slice_left || (options.once && p->sent == p->streams))
        return false;
    return options.qos ? window_left(p) > 0 : c->writable && c->out_start == c->out_end;
}

/* Gives the next frame its stream, sequence, time and packet identifier. */
static void stamp_frame(struct publisher *p, uint8_t *frame, uint64_t due_ns)
{
    struct stamp stamp = {p->first + p->slot * p->step, p->sequence, due_ns};
    if (p->heads)
        memcpy(frame, p->heads + (size_t)p->slot * p->stamp_offset, p->stamp_offset);
    memcpy(frame + p->stamp_offset, &stamp, sizeof stamp);
    if (++p->slot == p->streams) {
        p->slot = 0;
        p->sequence++;
    }
    if (options.qos) {
        frame[p->packet_id_offset] = (uint8_t)(p->packet_id >> 8);
        frame[p->packet_id_offset + 1] = (uint8_t)p->packet_id;
        if (++p->packet_id == 0)
            p->packet_id = 1;
    }
}

static void send_frames(struct publisher *p, unsigned count, uint64_t due_ns)
{
    struct connection *c = p->connection;
    uint8_t *start = p->block + (size_t)p->position * p->stride;
    for (unsigned i = 0; i < count; i++)
        stamp_frame(p, start + (size_t)i * p->stride, i ? 0 : due_ns);
    p->position = (p->position + count) % p->frames;
    p->sent += count;
    totals.published += count;
    size_t length = (size_t)count * p->stride;
    if (length <= COPY_SIZE || c->out_start < c->out_end) {
        connection_append(c, start, length);
    } else {
        c->slice = start;
        c->slice_left = length;
    }
}

/* Sends up to limit publications, as many as fit into one write; the latency of the first one is sampled. */
void publish_slice(struct publisher *p, unsigned limit)
{
    unsigned count = SLICE_SIZE / p->stride;
    if (count == 0)
        count = 1;
    if (count > limit)
        count = limit;
    if (count > p->frames - p->position)
        count = p->frames - p->position;
    if (options.qos && count > window_left(p))
        count = window_left(p);
    if (options.once && count > p->streams - p->sent)
        count = (unsigned)(p->streams - p->sent);
    if (count)
        send_frames(p, count, now_ns());
}

/* Sends one publication whose latency counts from due_ns. */
void publish_one(struct publisher *p, uint64_t due_ns)
{
    send_frames(p, 1, due_ns);
}

/* PUBACK, PUBREC and PUBCOMP come in the order of their PUBLISH [MQTT-4.6.0-2, 4.6.0-3]. */
void publisher_acknowledged(struct publisher *p, uint8_t type, const uint8_t *body, size_t length)
{
    uint64_t *count = type == PUBREC ? &p->received : &p->acknowledged;
    unsigned packet_id = (unsigned)(body[0] << 8 | body[1]);
    if (packet_id != *count % 65535 + 1)
        totals.acknowledgements_out_of_order++;
    ++*count;
    bool refused = length > 2 && body[2] >= 0x80;
    totals.refused += refused;
    if (type != PUBREC) {
        totals.acknowledged++;
    } else if (refused) {
        p->acknowledged++;
        totals.acknowledged++;
    } else {
        send_acknowledgement(p->connection, PUBREL << 4 | 2, body);
    }
}

/* Publications sent of the publisher's stream number slot. */
uint64_t publisher_sent_of(const struct publisher *p, unsigned slot)
{
    return p->sent / p->streams + (slot < p->sent % p->streams);
}
