/* Publishers to subscribers: as fast as they go, or at a steady rate with exact latencies. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILTERS_A_PACKET = 100,
    OPENING = 100,                /* connections being opened at a time */
    READY_SECONDS = 300,
    SETTLE_MS = 200,
    FLOOR_BYTES = 4 * 1024 * 1024,
    WRITE_OFF_NS = 300000000,     /* without a delivery, what is under way does not hold publishers back */
};

static const double AHEAD_SECONDS = 0.02;

static struct connection *connections;
static struct publisher *publishers;
static struct subscriber *subscribers;
static unsigned connection_count, ready_count;

static void become_ready(struct connection *c)
{
    c->phase = RUNNING;
    c->paused = c->stalls;
    ready_count++;
}

static void subscribe_more(struct connection *c)
{
    struct subscriber *s = c->subscriber;
    unsigned count = s->filters - s->subscribed;
    if (count > FILTERS_A_PACKET)
        count = FILTERS_A_PACKET;
    if (!count) {
        become_ready(c);
        return;
    }
    send_subscribe(c, 1, s->subscribed, count, layout_filter);
    s->subscribed += count;
}

static void accepted(struct connection *c)
{
    if (c->subscriber) {
        c->phase = SUBSCRIBING;
        subscribe_more(c);
    } else {
        become_ready(c);
    }
}

static void suback(struct connection *c, const uint8_t *body, size_t length)
{
    size_t codes = 2;
    if (options.version == 5)
        codes += 1 + body[2];
    for (size_t i = codes; i < length; i++)
        if (body[i] >= 0x80)
            die("SUBSCRIBE was refused with reason 0x%02x", body[i]);
    subscribe_more(c);
}

static void packet(struct connection *c, uint8_t header, const uint8_t *body, size_t length)
{
    uint8_t type = header >> 4;
    if (churn_packet(c, header))
        return;
    if (type == SUBACK)
        suback(c, body, length);
    else if (c->publisher && (type == PUBACK || type == PUBREC || type == PUBCOMP))
        publisher_acknowledged(c->publisher, type, body, length);
}

/* With QoS 1 and 2 acknowledgements make room in the window. */
static void progress(struct connection *c)
{
    if (c->publisher && options.qos && !options.rate && publisher_may_send(c->publisher))
        publish_slice(c->publisher, options.window);
}

static void prepare(void)
{
    unsigned P = options.publishers, S = options.subscribers;
    bool both = options.layout == MIX;
    connection_count = both ? S : P + S;
    connections = calloc(connection_count, sizeof *connections);
    publishers = calloc(P, sizeof *publishers);
    subscribers = calloc(S, sizeof *subscribers);
    if (!connections || !publishers || !subscribers)
        die("no memory for %u connections", connection_count);
    layout_prepare(publishers, subscribers);
    for (unsigned i = 0; i < connection_count; i++)
        connections[i].index = i;
    for (unsigned i = 0; i < S; i++) {
        subscribers[i].connection = &connections[i];
        connections[i].subscriber = &subscribers[i];
        connections[i].stalls = i < options.stalled;
    }
    for (unsigned i = 0; i < P; i++) {
        struct connection *c = &connections[both ? i * (S / P) : S + i];
        publishers[i].connection = c;
        c->publisher = &publishers[i];
        publisher_prepare(&publishers[i]);
    }
}

static void connect_all(void)
{
    uint64_t deadline = now_ns() + (uint64_t)READY_SECONDS * 1000000000u;
    unsigned opened = 0;
    if (options.churn > 0)
        churn_open();
    while (ready_count < connection_count || (options.churn > 0 && !churn_ready())) {
        while (opened < connection_count && opened < ready_count + OPENING)
            connection_open(&connections[opened++]);
        network_step(100);
        if (totals.closed)
            die("the broker closed %llu connections before they were ready", (unsigned long long)totals.closed);
        if (now_ns() > deadline)
            die("%u of %u clients were ready within %d s", ready_count, connection_count, READY_SECONDS);
    }
    for (uint64_t until = now_ns() + SETTLE_MS * 1000000u; now_ns() < until;)
        network_step(10);
}

/* What subscribers that read must have received of what was published so far. */
static uint64_t expected_of(const struct subscriber *s)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->stream_count; i++) {
        const struct publisher *p = &publishers[s->streams[i] % options.publishers];
        sum += publisher_sent_of(p, s->streams[i] / options.publishers);
    }
    return sum;
}

