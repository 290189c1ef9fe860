/* One more client whose subscriptions come and go at a steady rate while the others publish. */
#include "load.h"

#include <stdlib.h>

enum { HELD = 100 };              /* subscriptions it has at a time */

static struct connection churner;
static uint64_t start_ns, operations;

void churn_open(void)
{
    churner.index = 1000000;
    connection_open(&churner);
}

bool churn_ready(void)
{
    return churner.phase == RUNNING;
}

void churn_start(uint64_t now)
{
    start_ns = now;
    operations = 0;
}

static void filter_of(struct connection *c, unsigned index, char *to)
{
    (void)c;
    layout_churn_filter(index, to);
}

/* Operations 0, 2, 4, ... subscribe; 1, 3, 5, ... unsubscribe from what was subscribed to HELD times before. */
static void operate(uint64_t operation)
{
    uint16_t packet_id = (uint16_t)(operation % 65535 + 1);
    unsigned index = (unsigned)(operation / 2);
    char filter[256];
    if (operation % 2 == 0) {
        send_subscribe(&churner, packet_id, index, 1, filter_of);
    } else if (index >= HELD) {
        layout_churn_filter(index - HELD, filter);
        send_unsubscribe(&churner, packet_id, filter);
    } else {
        return;
    }
    totals.churn_sent++;
}

/* Does the operations that are due. */
void churn_step(uint64_t now)
{
    uint64_t due = (uint64_t)((double)(now - start_ns) * 1e-9 * options.churn);
    if (churner.phase != RUNNING || operations >= due)
        return;
    while (operations < due)
        operate(operations++);
    connection_flush(&churner);
}

/* Whether the packet was the churner's own. */
bool churn_packet(struct connection *c, uint8_t header)
{
    if (c != &churner)
        return false;
    if (header >> 4 == SUBACK || header >> 4 == UNSUBACK)
        totals.churn_answered++;
    return true;
}
