"""NetworkPolicies: the flows that exist pass, all others do not. The policies are read as Kubernetes reads them."""

import ipaddress
import unittest

import chart
from test_manifests import everything, plain

CLUSTER = {
    "scheduler": {"app.kubernetes.io/name": "retail", "app.kubernetes.io/instance": "retail", "app.kubernetes.io/component": "scheduler"},
    "executor": {"app.kubernetes.io/name": "retail", "app.kubernetes.io/instance": "retail", "app.kubernetes.io/component": "executor"},
    "operator": {"app.kubernetes.io/name": "retail", "app.kubernetes.io/instance": "retail", "app.kubernetes.io/component": "operator"},
    "test": {"app.kubernetes.io/name": "retail", "app.kubernetes.io/instance": "retail", "app.kubernetes.io/component": "test"},
    "removal": {"app.kubernetes.io/name": "retail", "app.kubernetes.io/instance": "retail", "app.kubernetes.io/component": "removal"},
    "client": {"retail.dev/client": "true"},
    "stranger": {"app": "web"},
    "store": {"other": "yes"},
    "another-cluster": {"app.kubernetes.io/name": "retail", "app.kubernetes.io/instance": "second", "app.kubernetes.io/component": "executor"},
}
ELSEWHERE = {"prometheus": "monitoring", "ingress": "ingress-nginx", "dns": "kube-system", "spy": "default"}
ADDRESSES = {"database": "10.1.2.3", "internet": "93.184.216.34", "api": "10.96.0.1"}
PORTS = [53, 443, 4317, 5432, 6443, 9000, 50050, 50051, 50052, 50080, 50081, 50082]


def selects(selector, labels):
    assert not selector.keys() - {"matchLabels"}, "the policies use matchLabels only"
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def is_peer(peer, who):
    """Whether a NetworkPolicy peer means `who`."""
    if who in ADDRESSES:
        return "ipBlock" in peer and ipaddress.ip_address(ADDRESSES[who]) in ipaddress.ip_network(peer["ipBlock"]["cidr"])
    if "ipBlock" in peer:
        return False
    namespace = {"kubernetes.io/metadata.name": ELSEWHERE.get(who, "shop")}
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], namespace):
            return False
    elif who in ELSEWHERE:
        return False
    return selects(peer.get("podSelector", {}), CLUSTER.get(who, {}))


def allows(policies, direction, pod, other, port):
    """Whether `pod` may receive from (Ingress) or send to (Egress) `other`."""
    key = direction.lower()
    side = "from" if direction == "Ingress" else "to"
    bound = [p["spec"] for p in policies if selects(p["spec"]["podSelector"], CLUSTER.get(pod, {})) and direction in p["spec"]["policyTypes"]]
    if pod not in CLUSTER or not bound:
        return True  # no policy of ours concerns it
    for policy in bound:
        for rule in policy.get(key, []):
            if side in rule and not any(is_peer(peer, other) for peer in rule[side] or []):
                continue
            if "ports" in rule and port not in [entry["port"] for entry in rule["ports"]]:
                continue
            return True
    return False


def flows(values):
    """Every (from, to, port) that passes, of those that one of the cluster's pods is part of."""
    policies = [thing for (kind, _), thing in chart.objects(values=values).items() if kind == "NetworkPolicy"]
    everyone = [*CLUSTER, *ELSEWHERE, *ADDRESSES]
    inside = ["scheduler", "executor", "operator", "removal", "test"]
    return {
        (source, target, port)
        for source in everyone for target in everyone for port in PORTS
        if (source in inside or target in inside)
        and allows(policies, "Egress", source, target, port) and allows(policies, "Ingress", target, source, port)
    }


BASE = {
    ("client", "scheduler", 50050),
    ("executor", "scheduler", 50050),
    ("test", "scheduler", 50050),
    ("ingress", "scheduler", 50050),
    ("scheduler", "executor", 50051),
    ("scheduler", "executor", 50052),
    ("executor", "executor", 50051),
    ("prometheus", "scheduler", 50080),
    ("prometheus", "executor", 50081),
    ("scheduler", "dns", 53), ("executor", "dns", 53), ("operator", "dns", 53), ("test", "dns", 53),
    ("removal", "dns", 53),
    ("scheduler", "store", 9000), ("executor", "store", 9000),
    ("scheduler", "store", 4317), ("executor", "store", 4317),
    ("scheduler", "database", 5432),
}
OPERATOR = {("operator", "scheduler", 50080), ("prometheus", "operator", 50082), ("operator", "api", 443), ("operator", "api", 6443)}
OPERATOR |= {("removal", "api", 443), ("removal", "api", 6443)}


class Flows(unittest.TestCase):
    maxDiff = None

    def values(self):
        values = everything()
        values["networkPolicy"].pop("extraEgress")
        values["trace"] = {"endpoint": "http://collector:4317"}
        values["networkPolicy"]["otlp"] = {"to": [{"podSelector": {"matchLabels": {"other": "yes"}}}]}
        return values

    def test_exactly_the_flows_that_exist_pass(self):
        self.assertEqual(flows(self.values()), BASE | OPERATOR)

    def test_without_the_operator_its_flows_are_closed(self):
        self.assertEqual(flows(plain(self.values())), BASE)

    def test_without_test_and_ingress_their_flows_are_closed(self):
        values = {**self.values(), "tests": {"enabled": False}}
        values["ingress"] = {"enabled": False}
        gone = {("test", "scheduler", 50050), ("ingress", "scheduler", 50050)}
        self.assertEqual(flows(values), (BASE | OPERATOR) - gone)

    def test_a_store_that_is_not_named_may_be_anywhere_on_its_port(self):
        values = self.values()
        values["networkPolicy"] = {}
        values["s3"]["endpoint"] = ""
        self.assertIn(("executor", "internet", 443), flows(values))
        self.assertNotIn(("executor", "internet", 5432), flows(values))

    def test_the_policies_can_be_left_out(self):
        self.assertNotIn("NetworkPolicy", {kind for kind, _ in chart.objects(values={"networkPolicy": {"enabled": False}})})


if __name__ == "__main__":
    unittest.main()