static uint64_t expected_deliveries(uint64_t *lost_worst)
{
    uint64_t sum = 0;
    *lost_worst = 0;
    for (unsigned i = options.stalled; i < options.subscribers; i++) {
        uint64_t expected = expected_of(&subscribers[i]);
        uint64_t lost = expected - subscribers[i].received;
        *lost_worst = lost > *lost_worst ? lost : *lost_worst;
        sum += expected;
    }
    return sum;
}

/* Deliveries of one publication, averaged over the streams. */
static double average_fanout(void)
{
    uint64_t links = 0;
    for (unsigned i = options.stalled; i < options.subscribers; i++)
        links += subscribers[i].stream_count;
    return (double)links / stream_count;
}

struct course {
    uint64_t start, last;         /* when it began; when something last arrived */
    uint64_t seen;                /* how much had arrived then */
    double fanout;
    double prepare_seconds;       /* connecting and subscribing took */
    double written_off;           /* deliveries that are not waited for any more */
};

static uint64_t arrived(void)
{
    return totals.received + totals.acknowledged;
}

static void note_progress(struct course *course, uint64_t now)
{
    if (arrived() != course->seen) {
        course->seen = arrived();
        course->last = now;
    }
}

/* How many publications each publisher may send now. With QoS 0 nothing else keeps publishers from running away:
 * what is under way is at most what arrives in AHEAD_SECONDS, within bounds in bytes a subscriber. More makes every
 * broker slower, for its buffers leave the processor's caches; less leaves it waiting. */
static unsigned allowance(struct course *course, uint64_t now)
{
    if (!options.unread)
        return UINT32_MAX;
    double received = (double)totals.received;
    double frame = publishers[0].stride;
    double under_way = (double)totals.published * course->fanout - received - course->written_off;
    double most = received / ((double)(now - course->start) * 1e-9 + 0.01) * AHEAD_SECONDS;
    double floor = (double)options.unread / 16 * options.subscribers;
    floor = (floor > FLOOR_BYTES ? FLOOR_BYTES : floor) / frame + 4.0 * options.subscribers;
    double ceiling = (double)options.unread / frame * options.subscribers;
    most = most > ceiling ? ceiling : most;
    most = most < floor ? floor : most;
    if (under_way >= most) {
        if (now - course->last > WRITE_OFF_NS)
            course->written_off += under_way;         /* lost: the final count will tell */
        return 0;
    }
    double each = most / course->fanout / options.publishers;
    return each < 1 ? 1 : (unsigned)each;
}

/* Lets every publisher that can send do so once; returns whether one did. */
static bool publish_round(struct course *course, uint64_t now)
{
    static unsigned next;
    bool sent = false;
    for (unsigned i = 0; i < options.publishers; i++) {
        struct publisher *p = &publishers[next % options.publishers];
        unsigned limit = allowance(course, now);
        if (!limit)
            break;
        next++;
        if (publisher_may_send(p)) {
            publish_slice(p, limit);
            connection_flush(p->connection);
            sent = true;
        }
    }
    return sent;
}

static void run_saturated(struct course *course)
{
    uint64_t end = course->start + (uint64_t)(options.seconds * 1e9), now;
    uint64_t limit = options.once ? stream_count : UINT64_MAX;
    publish_hold(false);
    for (unsigned i = 0; i < options.publishers; i++) {
        progress(publishers[i].connection);
        connection_flush(publishers[i].connection);
    }
    while ((now = now_ns()) < end && totals.published < limit) {
        note_progress(course, now);
        if (options.churn > 0)
            churn_step(now);
        bool sent = !options.qos && publish_round(course, now);
        network_step(sent ? 0 : 1);
    }
    publish_hold(true);
}

/* Open loop: publication k is due at start + k / rate, whatever became of the ones before. */
static void run_paced(struct course *course)
{
    uint64_t total = (uint64_t)(options.rate * options.seconds), k = 0, now;
    double interval = 1e9 / options.rate;
    publish_hold(false);
    while (k < total) {
        now = now_ns();
        note_progress(course, now);
        if (options.churn > 0)
            churn_step(now);
        while (k < total) {
            uint64_t due = course->start + (uint64_t)((double)k * interval);
            struct publisher *p = &publishers[k % options.publishers];
            if (due > now || (options.qos && !publisher_may_send(p)))
                break;
            publish_one(p, due);
            connection_flush(p->connection);
            k++;
        }
        network_step(0);
    }
    publish_hold(true);
}

