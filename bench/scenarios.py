"""What is measured, and what is required of it: data, read by the runner and by the report."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.brokers import Security
from bench.fleet import PASSWORD, USERNAME, Fleet

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Bound:
    """A requirement on one number: of its ratio to Mosquitto's, or of the number itself."""

    direction: Literal["at least", "at most"]
    value: float
    relative: bool = True

    def holds(self, value: float) -> bool:
        return value >= self.value if self.direction == "at least" else value <= self.value


def at_least(ratio: float) -> Bound:
    return Bound("at least", ratio)


def at_most(ratio: float) -> Bound:
    return Bound("at most", ratio)


@dataclass(frozen=True)
class Metric:
    """A number of a scenario: its key in the measurements, its name and unit in the report."""

    key: str
    label: str
    bound: Bound | None = None
    of_sketch: float | None = None  # least share of the sketch's number


@dataclass(frozen=True)
class Step:
    """One run of the load generator. Its numbers get `@label` behind their key where there is a label.

    mode: one of the generator's; "revoke": idle, while another client's certificate is revoked; "rules":
        rules for every user are put in force; "issue": certificates are issued in bulk.
    """

    mode: Literal["flow", "connect", "idle", "revoke", "rules", "issue"]
    options: Mapping[str, object]
    label: str = ""


@dataclass(frozen=True)
class Scenario:
    """Steps against one freshly started broker, and the numbers that come out.

    fleet: users in a data folder; only Lockwire takes part then.
    """

    name: str
    group: str
    security: Security
    steps: tuple[Step, ...]
    metrics: tuple[Metric, ...]
    repetitions: int
    core: bool
    lossless: bool = True
    derived: Mapping[str, Callable[[Numbers], float]] = field(default_factory=dict)
    fleet: Fleet | None = None


RATE = "deliveries_per_s"
CPU = "broker_cpu_us_per_delivery"

SHAPES: dict[str, dict[str, object]] = {
    "1->1": {"layout": "pair"},
    "50->50": {"layout": "pair", "publishers": 50, "subscribers": 50},
    "1->100": {"layout": "fanout", "subscribers": 100},
    "100->1": {"layout": "fanin", "publishers": 100},
    "mix": {"layout": "mix", "publishers": 100, "subscribers": 1000, "subscriptions": 10000},
}
VERSIONS = {4: "3.1.1", 5: "5"}  # by protocol level
PAYLOADS = (64, 1024, 65536)
SATURATED_SECONDS = 2
REQUIRED_REPETITIONS = 3
SAMPLE_REPETITIONS = 2

# Beside the rows with factors of their own these stand for the rest of the grid in the core set.
SAMPLE = frozenset(
    {
        *((s, q, "1->1", 4, 64) for s in (Security.PLAIN, Security.TLS) for q in (0, 1)),
        *((s, 0, "100->1", 4, 64) for s in (Security.PLAIN, Security.TLS)),
        *((s, 0, "mix", 4, 64) for s in (Security.PLAIN, Security.TLS)),
        *((s, 0, "50->50", 5, 64) for s in (Security.PLAIN, Security.TLS)),
        *((s, 0, "50->50", 4, 1024) for s in (Security.PLAIN, Security.TLS)),
        *((s, 0, "50->50", 4, 65536) for s in (Security.PLAIN, Security.TLS)),
        (Security.PLAIN, 1, "mix", 4, 64),
        (Security.PLAIN, 1, "1->100", 4, 64),
        (Security.PLAIN, 1, "50->50", 5, 64),
        (Security.TLS, 0, "1->1", 4, 65536),
    }
)


def saturated_bound(security: Security, qos: int, shape: str, payload: int) -> float:
    """How many times Mosquitto's deliveries a second are required."""
    factors = {(0, "50->50"): 8, (0, "1->100"): 8, (1, "50->50"): 5, (2, "50->50"): 4}
    if payload == 64:
        return factors.get((qos, shape), 1)
    return 0.7 if payload == 65536 and security is not Security.PLAIN else 1


