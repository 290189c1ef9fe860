/* Clients that connect and go, as fast as the broker takes them, and clients that connect and stay idle. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 30, SETTLE_MS = 1000 };

static struct connection *slots;
static unsigned started, done, failed, resumed;
static bool priming;
static char security[96] = "";

static void open_next(struct connection *c, unsigned limit)
{
    if (started < limit) {
        c->index = started++;
        connection_open(c);
    }
}

static unsigned limit(void)
{
    return priming ? options.concurrency : options.connections;
}

static void finish(struct connection *c)
{
    send_bare(c, DISCONNECT);
    connection_flush(c);
    connection_close(c);
    done++;
    if (!priming)
        open_next(c, limit());
}

static void accepted(struct connection *c)
{
    c->phase = RUNNING;
    latency_add(c->started_ns, now_ns());
    if (!security[0])
        snprintf(security, sizeof security, "%s", tls_description(c));
    resumed += c->tls && SSL_session_reused(c->tls);
}

/* While priming a connection stays until it has a ticket for the next one. */
static void progress(struct connection *c)
{
    if (!priming || c->session)
        finish(c);
}

static void closed(struct connection *c)
{
    failed++;
    done++;
    if (!priming)
        open_next(c, limit());
}

static void open_and_close_all(void)
{
    uint64_t last = now_ns();
    unsigned seen = 0;
    started = done = failed = resumed = 0;
    for (unsigned i = 0; i < options.concurrency; i++)
        open_next(&slots[i], limit());
    while (done < limit()) {
        network_step(100);
        if (done != seen) {
            seen = done;
            last = now_ns();
        } else if (now_ns() - last > (uint64_t)PATIENCE_SECONDS * 1000000000u) {
            die("%u of %u connections were done, then none for %d s", done, limit(), PATIENCE_SECONDS);
        }
    }
}

int run_connect(void)
{
    events = (struct events){.accepted = accepted, .progress = progress, .closed = closed};
    network_open(false);
    slots = calloc(options.concurrency, sizeof *slots);
    if (!slots)
        die("no memory for %u connections", options.concurrency);
    if (options.resume) {
        priming = true;
        open_and_close_all();
        priming = false;
        latency_reset();
    }
    double broker_cpu = broker_cpu_seconds(), own_cpu = own_cpu_seconds();
    uint64_t start = now_ns();
    open_and_close_all();
    double seconds = (double)(now_ns() - start) * 1e-9;
    broker_cpu = broker_cpu_seconds() - broker_cpu;
    own_cpu = own_cpu_seconds() - own_cpu;
    printf("{\"mode\":\"connect\",\"security\":\"%s\",\"client_certificate\":%s,\"connections\":%u,\"concurrency\":%u,"
           "\"failed\":%u,\"resumed\":%u,",
           security, options.cert ? "true" : "false", done, options.concurrency, failed, resumed);
    latency_print("latency_us");
    printf("\"seconds\":%.3f,\"connections_per_s\":%.0f,\"broker_cpu_s\":%.4f,\"broker_cpu_ms_per_connection\":%.4f,"
           "\"load_cpu_percent\":%.0f}\n",
           seconds, done / seconds, broker_cpu, broker_cpu * 1e3 / done, own_cpu / seconds * 100);
    return 0;
}

static void stay(struct connection *c)
{
    accepted(c);
    done++;
}

static void settle(void)
{
    for (uint64_t until = now_ns() + SETTLE_MS * 1000000u; now_ns() < until;)
        network_step(10);
}

static void connect_idle(void)
{
    uint64_t last = now_ns();
    unsigned seen = 0;
    while (done < options.connections) {
        while (started < options.connections && started < done + options.concurrency)
            open_next(&slots[started], options.connections);
        network_step(100);
        if (totals.closed)
            die("the broker closed a connection: %u of %u were open", done, options.connections);
        if (done != seen) {
            seen = done;
            last = now_ns();
        } else if (now_ns() - last > (uint64_t)PATIENCE_SECONDS * 1000000000u) {
            die("%u of %u connections were open, then none for %d s", done, options.connections, PATIENCE_SECONDS);
        }
    }
}

/* Every connection sends PINGREQ once a keep alive, evenly spread. */
static void ping_for(double seconds)
{
    uint64_t start = now_ns(), now, sent = 0;
    double rate = options.keep_alive ? (double)options.connections / options.keep_alive : 0;
    while ((now = now_ns()) - start < (uint64_t)(seconds * 1e9)) {
        uint64_t due = (uint64_t)((double)(now - start) * 1e-9 * rate);
        for (; sent < due; sent++) {
            struct connection *c = &slots[sent % options.connections];
            if (c->phase == RUNNING) {
                send_bare(c, PINGREQ);
                connection_flush(c);
            }
        }
        network_step(2);
    }
}

int run_idle(void)
{
    events = (struct events){.accepted = stay};
    network_open(false);
    slots = calloc(options.connections, sizeof *slots);
    if (!slots)
        die("no memory for %u connections", options.connections);
    long rss = broker_memory_kb("status", "VmRSS"), pss = broker_memory_kb("smaps_rollup", "Pss");
    uint64_t start = now_ns();
    connect_idle();
    double connect_seconds = (double)(now_ns() - start) * 1e-9;
    settle();
    long rss_after = broker_memory_kb("status", "VmRSS"), pss_after = broker_memory_kb("smaps_rollup", "Pss");
    double broker_cpu = broker_cpu_seconds();
    ping_for(options.seconds);
    broker_cpu = broker_cpu_seconds() - broker_cpu;
    printf("{\"mode\":\"idle\",\"security\":\"%s\",\"client_certificate\":%s,\"connections\":%u,\"closed\":%llu,"
           "\"connect_seconds\":%.2f,\"keep_alive\":%u,\"seconds\":%.1f,",
           security, options.cert ? "true" : "false", done, (unsigned long long)totals.closed, connect_seconds,
           options.keep_alive, options.seconds);
    printf("\"broker_rss_kb_before\":%ld,\"broker_rss_kb\":%ld,\"broker_pss_kb_before\":%ld,\"broker_pss_kb\":%ld,"
           "\"kb_per_connection\":%.2f,\"broker_cpu_percent\":%.3f}\n",
           rss, rss_after, pss, pss_after, (double)(pss_after - pss) / done,
           options.seconds > 0 ? broker_cpu / options.seconds * 100 : 0.0);
    for (unsigned i = 0; i < options.connections; i++)
        connection_close(&slots[i]);
    return 0;
}
