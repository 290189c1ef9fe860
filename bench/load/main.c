/* load MODE --port N [options]: prints one line of JSON. Status 0 unless the run itself failed. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options options = {
    .host = "127.0.0.1", .version = 4, .keep_alive = 600, .payload = 64, .layout = PAIR, .layout_name = "pair",
    .publishers = 1, .subscribers = 1, .topics = 10000, .subscriptions = 10000, .depth = 5, .window = 20,
    .seconds = 3, .unread = 1024 * 1024, .patience = 2, .connections = 1000, .concurrency = 50,
};
struct totals totals;

static const char usage[] =
    "load flow|connect|idle --port N [--host ADDRESS] [--pids PID,...]\n"
    "  --tls any|1.2|1.3 --ca FILE [--cert FILE --key FILE] [--username NAME --password TEXT]\n"
    "  %u in the user name is the connection's number, counted from 0\n"
    "  --version 4|5  --keep-alive SECONDS  --seconds S\n"
    "flow: publishers to subscribers\n"
    "  --layout pair|fanout|fanin|mix|topics|scale  --publishers N --subscribers N  --qos 0|1|2  --payload BYTES\n"
    "  --window N  publications of one publisher without acknowledgement, QoS 1 and 2\n"
    "  --rate N    publications a second, latency counted from the due time; 0: as fast as they go\n"
    "  --unread B  QoS 0: publishers wait when subscribers are behind, at most that many bytes each; 0: never\n"
    "  --once      stop when every topic was published on once, before --seconds have passed\n"
    "  --topics N (topics, scale)  --subscriptions N (mix, scale)  --depth LEVELS (scale)\n"
    "  --churn N   subscribe and unsubscribe operations a second (topics)  --stalled N  subscribers that never read\n"
    "  --patience SECONDS  without a delivery until what is missing counts as lost\n"
    "connect: --connections N --concurrency N [--resume]      idle: --connections N --concurrency N\n";

enum option_id {
    HOST = 256, PORT, PIDS, TLS, CA, CERT, KEY, USERNAME, PASSWORD, VERSION, KEEP_ALIVE, SECONDS, LAYOUT, PUBLISHERS,
    SUBSCRIBERS, QOS, PAYLOAD, WINDOW, RATE, UNREAD, TOPIC_COUNT, SUBSCRIPTIONS, DEPTH, CHURN, STALLED, PATIENCE,
    CONNECTIONS, CONCURRENCY, RESUME, ONCE,
};

static const struct option long_options[] = {
    {"host", 1, 0, HOST}, {"port", 1, 0, PORT}, {"pids", 1, 0, PIDS}, {"tls", 1, 0, TLS}, {"ca", 1, 0, CA},
    {"cert", 1, 0, CERT}, {"key", 1, 0, KEY}, {"username", 1, 0, USERNAME}, {"password", 1, 0, PASSWORD},
    {"version", 1, 0, VERSION}, {"keep-alive", 1, 0, KEEP_ALIVE}, {"seconds", 1, 0, SECONDS},
    {"layout", 1, 0, LAYOUT}, {"publishers", 1, 0, PUBLISHERS}, {"subscribers", 1, 0, SUBSCRIBERS},
    {"qos", 1, 0, QOS}, {"payload", 1, 0, PAYLOAD}, {"window", 1, 0, WINDOW}, {"rate", 1, 0, RATE},
    {"unread", 1, 0, UNREAD}, {"topics", 1, 0, TOPIC_COUNT}, {"subscriptions", 1, 0, SUBSCRIPTIONS},
    {"depth", 1, 0, DEPTH}, {"churn", 1, 0, CHURN}, {"stalled", 1, 0, STALLED}, {"patience", 1, 0, PATIENCE},
    {"connections", 1, 0, CONNECTIONS}, {"concurrency", 1, 0, CONCURRENCY}, {"resume", 0, 0, RESUME},
    {"once", 0, 0, ONCE}, {0, 0, 0, 0},
};

static double number(const char *name, double minimum, double maximum)
{
    char *end;
    double value = strtod(optarg, &end);
    errno = 0;
    if (end == optarg || *end || value < minimum || value > maximum)
        die("--%s wants a number from %.0f to %.0f, not '%s'", name, minimum, maximum, optarg);
    return value;
}

static unsigned count(const char *name, unsigned minimum, unsigned maximum)
{
    return (unsigned)number(name, minimum, maximum);
}

static void set_layout(void)
{
    static const char *const names[] = {"pair", "fanout", "fanin", "mix", "topics", "scale"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(optarg, names[i])) {
            options.layout = (enum layout_kind)i;
            options.layout_name = names[i];
            return;
        }
    }
    die("--layout does not know '%s'", optarg);
}

static void set_tls(void)
{
    options.tls = true;
    if (!strcmp(optarg, "any"))
        options.tls_version = 0;
    else if (!strcmp(optarg, "1.2"))
        options.tls_version = 12;
    else if (!strcmp(optarg, "1.3"))
        options.tls_version = 13;
    else
        die("--tls wants any, 1.2 or 1.3, not '%s'", optarg);
}

static void set_option(int id)
{
    switch (id) {
    case HOST: options.host = optarg; break;
    case PORT: options.port = (int)count("port", 1, 65535); break;
    case PIDS: options.pids = optarg; break;
    case TLS: set_tls(); break;
    case CA: options.ca = optarg; break;
    case CERT: options.cert = optarg; break;
    case KEY: options.key = optarg; break;
    case USERNAME: options.username = optarg; break;
    case PASSWORD: options.password = optarg; break;
    case VERSION: options.version = (int)count("version", 4, 5); break;
    case KEEP_ALIVE: options.keep_alive = count("keep-alive", 0, 65535); break;
    case SECONDS: options.seconds = number("seconds", 0, 86400); break;
    case LAYOUT: set_layout(); break;
    case PUBLISHERS: options.publishers = count("publishers", 1, 100000); break;
    case SUBSCRIBERS: options.subscribers = count("subscribers", 1, 100000); break;
    case QOS: options.qos = (int)count("qos", 0, 2); break;
    case PAYLOAD: options.payload = count("payload", sizeof(struct stamp), 16 * 1024 * 1024); break;
    case WINDOW: options.window = count("window", 1, 65535); break;
    case RATE: options.rate = number("rate", 0, 1e9); break;
    case UNREAD: options.unread = (size_t)number("unread", 0, 1e12); break;
    case TOPIC_COUNT: options.topics = count("topics", 1, 10000000); break;
    case SUBSCRIPTIONS: options.subscriptions = count("subscriptions", 1, 10000000); break;
    case DEPTH: options.depth = count("depth", 3, 20); break;
    case CHURN: options.churn = number("churn", 0, 1e6); break;
    case STALLED: options.stalled = count("stalled", 0, 100000); break;
    case PATIENCE: options.patience = number("patience", 0, 3600); break;
    case CONNECTIONS: options.connections = count("connections", 1, 1000000); break;
    case CONCURRENCY: options.concurrency = count("concurrency", 1, 100000); break;
    case RESUME: options.resume = true; break;
    case ONCE: options.once = true; break;
    default: fputs(usage, stderr); exit(2);
    }
}

static void check_options(void)
{
    if (!options.port)
        die("--port is missing");
    if (!options.cert != !options.key)
        die("--cert and --key belong together");
    if (options.resume && !options.tls)
        die("--resume is about TLS");
    if (options.churn > 0 && options.layout != TOPICS)
        die("--churn goes with --layout topics");
    if (options.stalled >= options.subscribers && options.stalled)
        die("--stalled must leave a subscriber that reads");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs(usage, stderr);
        return 2;
    }
    int id;
    optind = 2;
    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        set_option(id);
    errno = 0;
    check_options();
    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(argv[1], "flow"))
        return run_flow();
    if (!strcmp(argv[1], "connect"))
        return run_connect();
    if (!strcmp(argv[1], "idle"))
        return run_idle();
    fputs(usage, stderr);
    return 2;
}
