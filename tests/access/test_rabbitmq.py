"""RabbitMQ's permissions: names of resources and routing keys, as `re:run` finds them."""

from __future__ import annotations

import pytest

from lockwire.access.authorizer import EVERY_PUBLISH, REFUSED, AccessAuthorizer
from lockwire.access.errors import RuleError
from lockwire.access.identity import Identity
from lockwire.access.rights.policy import Policy, ResourcePermission, TopicPermission
from lockwire.access.rights.rules import DEFAULT_RULES, RIGHTS, Rule

JO = Identity("jo", "password")
FULL = ResourcePermission(".*", ".*", ".*")


def authorizer(
    resource: ResourcePermission | None = FULL, *topics: TopicPermission, rules: tuple[Rule, ...] = ()
) -> AccessAuthorizer:
    """What jo may do with these permissions."""
    resources = {} if resource is None else {"jo": resource}
    return AccessAuthorizer(Policy(rules, resources=resources, topic_permissions={"jo": topics}))


def topic(write: str = ".*", read: str = ".*", exchange: str = "amq.topic") -> TopicPermission:
    return TopicPermission(exchange, write, read)


def may_publish(decides: AccessAuthorizer, name: str, client_id: str = "c") -> bool:
    mask = decides.publish_mask(JO, client_id, name.encode())
    assert mask in (0, EVERY_PUBLISH)
    return mask != 0


def test_without_topic_permissions_every_topic_is_allowed() -> None:
    decides = authorizer()
    assert may_publish(decides, "a/b")
    assert decides.may_receive(JO, "c", b"a/b")
    assert decides.granted_qos(JO, "c", "#", 2) == 2


def test_topics_that_begin_with_a_dollar_sign_are_not_rabbitmqs() -> None:
    decides = authorizer(FULL, topic())
    assert not may_publish(decides, "$SYS/x")
    assert not decides.may_receive(JO, "c", b"$SYS/x")
    assert decides.granted_qos(JO, "c", "$SYS/#", 0) == REFUSED


def test_an_expression_is_found_anywhere_in_the_dotted_topic() -> None:
    decides = authorizer(FULL, topic(write="iot.kitchen.*"))
    for name in ("iot/kitchen/temp", "x/iot/kitchenette/temp", "iot.kitchen", "iotikitchen"):
        assert may_publish(decides, name), name
    assert not may_publish(decides, "iot/bath/temp")
    anchored = authorizer(FULL, topic(write=r"^iot\.kitchen\..*$"))
    assert may_publish(anchored, "iot/kitchen/temp")
    assert not may_publish(anchored, "x/iot/kitchenette/temp")
    assert not may_publish(anchored, "iot/kitchen")


def test_a_subscription_needs_all_that_its_filter_matches() -> None:
    decides = authorizer(FULL, topic(read=r"^iot\.kitchen\..*$"))
    assert decides.granted_qos(JO, "c", "iot/kitchen/temp", 1) == 1
    assert decides.granted_qos(JO, "c", "iot/kitchen/+", 1) == 1
    assert decides.granted_qos(JO, "c", "$share/g/iot/kitchen/#", 1) == 1
    for wider in ("iot/#", "iot/+/temp", "#", "iot/kitchen"):
        assert decides.granted_qos(JO, "c", wider, 1) == REFUSED, wider


def test_what_a_subscription_matches_beside_is_left_out_when_it_is_delivered() -> None:
    """RabbitMQ grants `iot/kitchen/#` here too; a level with a dot is two words there."""
    decides = authorizer(FULL, topic(read=r"^iot\.kitchen\.[^.]*$"))
    assert decides.granted_qos(JO, "c", "iot/kitchen/+", 0) == 0
    assert not decides.may_receive(JO, "c", b"iot/kitchen/a.b")
    whole = authorizer(FULL, topic(read=r"^iot\.kitchen\..*$"))
    assert whole.granted_qos(JO, "c", "iot/kitchen/#", 0) == 0
    assert not whole.may_receive(JO, "c", b"iot/kitchen")
    denied = Rule("user:jo", RIGHTS, "iot/kitchen", effect="deny")
    refuses = authorizer(FULL, topic(read=r"^iot\.kitchen\..*$"), rules=(denied,))
    assert refuses.granted_qos(JO, "c", "iot/kitchen/#", 0) == REFUSED
    dotted = Rule("user:jo", RIGHTS, "iot/kitchen/a.b", effect="deny")
    refuses = authorizer(FULL, topic(read=r"^iot\.kitchen\..*$"), rules=(dotted,))
    assert refuses.granted_qos(JO, "c", "iot/kitchen/+", 0) == REFUSED
    literal = authorizer(FULL, topic(read=r"^iot\.kitchen$"))
    assert literal.granted_qos(JO, "c", "a.b", 0) == REFUSED