def sketch_share(qos: int, shape: str, payload: int, version: int) -> float | None:
    """Which share of the sketch's deliveries a second is required."""
    if payload != 64 or version != 4:
        return None
    return {(0, "50->50"): 0.4, (0, "1->100"): 0.4, (1, "1->100"): 0.4, (1, "50->50"): 0.8}.get((qos, shape))


def saturated() -> Iterator[Scenario]:
    """As fast as it goes: every security, QoS, shape, version and payload."""
    grid = itertools.product((Security.PLAIN, Security.TLS), (0, 1, 2), SHAPES, VERSIONS, PAYLOADS)
    for security, qos, shape, version, payload in grid:
        bound = saturated_bound(security, qos, shape, payload)
        required = bound > 1 and version == 4
        options = {
            **SHAPES[shape],
            "qos": qos,
            "version": version,
            "payload": payload,
            "seconds": SATURATED_SECONDS,
        }
        share = sketch_share(qos, shape, payload, version)
        yield Scenario(
            name=f"{security.value}, QoS {qos}, {shape}, {payload} B, MQTT {VERSIONS[version]}",
            group="Saturated",
            security=security,
            steps=(Step("flow", options),),
            metrics=(Metric(RATE, "deliveries/s", at_least(bound), share),),
            repetitions=REQUIRED_REPETITIONS if required else SAMPLE_REPETITIONS,
            core=required or (security, qos, shape, version, payload) in SAMPLE,
        )


def paced() -> Iterator[Scenario]:
    """10,000 messages a second, due at fixed times."""
    options = {"layout": "pair", "publishers": 100, "subscribers": 100, "rate": 10000, "seconds": 5}
    for security, qos in itertools.product((Security.PLAIN, Security.TLS), (0, 1)):
        yield Scenario(
            name=f"{security.value}, QoS {qos}, 100->100, 10,000/s",
            group="Paced",
            security=security,
            steps=(Step("flow", {**options, "qos": qos, "window": 1000}),),
            metrics=(
                Metric("latency_us.p50", "latency p50, us"),
                Metric("latency_us.p99", "latency p99, us", at_most(1.0)),
                Metric("latency_us.max", "latency max, us"),
                Metric(CPU, "CPU per delivery, us", at_most(1.3)),
            ),
            repetitions=REQUIRED_REPETITIONS,
            core=qos == 0,
        )


def handshakes() -> Iterator[Scenario]:
    """Clients that connect, get their CONNACK, and go."""
    for security, resume in itertools.product((Security.TLS, Security.MUTUAL, Security.TLS12), (False, True)):
        options: dict[str, object] = {"connections": 2000, "concurrency": 50}
        if resume:
            options["resume"] = True
        bound = None if resume else at_most(1.3 if security is Security.MUTUAL else 1.1)
        yield Scenario(
            name=f"{security.value}, {'resumed' if resume else 'full'} handshakes",
            group="Handshakes",
            security=security,
            steps=(Step("connect", options),),
            metrics=(
                Metric("broker_cpu_ms_per_connection", "CPU per connection, ms", bound),
                Metric("connections_per_s", "connections/s"),
                Metric("latency_us.p99", "time to CONNACK p99, us"),
            ),
            repetitions=REQUIRED_REPETITIONS,
            core=security is not Security.TLS12,
        )
    yield Scenario(
        name="1,000 handshakes with client certificate at once",
        group="Handshakes",
        security=Security.MUTUAL,
        steps=(Step("connect", {"connections": 1000, "concurrency": 1000}),),
        metrics=(
            Metric("seconds", "until the last CONNACK, s"),
            Metric("latency_us.p50", "time to CONNACK p50, us"),
            Metric("loop_delay_ms", "event-loop delay, ms", Bound("at most", 50, relative=False)),
        ),
        repetitions=REQUIRED_REPETITIONS,
        core=True,
    )


def idle() -> Iterator[Scenario]:
    """10,000 clients that send PINGREQ once a minute."""
    options = {"connections": 10000, "concurrency": 50, "keep-alive": 60, "seconds": 10}
    for security, bound in ((Security.TLS, 20), (Security.MUTUAL, 26), (Security.PLAIN, None)):
        yield Scenario(
            name=f"10,000 idle connections, {security.value}",
            group="Idle",
            security=security,
            steps=(Step("idle", options),),
            metrics=(
                Metric(
                    "kb_per_connection",
                    "memory per connection, KiB",
                    Bound("at most", bound, relative=False) if bound else None,
                ),
                Metric("broker_cpu_percent", "CPU while idle, % of a core"),
            ),
            repetitions=1,
            core=bound is not None,
        )


