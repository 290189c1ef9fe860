/* Who publishes on which topics, who subscribes to what, and so who must receive which streams.
 *
 *   pair    publisher i to subscriber i
 *   fanout  every publisher to every subscriber, one topic
 *   fanin   every publisher on its own topic, subscribers with a wildcard
 *   mix     topics of five levels; every subscriber has subscriptions / subscribers filters, a third of them with
 *           wildcards that match ten topics each; a tenth of the subscribers publish
 *   topics  every publisher on topics / publishers topics, each subscribed to by name by subscriber i
 *   scale   any number of wildcard subscriptions, topics of the given depth matching exactly one each
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIX_TOPICS = 10000,           /* site/building/floor/device, ten of each, and one value */
    MIX_SITES = 100,              /* (site, building): a subscriber's filters lie in different ones */
};

unsigned stream_count;

/* A stream belongs to one subscriber only, so that one track a stream is enough. */
bool layout_exclusive(void)
{
    return options.layout == PAIR || options.layout == TOPICS || options.layout == SCALE ||
           (options.layout == FANIN && options.subscribers == 1);
}

static unsigned scale_subscription_of(unsigned stream)
{
    unsigned many = options.subscriptions, topics = stream_count;
    return many >= topics ? stream * (many / topics) : stream % many;
}

static void scale_levels(unsigned subscription, char *to)
{
    to += sprintf(to, "scale/s%07u", subscription);
    for (unsigned level = 4; level <= options.depth; level++)
        to += sprintf(to, "/level%02u", level);
}

static void mix_topic(unsigned stream, char *to)
{
    sprintf(to, "site%u/building%u/floor%u/device%u/state", stream / 1000, stream / 100 % 10, stream / 10 % 10,
            stream % 10);
}

void layout_topic(unsigned stream, char *to)
{
    switch (options.layout) {
    case PAIR: case FANIN:
        sprintf(to, "load/device%04u/state", stream);
        break;
    case FANOUT:
        strcpy(to, "load/all/state");
        break;
    case MIX:
        mix_topic(stream, to);
        break;
    case TOPICS:
        sprintf(to, "load/group%04u/device%06u/state", stream % options.publishers, stream / options.publishers);
        break;
    case SCALE:
        scale_levels(scale_subscription_of(stream), to);
        sprintf(to + strlen(to), "/value%07u", stream);
        break;
    }
}

/* Which (site, building) subscriber s's filter k lies in, and which floor and device it is about. */
static unsigned mix_place(unsigned s, unsigned k)
{
    unsigned site = (s * 7 + k * (MIX_SITES / (options.subscriptions / options.subscribers))) % MIX_SITES;
    return site * 100 + (s * 31 + k * 17 + s / MIX_SITES) % 100;
}

enum mix_form { EXACT, ANY_DEVICE, ANY_FLOOR, BELOW };

static enum mix_form mix_form(unsigned s, unsigned k)
{
    unsigned n = s * (options.subscriptions / options.subscribers) + k;
    return n % 3 ? EXACT : (enum mix_form)(ANY_DEVICE + n / 3 % 3);
}

static void mix_filter(unsigned s, unsigned k, char *to)
{
    unsigned place = mix_place(s, k);
    unsigned site = place / 1000, building = place / 100 % 10, floor = place / 10 % 10, device = place % 10;
    switch (mix_form(s, k)) {
    case EXACT: mix_topic(place, to); break;
    case ANY_DEVICE: sprintf(to, "site%u/building%u/floor%u/+/state", site, building, floor); break;
    case ANY_FLOOR: sprintf(to, "site%u/building%u/+/device%u/state", site, building, device); break;
    case BELOW: sprintf(to, "site%u/building%u/floor%u/#", site, building, floor); break;
    }
}

void layout_filter(struct connection *c, unsigned k, char *to)
{
    unsigned s = c->subscriber->index;
    switch (options.layout) {
    case PAIR: sprintf(to, "load/device%04u/state", s); break;
    case FANOUT: strcpy(to, "load/all/state"); break;
    case FANIN: strcpy(to, "load/+/state"); break;
    case MIX: mix_filter(s, k, to); break;
    case TOPICS: layout_topic(k * options.publishers + s, to); break;
    case SCALE: {
        unsigned subscription = s + k * options.subscribers;
        scale_levels(subscription, to);
        strcat(to, subscription % 2 ? "/#" : "/+");
        break;
    }
    }
}

