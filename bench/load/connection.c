/* Sockets, TLS and the event loop. Edge-triggered, so no system call is spent on changing what is watched. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    READ_SIZE = 512 * 1024,        /* one read of a plain socket */
    READ_BUDGET = 1024 * 1024,     /* bytes of one connection before the others have their turn */
    SMALL_READ = 512,              /* where payloads are large: only their beginning is wanted */
    LARGE_PAYLOAD = 16 * 1024,
    TLS_READ_AHEAD = 128 * 1024,
    EVENTS_A_STEP = 512,
    CLIENTS_PER_ADDRESS = 100,     /* source addresses 127.0.x.y: ports last, limits per address are not met */
    ADDRESSES = 62500,
};

struct events events;

static int poller = -1;
static SSL_CTX *tls_context;
static struct connection **leftover;   /* connections whose input was not read to the end */
static size_t leftover_count, leftover_capacity;
static uint8_t input[sizeof((struct connection *)0)->carry + READ_SIZE];
static unsigned opened;

static int keep_newest_session(SSL *tls, SSL_SESSION *session)
{
    struct connection *c = SSL_get_app_data(tls);
    SSL_SESSION_free(c->session);
    c->session = session;
    c->ticket_generation++;
    return 1;
}

static void tls_open(bool bulk)
{
    tls_context = SSL_CTX_new(TLS_client_method());
    if (!options.ca || SSL_CTX_load_verify_locations(tls_context, options.ca, NULL) != 1)
        die("--ca: cannot read '%s'", options.ca ? options.ca : "");
    SSL_CTX_set_verify(tls_context, SSL_VERIFY_PEER, NULL);
    if (options.cert && (SSL_CTX_use_certificate_chain_file(tls_context, options.cert) != 1 ||
                         SSL_CTX_use_PrivateKey_file(tls_context, options.key, SSL_FILETYPE_PEM) != 1))
        die("--cert, --key: cannot use '%s' with '%s'", options.cert, options.key);
    int version = options.tls_version == 12 ? TLS1_2_VERSION : options.tls_version == 13 ? TLS1_3_VERSION : 0;
    SSL_CTX_set_min_proto_version(tls_context, version ? version : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(tls_context, version);
    SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls_context, keep_newest_session);
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (bulk) {
        SSL_CTX_set_read_ahead(tls_context, 1);
        SSL_CTX_set_default_read_buffer_len(tls_context, TLS_READ_AHEAD);
    } else {
        SSL_CTX_set_mode(tls_context, SSL_MODE_RELEASE_BUFFERS);
    }
}

/* bulk: few connections that carry much, rather than many that carry little. */
void network_open(bool bulk)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    struct rlimit wanted = {200000, 200000};
    if (setrlimit(RLIMIT_NOFILE, &wanted) != 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        die("epoll_create1");
    if (options.tls)
        tls_open(bulk);
}

static void bind_source(int fd)
{
    unsigned address = opened++ / CLIENTS_PER_ADDRESS % ADDRESSES;
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(0x7f000000u | (1 + address / 250) << 8 | (1 + address % 250));
    int one = 1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0)
        die("bind");
}

void connection_open(struct connection *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    if (inet_pton(AF_INET, options.host, &to.sin_addr) != 1)
        die("--host wants an IPv4 address, not '%s'", options.host);
    c->carried = c->skip = c->out_start = c->out_end = c->slice_left = 0;
    c->readable = c->writable = c->ended = false;
    c->receive_maximum = 65535;
    c->started_ns = now_ns();
    c->phase = CONNECTING;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (c->stalls) {
        int small = 65536;
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    if ((ntohl(to.sin_addr.s_addr) >> 24) == 127)
        bind_source(c->fd);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
        die("connect to %s:%d", options.host, options.port);
    struct epoll_event watch = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &watch) < 0)
        die("epoll_ctl");
}

void connection_close(struct connection *c)
{
    if (c->phase == CLOSED)
        return;
    if (c->tls) {
        SSL_set_quiet_shutdown(c->tls, 1);
        SSL_shutdown(c->tls);      /* marks the session as ended well, so that it can be resumed */
        SSL_free(c->tls);
        c->tls = NULL;
    }
    close(c->fd);
    c->fd = -1;
    c->phase = CLOSED;
    c->readable = c->writable = false;
}

static void lost(struct connection *c)
{
    if (c->phase < RUNNING && c->phase != CLOSED && !events.closed)
        die("the broker closed a connection before it was ready");
    connection_close(c);
    totals.closed++;
    if (events.closed)
        events.closed(c);
}

void connection_append(struct connection *c, const void *data, size_t length)
{
    if (c->out_start == c->out_end)
        c->out_start = c->out_end = 0;
    if (c->out_end + length > c->out_capacity) {
        c->out_capacity = (c->out_end + length) * 2 + 256;
        c->out = realloc(c->out, c->out_capacity);
        if (!c->out)
            die("no memory for output");
    }
    memcpy(c->out + c->out_end, data, length);
    c->out_end += length;
}

/* Bytes written, or 0 when the connection cannot take more now (or is lost). */
static size_t write_some(struct connection *c)
{
    ssize_t n;
    if (c->tls) {
        const uint8_t *from = c->slice_left ? c->slice : c->out + c->out_start;
        size_t length = c->slice_left ? c->slice_left : c->out_end - c->out_start;
        ERR_clear_error();
        n = SSL_write(c->tls, from, length > INT32_MAX ? INT32_MAX : (int)length);
        if (n > 0)
            return (size_t)n;
        int error = SSL_get_error(c->tls, (int)n);
        if (error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_WANT_READ) {
            lost(c);
            return 0;
        }
    } else {
        struct iovec parts[2] = {{(void *)(uintptr_t)c->slice, c->slice_left},
                                 {c->out + c->out_start, c->out_end - c->out_start}};
        n = writev(c->fd, parts, 2);
        if (n > 0)
            return (size_t)n;
        if (n < 0 && errno != EAGAIN) {
            lost(c);
            return 0;
        }
    }
    c->writable = false;
    return 0;
}