def churn() -> Iterator[Scenario]:
    """Subscriptions that come and go beside 50,000 active topics."""
    options = {"layout": "topics", "publishers": 50, "subscribers": 50, "topics": 50000, "seconds": 2}
    for security in (Security.PLAIN, Security.TLS):
        yield Scenario(
            name=f"{security.value}, 50,000 active topics, 1,000 subscribe/unsubscribe a second",
            group="Subscriptions",
            security=security,
            steps=(Step("flow", options, "quiet"), Step("flow", {**options, "churn": 1000}, "churn")),
            metrics=(
                Metric(f"{RATE}@quiet", "deliveries/s without churn", at_least(1.0)),
                Metric(f"{RATE}@churn", "deliveries/s with churn", at_least(1.0)),
                Metric("cost", "cost of churn, % of throughput", Bound("at most", 20, relative=False)),
            ),
            repetitions=REQUIRED_REPETITIONS,
            core=security is Security.PLAIN,
            derived={"cost": lambda n: 100 * (1 - n[f"{RATE}@churn"] / n[f"{RATE}@quiet"])},
        )


def matching() -> Iterator[Scenario]:
    """Topics that were never published on before, each matching one of many wildcard subscriptions."""
    options = {
        "layout": "scale",
        "publishers": 10,
        "subscribers": 500,
        "topics": 200000,
        "seconds": 60,
        "once": True,
    }
    counts = {"1k": 1000, "100k": 100_000, "1M": 1_000_000}
    yield Scenario(
        name="matching by number of subscriptions, topics of 5 levels",
        group="Subscriptions",
        security=Security.PLAIN,
        steps=tuple(Step("flow", {**options, "subscriptions": n}, label) for label, n in counts.items()),
        metrics=(
            *(Metric(f"{RATE}@{label}", f"first deliveries/s, {label} subscriptions") for label in counts),
            *(Metric(f"{CPU}@{label}", f"CPU per first delivery, us, {label}") for label in counts),
            Metric("prepare_seconds@1M", "time for 1M to subscribe, s"),
            Metric("growth", "CPU at 1M / CPU at 1k", Bound("at most", 2, relative=False)),
        ),
        repetitions=1,
        core=True,
        derived={"growth": lambda n: n[f"{CPU}@1M"] / n[f"{CPU}@1k"]},
    )
    depths = (3, 5, 10, 20)
    yield Scenario(
        name="matching by depth of topics, 100k subscriptions",
        group="Subscriptions",
        security=Security.PLAIN,
        steps=tuple(
            Step("flow", {**options, "subscriptions": 100_000, "depth": depth}, f"{depth}")
            for depth in depths
        ),
        metrics=tuple(
            Metric(f"{CPU}@{depth}", f"CPU per first delivery, us, {depth} levels") for depth in depths
        ),
        repetitions=1,
        core=True,
    )


def stalled() -> Iterator[Scenario]:
    """1 GB to subscribers of which one never reads."""
    options = {"layout": "fanout", "subscribers": 3, "stalled": 1, "payload": 65536, "topics": 1}
    for security in (Security.PLAIN, Security.TLS):
        yield Scenario(
            name=f"{security.value}, a subscriber that never reads, 64 KiB payloads to two others",
            group="Stalled subscriber",
            security=security,
            steps=(Step("flow", {**options, "seconds": 2}),),
            metrics=(
                Metric(RATE, "deliveries/s to those that read"),
                Metric("published", "messages published meanwhile"),
                Metric("broker_peak_mb", "peak memory of the broker, MB"),
            ),
            repetitions=1,
            core=security is Security.PLAIN,
            derived={"broker_peak_mb": lambda n: n["broker_peak_kb"] / 1024},
        )