static bool complete(void)
{
    uint64_t worst;
    if (options.qos && totals.acknowledged < totals.published)
        return false;
    return totals.received >= expected_deliveries(&worst);
}

static void drain(struct course *course)
{
    uint64_t checked = 0, now;
    while ((now = now_ns()) - course->last < (uint64_t)(options.patience * 1e9)) {
        if (now - checked > 1000000) {
            if (complete())
                break;
            checked = now;
        }
        network_step(1);
        note_progress(course, now_ns());
    }
}

static void print_result(const struct course *course, double broker_cpu, double own_cpu)
{
    uint64_t worst, expected = expected_deliveries(&worst);
    double seconds = arrived() ? (double)(course->last - course->start) * 1e-9 : options.seconds + options.patience;
    double received = (double)totals.received;
    printf("{\"mode\":\"flow\",\"layout\":\"%s\",\"security\":\"%s\",\"version\":%d,\"qos\":%d,\"publishers\":%u,"
           "\"subscribers\":%u,\"payload\":%u,\"streams\":%u,",
           options.layout_name, tls_description(publishers[0].connection), options.version, options.qos,
           options.publishers, options.subscribers, options.payload, stream_count);
    printf("\"published\":%llu,\"acknowledged\":%llu,\"expected\":%llu,\"received\":%llu,\"lost\":%lld,"
           "\"lost_worst\":%llu,\"duplicates\":%llu,\"out_of_order\":%llu,\"misrouted\":%llu,\"foreign\":%llu,"
           "\"refused\":%llu,\"acknowledgements_out_of_order\":%llu,\"closed\":%llu,",
           (unsigned long long)totals.published, (unsigned long long)totals.acknowledged,
           (unsigned long long)expected, (unsigned long long)totals.received,
           (long long)(expected - totals.received), (unsigned long long)worst,
           (unsigned long long)totals.duplicates, (unsigned long long)totals.out_of_order,
           (unsigned long long)totals.misrouted, (unsigned long long)totals.foreign,
           (unsigned long long)totals.refused, (unsigned long long)totals.acknowledgements_out_of_order,
           (unsigned long long)totals.closed);
    printf("\"churn_sent\":%llu,\"churn_answered\":%llu,\"churn_received\":%llu,",
           (unsigned long long)totals.churn_sent, (unsigned long long)totals.churn_answered,
           (unsigned long long)totals.churn_received);
    latency_print("latency_us");
    printf("\"prepare_seconds\":%.3f,\"seconds\":%.3f,\"deliveries_per_s\":%.0f,\"publications_per_s\":%.0f,\"broker_cpu_s\":%.4f,"
           "\"broker_cpu_percent\":%.0f,\"broker_cpu_us_per_delivery\":%.3f,\"load_cpu_percent\":%.0f,",
           course->prepare_seconds, seconds, received / seconds, (double)totals.published / seconds, broker_cpu,
           broker_cpu / seconds * 100, totals.received ? broker_cpu * 1e6 / received : 0.0, own_cpu / seconds * 100);
    printf("\"broker_rss_kb\":%ld,\"broker_pss_kb\":%ld,\"broker_peak_kb\":%ld}\n", broker_memory_kb("status", "VmRSS"),
           broker_memory_kb("smaps_rollup", "Pss"), broker_memory_kb("status", "VmHWM"));
}

int run_flow(void)
{
    events = (struct events){.accepted = accepted, .packet = packet, .progress = progress};
    network_open(true);
    prepare();
    uint64_t begin = now_ns();
    connect_all();
    double prepare_seconds = (double)(now_ns() - begin) * 1e-9 - SETTLE_MS * 1e-3;
    memset(&totals, 0, sizeof totals);
    latency_reset();
    double broker_cpu = broker_cpu_seconds(), own_cpu = own_cpu_seconds();
    struct course course = {.start = now_ns(), .fanout = average_fanout(), .prepare_seconds = prepare_seconds};
    course.last = course.start;
    churn_start(course.start);
    if (options.rate > 0)
        run_paced(&course);
    else
        run_saturated(&course);
    drain(&course);
    print_result(&course, broker_cpu_seconds() - broker_cpu, own_cpu_seconds() - own_cpu);
    for (unsigned i = 0; i < connection_count; i++) {
        if (connections[i].phase == RUNNING && !connections[i].slice_left) {
            send_bare(&connections[i], DISCONNECT);
            connection_flush(&connections[i]);
        }
        connection_close(&connections[i]);
    }
    return 0;
}
