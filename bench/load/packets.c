/* MQTT 3.1.1 and 5 packets that clients send. */
#include "load.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 256, SUBSCRIBE_MAX = 32 * 1024 };

size_t put_remaining_length(uint8_t *to, size_t value)
{
    size_t n = 0;
    do {
        to[n] = value & 127;
        value >>= 7;
        if (value)
            to[n] |= 128;
        n++;
    } while (value);
    return n;
}

static size_t put_u16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
    return 2;
}

size_t put_string(uint8_t *to, const char *text)
{
    size_t length = strlen(text);
    put_u16(to, (unsigned)length);
    memcpy(to + 2, text, length);
    return length + 2;
}

static void send_packet(struct connection *c, uint8_t header, const uint8_t *body, size_t length)
{
    uint8_t head[5] = {header};
    size_t n = 1 + put_remaining_length(head + 1, length);
    connection_append(c, head, n);
    connection_append(c, body, length);
}

/* The user name of a connection: %u in the option stands for the connection's number. */
static size_t put_username(uint8_t *to, const struct connection *c)
{
    char name[TEXT_MAX];
    const char *place = strstr(options.username, "%u");
    if (!place)
        return put_string(to, options.username);
    snprintf(name, sizeof name, "%.*s%u%s", (int)(place - options.username), options.username, c->index, place + 2);
    return put_string(to, name);
}

void send_connect(struct connection *c)
{
    uint8_t body[4 * TEXT_MAX];
    char client_id[64];
    size_t n = put_string(body, "MQTT");
    body[n++] = (uint8_t)options.version;
    body[n++] = (uint8_t)(2 | (options.username ? 0x80 : 0) | (options.password ? 0x40 : 0));
    n += put_u16(body + n, options.keep_alive);
    if (options.version == 5)
        body[n++] = 0;
    snprintf(client_id, sizeof client_id, "load-%d-%u", (int)getpid(), c->index);
    n += put_string(body + n, client_id);
    if (options.username)
        n += put_username(body + n, c);
    if (options.password)
        n += put_string(body + n, options.password);
    send_packet(c, CONNECT << 4, body, n);
}

void send_subscribe(struct connection *c, uint16_t packet_id, unsigned from, unsigned count,
                    void (*filter)(struct connection *, unsigned index, char *to))
{
    static uint8_t body[SUBSCRIBE_MAX];
    char text[TEXT_MAX];
    size_t n = put_u16(body, packet_id);
    if (options.version == 5)
        body[n++] = 0;
    for (unsigned i = 0; i < count; i++) {
        filter(c, from + i, text);
        n += put_string(body + n, text);
        body[n++] = (uint8_t)options.qos;
    }
    send_packet(c, SUBSCRIBE << 4 | 2, body, n);
}

void send_unsubscribe(struct connection *c, uint16_t packet_id, const char *filter)
{
    uint8_t body[2 * TEXT_MAX];
    size_t n = put_u16(body, packet_id);
    if (options.version == 5)
        body[n++] = 0;
    n += put_string(body + n, filter);
    send_packet(c, UNSUBSCRIBE << 4 | 2, body, n);
}

/* PUBACK, PUBREC, PUBREL, PUBCOMP: success, so the short form in both versions. */
void send_acknowledgement(struct connection *c, uint8_t header, const uint8_t *packet_id)
{
    uint8_t packet[4] = {header, 2, packet_id[0], packet_id[1]};
    connection_append(c, packet, sizeof packet);
}

void send_bare(struct connection *c, uint8_t type)
{
    uint8_t packet[2] = {(uint8_t)(type << 4), 0};
    connection_append(c, packet, sizeof packet);
}

/* Everything of a PUBLISH before its payload; packet_id_offset says where its packet identifier goes. */
size_t publish_head(uint8_t *to, const char *topic, size_t *packet_id_offset)
{
    size_t remaining = 2 + strlen(topic) + (options.qos ? 2 : 0) + (options.version == 5 ? 1 : 0) + options.payload;
    size_t n = 0;
    to[n++] = (uint8_t)(PUBLISH << 4 | options.qos << 1);
    n += put_remaining_length(to + n, remaining);
    n += put_string(to + n, topic);
    *packet_id_offset = n;
    if (options.qos)
        n += put_u16(to + n, 0);
    if (options.version == 5)
        to[n++] = 0;
    return n;
}