void connection_flush(struct connection *c)
{
    while (c->writable && (c->slice_left || c->out_start < c->out_end)) {
        size_t n = write_some(c);
        size_t of_slice = n < c->slice_left ? n : c->slice_left;
        c->slice += of_slice;
        c->slice_left -= of_slice;
        c->out_start += n - of_slice;
    }
}

static void read_later(struct connection *c)
{
    if (c->queued)
        return;
    if (leftover_count == leftover_capacity) {
        leftover_capacity = leftover_capacity * 2 + 64;
        leftover = realloc(leftover, leftover_capacity * sizeof *leftover);
        if (!leftover)
            die("no memory for connections");
    }
    leftover[leftover_count++] = c;
    c->queued = true;
}

/* Reads once; the carried beginning of a frame is put before what was read. False: nothing more now. */
static bool read_some(struct connection *c, size_t *count)
{
    uint8_t *base = input + sizeof c->carry;
    ssize_t n;
    if (c->tls) {
        ERR_clear_error();
        n = SSL_read(c->tls, base, READ_SIZE);
        if (n <= 0) {
            int error = SSL_get_error(c->tls, (int)n);
            if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
                c->readable = false;
            else
                lost(c);
            return false;
        }
    } else if (c->skip >= LARGE_PAYLOAD / 2) {
        n = recv(c->fd, NULL, c->skip, MSG_TRUNC);   /* the payload's filling is passed over, not copied */
        if (n > 0) {
            if ((size_t)n < c->skip && !c->ended)
                c->readable = false;
            c->skip -= (size_t)n;
            *count = (size_t)n;
            return true;
        }
    } else {
        ssize_t size = options.payload >= LARGE_PAYLOAD && c->subscriber ? SMALL_READ : READ_SIZE;
        n = read(c->fd, base, (size_t)size);
        if (n > 0 && n < size && !c->ended)
            c->readable = false;
    }
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN)
            c->readable = false;
        else
            lost(c);
        return false;
    }
    *count = (size_t)n;
    uint8_t *start = base - c->carried;
    memcpy(start, c->carry, c->carried);
    size_t length = (size_t)n + c->carried;
    c->carried = 0;
    receive(c, start, length);
    return c->phase != CLOSED;
}

static void read_input(struct connection *c)
{
    size_t budget = READ_BUDGET, count = 0;
    while (c->readable && !c->paused && read_some(c, &count)) {
        if (count >= budget) {
            if (c->readable)
                read_later(c);
            return;
        }
        budget -= count;
    }
}

static void handshake(struct connection *c)
{
    ERR_clear_error();
    int done = SSL_do_handshake(c->tls);
    if (done == 1) {
        c->phase = AWAITING_CONNACK;
        send_connect(c);
        return;
    }
    int error = SSL_get_error(c->tls, done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return;
    if (!events.closed) {
        ERR_print_errors_fp(stderr);
        die("the TLS handshake failed");
    }
    lost(c);
}

static void connected(struct connection *c)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) {
        errno = error;
        die("connect to %s:%d", options.host, options.port);
    }
    if (!options.tls) {
        c->phase = AWAITING_CONNACK;
        send_connect(c);
        return;
    }
    c->tls = SSL_new(tls_context);
    if (!c->tls || SSL_set_fd(c->tls, c->fd) != 1)
        die("SSL_new");
    SSL_set_app_data(c->tls, c);
    SSL_set_tlsext_host_name(c->tls, "localhost");
    SSL_set_connect_state(c->tls);
    if (options.resume && c->session)
        SSL_set_session(c->tls, c->session);
    c->phase = HANDSHAKING;
}

static void visit(struct connection *c)
{
    if (c->phase == CONNECTING && c->writable)
        connected(c);
    if (c->phase == HANDSHAKING)
        handshake(c);
    if (c->phase > HANDSHAKING)
        read_input(c);
    if (c->phase == RUNNING && events.progress)
        events.progress(c);
    if (c->phase > HANDSHAKING)
        connection_flush(c);
}

/* Waits for the network for at most that long and handles what happened. */
void network_step(int timeout_ms)
{
    struct epoll_event happened[EVENTS_A_STEP];
    size_t again = leftover_count;
    int n = epoll_wait(poller, happened, EVENTS_A_STEP, again ? 0 : timeout_ms);
    for (size_t i = 0; i < again; i++) {
        leftover[i]->queued = false;
        visit(leftover[i]);
    }
    leftover_count -= again;
    if (leftover_count)
        memmove(leftover, leftover + again, leftover_count * sizeof *leftover);
    for (int i = 0; i < n; i++) {
        struct connection *c = happened[i].data.ptr;
        if (c->phase == CLOSED)
            continue;
        if (happened[i].events & EPOLLRDHUP)
            c->ended = true;
        if (happened[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
            c->readable = true;
        if (happened[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            c->writable = true;
        visit(c);
    }
}

const char *tls_description(const struct connection *c)
{
    static char text[96];
    if (!c->tls)
        return "plain";
    snprintf(text, sizeof text, "%s %s", SSL_get_version(c->tls), SSL_get_cipher_name(c->tls));
    return text;
}