/* Filters that come and go: by name, with a wildcard that matches active topics, and with one that matches none. */
void layout_churn_filter(unsigned index, char *to)
{
    unsigned topics_each = options.topics / options.publishers, topic = index * 7919 % topics_each;
    switch (index % 3) {
    case 0: sprintf(to, "load/group%04u/device%06u/state", index % options.publishers, topic); break;
    case 1: sprintf(to, "load/+/device%06u/state", topic); break;
    default: sprintf(to, "load/group%04u/+/churn%u", index % options.publishers, index); break;
    }
}

static void link_stream(struct subscriber *s, unsigned stream)
{
    if (s->stream_count == s->stream_capacity) {
        s->stream_capacity = s->stream_capacity * 2 + 8;
        s->streams = realloc(s->streams, s->stream_capacity * sizeof *s->streams);
        if (!s->streams)
            die("no memory for streams");
    }
    s->streams[s->stream_count++] = stream;
    struct track *t = track_of(s->index, stream);
    if (t->next)
        die("subscriber %u has two filters that match one topic", s->index);
    t->next = 1;
    t->owner = s->index;
}

static void link_mix(struct subscriber *s)
{
    for (unsigned k = 0; k < s->filters; k++) {
        unsigned place = mix_place(s->index, k);
        switch (mix_form(s->index, k)) {
        case EXACT:
            link_stream(s, place);
            break;
        case ANY_FLOOR:
            for (unsigned floor = 0; floor < 10; floor++)
                link_stream(s, place / 100 * 100 + floor * 10 + place % 10);
            break;
        case ANY_DEVICE: case BELOW:
            for (unsigned device = 0; device < 10; device++)
                link_stream(s, place / 10 * 10 + device);
            break;
        }
    }
}

static void link_all(struct subscriber *subscribers)
{
    for (unsigned i = 0; i < options.subscribers && options.layout == MIX; i++)
        link_mix(&subscribers[i]);
    for (unsigned t = 0; t < stream_count; t++) {
        switch (options.layout) {
        case PAIR:
            link_stream(&subscribers[t], t);
            break;
        case TOPICS:
            link_stream(&subscribers[t % options.publishers], t);
            break;
        case SCALE:
            link_stream(&subscribers[scale_subscription_of(t) % options.subscribers], t);
            break;
        case FANOUT: case FANIN:
            for (unsigned i = 0; i < options.subscribers; i++)
                link_stream(&subscribers[i], t);
            break;
        case MIX:
            break;
        }
    }
}

static unsigned filters_of(unsigned s)
{
    switch (options.layout) {
    case MIX: return options.subscriptions / options.subscribers;
    case TOPICS: return options.topics / options.publishers;
    case SCALE: return options.subscriptions / options.subscribers + (s < options.subscriptions % options.subscribers);
    default: return 1;
    }
}

static void check_options(void)
{
    unsigned P = options.publishers, S = options.subscribers;
    if (!P || !S)
        die("at least one publisher and one subscriber");
    if ((options.layout == PAIR || options.layout == TOPICS) && P != S)
        die("this layout wants as many publishers as subscribers");
    if (options.layout == MIX && (MIX_TOPICS % P || P > S || options.subscriptions < S ||
                                  MIX_SITES % (options.subscriptions / S)))
        die("mix wants publishers that divide %d and not more of them than subscribers, and a number of filters "
            "each that divides %d", MIX_TOPICS, MIX_SITES);
    if (options.layout == SCALE && options.subscriptions < 1)
        die("scale wants --subscriptions");
    if (options.layout == SCALE && options.depth < 3)
        die("scale wants a depth of at least 3 levels");
}

/* Fills in what each publisher sends and each subscriber must receive. */
void layout_prepare(struct publisher *publishers, struct subscriber *subscribers)
{
    check_options();
    unsigned P = options.publishers;
    switch (options.layout) {
    case MIX: stream_count = MIX_TOPICS; break;
    case TOPICS: case SCALE: stream_count = options.topics / P * P; break;
    default: stream_count = P; break;
    }
    if (!stream_count)
        die("--topics: at least one for each publisher");
    tracks_allocate();
    for (unsigned i = 0; i < options.subscribers; i++) {
        subscribers[i].index = i;
        subscribers[i].filters = filters_of(i);
    }
    link_all(subscribers);
    for (unsigned i = 0; i < P; i++) {
        publishers[i].first = i;
        publishers[i].step = P;
        publishers[i].streams = stream_count / P;
    }
}