def logins() -> Iterator[Scenario]:
    """Fleets that come back at once: what a login costs beside its handshake, and a certificate revoked."""
    known = {"username": USERNAME, "password": PASSWORD}
    for fleet, connections, name in (
        (Fleet(10_000), 10_000, "generated secrets"),
        (Fleet(400, chosen=True), 400, "chosen passwords (argon2id)"),
    ):
        options: dict[str, object] = {"connections": connections, "concurrency": 200}
        cpu = "broker_cpu_ms_per_connection"
        bound = None if fleet.chosen else Bound("at most", 1.15, relative=False)
        yield Scenario(
            name=f"{connections:,} devices reconnect over TLS 1.3 with {name}",
            group="Identities and permissions",
            security=Security.TLS,
            steps=(Step("connect", options, "anonymous"), Step("connect", {**options, **known}, "login")),
            metrics=(
                Metric("connections_per_s@login", "connections/s"),
                Metric(f"{cpu}@login", "CPU per connection, ms"),
                Metric("share", "CPU / that of anonymous clients", bound),
                Metric("loop_delay_ms", "event-loop delay, ms", Bound("at most", 20, relative=False)),
            ),
            repetitions=1,
            core=True,
            derived={"share": lambda n, cpu=cpu: n[f"{cpu}@login"] / n[f"{cpu}@anonymous"]},  # type: ignore[misc]
            fleet=fleet,
        )
    yield Scenario(
        name="the certificate of one of 10,000 connected clients is revoked",
        group="Identities and permissions",
        security=Security.MUTUAL,
        steps=(Step("revoke", {"connections": 10_000, "concurrency": 50, "keep-alive": 600, "seconds": 10}),),
        metrics=(
            Metric(
                "seconds_from_command",
                "from the start of the command to DISCONNECT, s",
                Bound("at most", 1, relative=False),
            ),
            Metric("command_seconds", "the command itself, s"),
            Metric("loop_delay_ms", "event-loop delay, ms"),
        ),
        repetitions=1,
        core=True,
        fleet=Fleet(),
    )


def permissions() -> Iterator[Scenario]:
    """The same load with the two rules of a new data folder, and with 10,000 for 1,000 users."""
    pairs = 50
    options: dict[str, object] = {
        **SHAPES[f"{pairs}->{pairs}"],
        "seconds": SATURATED_SECONDS,
        "username": USERNAME,
        "password": PASSWORD,
    }
    for security in (Security.PLAIN, Security.TLS):
        yield Scenario(
            name=f"{security.value}, QoS 0, 50->50, 10,000 rules and 1,000 users",
            group="Identities and permissions",
            security=security,
            steps=(
                Step("flow", options, "first"),
                Step("rules", {"pairs": pairs}),  # ten for each user
                Step("flow", options, "rules"),
            ),
            metrics=(
                Metric(f"{RATE}@first", "deliveries/s, no rules of its own"),
                Metric(f"{RATE}@rules", "deliveries/s with the rules"),
                Metric("share", "with / without", Bound("at least", 0.9, relative=False)),
                Metric("import_seconds", "until the rules are in force, s"),
            ),
            repetitions=REQUIRED_REPETITIONS,
            core=security is Security.PLAIN,
            derived={"share": lambda n: n[f"{RATE}@rules"] / n[f"{RATE}@first"]},
            fleet=Fleet(1000),
        )


def certificates() -> Iterator[Scenario]:
    """The authority at work beside the broker's clients."""
    yield Scenario(
        name="1,000 P-256 device certificates with keys, cert bulk",
        group="Identities and permissions",
        security=Security.PLAIN,
        steps=(Step("issue", {"connections": 1000}),),
        metrics=(
            Metric("seconds", "the command, s", Bound("at most", 20, relative=False)),
            Metric("cpu", "CPU of the broker, s"),
            Metric("loop_delay_ms", "event-loop delay, ms"),
        ),
        repetitions=1,
        core=True,
        fleet=Fleet(),
    )


def all_scenarios() -> list[Scenario]:
    """The full grid, in the order of the report."""
    makers = (saturated, paced, handshakes, idle, churn, matching, stalled, logins, permissions, certificates)
    return [scenario for maker in makers for scenario in maker()]
