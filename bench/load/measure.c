/* Clocks, latencies, and what /proc says of the broker. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { LATENCY_CAPACITY = 8 * 1024 * 1024 };

static uint32_t *latencies;       /* in tenths of a microsecond */
static size_t latency_count;

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void die(const char *format, ...)
{
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    if (error)
        fprintf(stderr, " (last system error: %s)", strerror(error));
    fputc('\n', stderr);
    exit(1);
}

void latency_add(uint64_t due_ns, uint64_t now)
{
    if (!latencies && !(latencies = malloc(LATENCY_CAPACITY * sizeof *latencies)))
        die("no memory for latencies");
    if (latency_count < LATENCY_CAPACITY) {
        uint64_t tenths = now > due_ns ? (now - due_ns) / 100 : 0;
        latencies[latency_count++] = tenths > UINT32_MAX ? UINT32_MAX : (uint32_t)tenths;
    }
}

void latency_reset(void)
{
    latency_count = 0;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Prints one member of a JSON object: nearest-rank percentiles, in microseconds. */
void latency_print(const char *name)
{
    if (!latency_count) {
        printf("\"%s\":null,", name);
        return;
    }
    qsort(latencies, latency_count, sizeof *latencies, by_value);
    size_t last = latency_count - 1;
    printf("\"%s\":{\"samples\":%zu,\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},", name, latency_count,
           latencies[last / 2] / 10.0, latencies[(size_t)((double)last * 0.99)] / 10.0,
           latencies[(size_t)((double)last * 0.999)] / 10.0, latencies[last] / 10.0);
}

/* Calls a function for every process of the broker. */
static void each_pid(void (*visit)(pid_t, void *), void *context)
{
    const char *at = options.pids ? options.pids : "";
    while (*at) {
        char *end;
        long pid = strtol(at, &end, 10);
        if (end == at)
            die("--pids wants numbers separated by commas, not '%s'", options.pids);
        visit((pid_t)pid, context);
        at = *end == ',' ? end + 1 : end;
    }
}

static void add_cpu(pid_t pid, void *context)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0)
        *(double *)context += (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* CPU time of all threads of the broker's processes, to the nanosecond. */
double broker_cpu_seconds(void)
{
    double sum = 0;
    each_pid(add_cpu, &sum);
    return sum;
}

struct memory_query {
    const char *file, *field;
    long sum;
};

static void add_memory(pid_t pid, void *context)
{
    struct memory_query *query = context;
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, query->file);
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    size_t length = strlen(query->field);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, query->field, length) && line[length] == ':')
            query->sum += strtol(line + length + 1, NULL, 10);
    fclose(file);
}

/* Sum over the broker's processes of one field, in kB: VmRSS or VmHWM of status, Pss of smaps_rollup. */
long broker_memory_kb(const char *file, const char *field)
{
    struct memory_query query = {file, field, 0};
    each_pid(add_memory, &query);
    return query.sum;
}

double own_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}