def test_publishing_needs_write_on_the_exchange() -> None:
    for write, expected in ((r"^amq\.topic$", True), ("topic", True), ("^amq.default$", False), ("", False)):
        assert may_publish(authorizer(ResourcePermission(".*", write, ".*")), "a") is expected


def test_a_subscription_needs_its_queue_and_read_on_the_exchange() -> None:
    own = r"^mqtt-subscription-c-qos[01]$|^mqtt-subscription-cqos[01]$"
    only_first = ResourcePermission("qos0$", ".*", ".*")
    for resource, client_id, expected in (
        (FULL, "c", 2),
        (ResourcePermission(own, own, own + "|^amq.topic$"), "c", 2),
        (ResourcePermission(own, own, own + "|^amq.topic$"), "other", REFUSED),
        (ResourcePermission(own, own, own), "c", REFUSED),
        (ResourcePermission("", ".*", ".*"), "c", REFUSED),
        (only_first, "c", 0),
    ):
        assert authorizer(resource).granted_qos(JO, client_id, "a/b", 2) == expected, resource
    assert not authorizer(ResourcePermission(".*", ".*", own)).may_receive(JO, "c", b"a")


def test_permissions_on_other_exchanges_do_not_concern_mqtt() -> None:
    assert may_publish(authorizer(FULL, topic(write="^nothing$", exchange="other")), "a")
    assert not may_publish(authorizer(FULL, topic(write="^nothing$"), topic(exchange="other")), "a")


def test_an_empty_expression_matches_no_topic() -> None:
    assert not may_publish(authorizer(FULL, topic(write="")), "a")
    assert not authorizer(FULL, topic(read="")).may_receive(JO, "c", b"a")


def test_placeholders_are_the_clients_own_and_never_expressions_themselves() -> None:
    decides = authorizer(FULL, topic(write=r"^{username}\.{client_id}\..*$"))
    assert may_publish(decides, "jo/c/x")
    assert not may_publish(decides, "jo/d/x")
    # RabbitMQ puts the name in unquoted: there this client id opens every topic of jo's.
    assert not may_publish(decides, "jo/d/x", client_id=".*")
    assert may_publish(decides, "jo/.*/x", client_id=".*")
    assert may_publish(authorizer(FULL, topic(write="^a{vhost}b")), "a/b") is False


def test_who_has_permissions_of_this_kind_gets_nothing_from_what_everyone_may() -> None:
    decides = authorizer(FULL, topic(write="^a$"), rules=DEFAULT_RULES)
    assert may_publish(decides, "a")
    assert not may_publish(decides, "b")
    assert AccessAuthorizer(Policy(DEFAULT_RULES)).publish_mask(JO, "c", b"b") == EVERY_PUBLISH
    extended = authorizer(FULL, topic(write="^a$"), rules=(Rule("user:jo", RIGHTS, "b"), *DEFAULT_RULES))
    assert may_publish(extended, "b")
    denied = authorizer(FULL, topic(write="^a$"), rules=(Rule("everyone", RIGHTS, "a", effect="deny"),))
    assert not may_publish(denied, "a")
    only_topics = authorizer(None, topic(), rules=DEFAULT_RULES)
    assert not may_publish(only_topics, "a")


def test_changed_permissions_count_at_once() -> None:
    decides = authorizer(FULL, topic(write="^a$"))
    assert may_publish(decides, "a")
    decides.set_policy(Policy(resources={"jo": FULL}, topic_permissions={"jo": (topic(write="^b$"),)}))
    assert not may_publish(decides, "a")
    assert may_publish(decides, "b")


@pytest.mark.parametrize(
    "policy",
    [
        Policy(resources={"jo": ResourcePermission(".*", "(?=a)", ".*")}),
        Policy(topic_permissions={"jo": (topic(read="^(a"),)}),
        Policy((Rule("everyone", RIGHTS, "", regexp="[b-a]"),)),
        Policy(tuple(Rule("everyone", RIGHTS, "", regexp=f"a{{900}}{n}") for n in range(30))),
    ],
)
def test_a_policy_with_an_unusable_expression_is_refused_and_the_old_one_stays(policy: Policy) -> None:
    decides = AccessAuthorizer(Policy(DEFAULT_RULES))
    revision = decides.revision
    with pytest.raises(RuleError):
        decides.set_policy(policy)
    assert decides.publish_mask(JO, "c", b"a") == EVERY_PUBLISH
    assert (decides.revision, decides.policy) == (revision, Policy(DEFAULT_RULES))
