/* The load generator of the benchmark: many MQTT clients in one thread, fast enough not to be the limit.
 *
 *   main.c        options and modes           flow.c      publishers to subscribers, saturated or paced
 *   connection.c  sockets, TLS, epoll          publish.c   preformatted frames, windows, the schedule
 *   packets.c     MQTT packets out             receive.c   MQTT packets in, sequence numbers checked
 *   layout.c      who publishes what to whom   churn.c     subscriptions that come and go
 *   connect.c     handshakes, idle clients     measure.c   clocks, latencies, the broker's /proc
 */
#ifndef LOAD_H
#define LOAD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum packet_type {
    CONNECT = 1, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK,
    PINGREQ, PINGRESP, DISCONNECT,
};

enum layout_kind { PAIR, FANOUT, FANIN, MIX, TOPICS, SCALE };

struct options {
    const char *host;
    int port;
    bool tls;
    int tls_version;              /* 12, 13, or 0 for the highest both know */
    const char *ca, *cert, *key;
    const char *username, *password;
    int version;                  /* MQTT protocol level: 4 or 5 */
    int qos;
    unsigned keep_alive;          /* seconds */
    unsigned payload;             /* bytes, at least sizeof(struct stamp) */
    enum layout_kind layout;
    const char *layout_name;
    unsigned publishers, subscribers;
    unsigned topics;              /* distinct topics of the layouts that have many */
    unsigned subscriptions;       /* of the layouts mix and scale */
    unsigned depth;               /* topic levels of the layout scale */
    unsigned window;              /* QoS 1 and 2: unacknowledged publications of one publisher */
    double seconds;               /* how long to publish, or to stay idle */
    double rate;                  /* publications a second of all publishers together; 0: as fast as they go */
    bool once;                    /* publish on every topic once, and stop */
    size_t unread;                /* QoS 0: bytes a subscriber may be behind before publishers wait; 0: any */
    double churn;                 /* subscribe and unsubscribe operations a second */
    unsigned stalled;             /* subscribers that never read */
    double patience;              /* seconds without a delivery after which what is missing counts as lost */
    unsigned connections, concurrency;
    bool resume;
    const char *pids;             /* the broker's processes, comma separated */
};
extern struct options options;

/* What every payload begins with. */
struct stamp {
    uint32_t stream;              /* index of (publisher, topic) */
    uint32_t sequence;            /* 1, 2, 3, ... within the stream */
    uint64_t due_ns;              /* when it was due; 0: its latency is not sampled */
};

enum phase { CLOSED, CONNECTING, HANDSHAKING, AWAITING_CONNACK, SUBSCRIBING, RUNNING };

/* One MQTT client on a non-blocking socket, watched edge-triggered. */
struct connection {
    int fd;
    SSL *tls;
    SSL_SESSION *session;         /* newest ticket, for resumption */
    enum phase phase;
    unsigned index;
    bool readable, writable;      /* what the kernel last said */
    bool queued;                  /* among those with input left over */
    bool ended;                   /* the broker will send no more */
    bool stalls, paused;          /* is to stop reading once subscribed; has stopped */
    uint8_t carry[512];           /* the beginning of a frame that the last read cut off */
    size_t carried;
    size_t skip;                  /* payload bytes still to pass over */
    uint8_t *out;                 /* small packets to send */
    size_t out_start, out_end, out_capacity;
    const uint8_t *slice;         /* preformatted publications to send; before anything in out */
    size_t slice_left;
    struct publisher *publisher;
    struct subscriber *subscriber;
    unsigned receive_maximum;     /* the server's; 65535 where it names none */
    uint64_t started_ns;
    uint64_t ticket_generation;
};

/* Sends the streams first, first + step, ... in turn. */
struct publisher {
    struct connection *connection;
    unsigned first, step, streams;
    uint8_t *block;               /* frames of equal length */
    uint8_t *heads;               /* what comes before the payload, a stream each; NULL: the block has them all */
    unsigned frames, stride, stamp_offset, packet_id_offset;
    unsigned position;            /* next frame */
    unsigned slot;                /* its stream, as an index into the publisher's own */
    uint32_t sequence;
    uint64_t sent, acknowledged, received;   /* publications; acknowledged fully; PUBACK or PUBREC seen */
    uint16_t packet_id;
};

struct subscriber {
    struct connection *connection;
    unsigned index;
    unsigned filters, subscribed; /* how many to subscribe to; how many are */
    uint32_t *streams;            /* what it must receive */
    unsigned stream_count, stream_capacity;
    uint64_t received;
};

/* What one subscriber has seen of one stream. */
struct track {
    uint64_t seen;                /* bit i: sequence next - 1 - i arrived */
    uint32_t next;                /* expected sequence; 0: not subscribed */
    uint32_t owner;               /* subscriber, where a stream has one only */
};

struct totals {
    uint64_t published, acknowledged, received;
    uint64_t duplicates, out_of_order, misrouted, foreign, refused, acknowledgements_out_of_order;
    uint64_t closed;              /* connections the broker closed */
    uint64_t churn_sent, churn_answered, churn_received;
};
extern struct totals totals;

/* What a mode does when something happens to a connection. */
struct events {
    void (*accepted)(struct connection *);                     /* CONNACK arrived */
    void (*packet)(struct connection *, uint8_t header, const uint8_t *body, size_t length);
    void (*progress)(struct connection *);                     /* input handled, or writable again */
    void (*closed)(struct connection *);
};
extern struct events events;

/* connection.c */
void network_open(bool bulk);
void connection_open(struct connection *c);
void connection_close(struct connection *c);
void connection_append(struct connection *c, const void *data, size_t length);
void connection_flush(struct connection *c);
void network_step(int timeout_ms);
const char *tls_description(const struct connection *c);

/* packets.c */
size_t put_remaining_length(uint8_t *to, size_t value);
size_t put_string(uint8_t *to, const char *text);
void send_connect(struct connection *c);
void send_subscribe(struct connection *c, uint16_t packet_id, unsigned from, unsigned count,
                    void (*filter)(struct connection *, unsigned index, char *to));
void send_unsubscribe(struct connection *c, uint16_t packet_id, const char *filter);
void send_acknowledgement(struct connection *c, uint8_t header, const uint8_t *packet_id);
void send_bare(struct connection *c, uint8_t type);
size_t publish_head(uint8_t *to, const char *topic, size_t *packet_id_offset);

/* receive.c */
void receive(struct connection *c, const uint8_t *data, size_t length);
void tracks_allocate(void);
struct track *track_of(unsigned subscriber, unsigned stream);

/* layout.c */
extern unsigned stream_count;
void layout_prepare(struct publisher *publishers, struct subscriber *subscribers);
void layout_topic(unsigned stream, char *to);
void layout_filter(struct connection *c, unsigned index, char *to);
void layout_churn_filter(unsigned index, char *to);
bool layout_exclusive(void);

/* publish.c */
void publisher_prepare(struct publisher *p);
bool publisher_may_send(const struct publisher *p);
void publish_slice(struct publisher *p, unsigned limit);
void publish_one(struct publisher *p, uint64_t due_ns);
void publisher_acknowledged(struct publisher *p, uint8_t type, const uint8_t *body, size_t length);
uint64_t publisher_sent_of(const struct publisher *p, unsigned slot);
void publish_hold(bool hold);

/* churn.c */
void churn_open(void);
bool churn_ready(void);
void churn_start(uint64_t now);
void churn_step(uint64_t now);
bool churn_packet(struct connection *c, uint8_t header);

/* measure.c */
uint64_t now_ns(void);
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void latency_add(uint64_t due_ns, uint64_t now);
void latency_reset(void);
void latency_print(const char *name);
double broker_cpu_seconds(void);
long broker_memory_kb(const char *file, const char *field);
double own_cpu_seconds(void);

/* modes */
int run_flow(void);
int run_connect(void);
int run_idle(void);

#endif
