"""Values: each is documented, each is used, and each impossible one is refused with a message that names it."""

import json
import subprocess
import sys
import unittest

import yaml

import chart

DEFAULTS = yaml.safe_load((chart.CHART / "values.yaml").read_text())

# Other values that have to be set before a change of this one can show.
NEEDS = {
    "image.tag": {},
    "executors.autoscaling.tasksPerExecutor": {"executors": {"autoscaling": {"enabled": True}}},
    "executors.hpa": {"operator": {"enabled": False}, "executors": {"hpa": {"enabled": True}}},
    "executors.hpa.enabled": {"operator": {"enabled": False}},
    "executors.autoscaling.enabled": {},
    "scheduler.service.nodePort": {"scheduler": {"service": {"type": "NodePort"}}},
    "scheduler.service.annotations": {"scheduler": {"service": {"type": "LoadBalancer"}}},
    "catalog.uriKey": {"catalog": {"existingSecret": "db"}},
    "s3.accessKeyIdKey": {"s3": {"existingSecret": "keys"}},
    "s3.secretAccessKeyKey": {"s3": {"existingSecret": "keys"}},
    "scheduler.persistence.enabled": {"catalog": {"existingSecret": "db"}},
    "ingress": {"ingress": {"enabled": True, "host": "retail.test", "tlsSecret": "tls"}},
    "ingress.enabled": {"ingress": {"host": "retail.test", "tlsSecret": "tls"}},
    "networkPolicy.ingressController": {"ingress": {"enabled": True, "host": "retail.test", "tlsSecret": "tls"}},
    "networkPolicy.catalog": {"catalog": {"existingSecret": "db"}},
    "trace.sampleRatio": {"trace": {"endpoint": "http://collector:4317"}},
    "networkPolicy.otlp": {"trace": {"endpoint": "http://collector:4317"}},
    "monitoring.labels": {"monitoring": {"serviceMonitor": {"enabled": True}}},
    "monitoring.serviceMonitor.interval": {"monitoring": {"serviceMonitor": {"enabled": True}}},
    "monitoring.podMonitor.interval": {"monitoring": {"podMonitor": {"enabled": True}}},
    "monitoring.dashboards": {"monitoring": {"dashboards": {"enabled": True}}},
    "monitoring.dashboards.enabled": {},
}
# A change that is allowed, where the rules of `other` below give none.
CHANGES = {
    "fullnameOverride": "other",
    "image.digest": "sha256:" + "0" * 64,
    "image.pullPolicy": "Never",
    "catalog.warehouse": "s3://other/place",
    "s3.endpoint": "http://store:9000",
    "log.format": "text",
    "trace.endpoint": "http://collector:4317",
    "trace.sampleRatio": 0.5,
    "scheduler.service.type": "NodePort",
    "scheduler.service.nodePort": 30123,
    "scheduler.persistence.size": "7Gi",
    "scheduler.config": {"jobs": {"keep": 7}},
    "executors.config": {"scheduler": {"heartbeat_s": 7}},
    "operator.config": {"scaling": {"poll_s": 7}},
    "executors.resources": {"limits": {"memory": "3Gi"}},
    "scheduler.resources": {"limits": {"memory": "3Gi"}},
    "operator.resources": {"limits": {"memory": "3Gi"}},
    "executors.workVolume.sizeLimit": "7Gi",
    "executors.memoryFraction": 0.5,
    "executors.autoscaling.tasksPerExecutor": 3,
    "monitoring.serviceMonitor.interval": "7s",
    "monitoring.podMonitor.interval": "7s",
    "networkPolicy.s3.ports": [7],
    "networkPolicy.kubernetesApi.ports": [7],
    "networkPolicy.extraEgress": [{"ports": [{"port": 7}]}],
}
# Values whose change shows nowhere, each with the reason.
UNUSED = {
    "scheduler.persistence.enabled": "the other value is refused: without a volume and without PostgreSQL the catalog would be lost",
}

# What must be refused, and a part of the message that names the value and why.
BAD = [
    ({"executors": {"slots": 0}}, "at '/executors/slots': minimum: got 0, want 1"),
    ({"executors": {"slotz": 2}}, "at '/executors': additional properties 'slotz' not allowed"),
    ({"executor": {}}, "additional properties 'executor' not allowed"),
    ({"executors": {"replicas": -1}}, "at '/executors/replicas'"),
    ({"executors": {"replicas": "two"}}, "at '/executors/replicas': got string, want"),
    ({"executors": {"memoryFraction": 1.5}}, "at '/executors/memoryFraction'"),
    ({"executors": {"autoscaling": {"min": 5, "max": 2}}}, "executors.autoscaling.max (2) is below executors.autoscaling.min (5)"),
    ({"executors": {"hpa": {"min": 5, "max": 2}}}, "executors.hpa.max (2) is below executors.hpa.min (5)"),
    ({"executors": {"hpa": {"enabled": True}}}, "executors.hpa is for a cluster without the operator"),
    ({"executors": {"autoscaling": {"enabled": True}}, "operator": {"enabled": False}}, "executors.autoscaling needs the operator"),
    ({"executors": {"resources": {"limits": {"memory": "128Mi"}}}}, "too little memory for a task: executors.resources.limits.memory 128Mi"),
    ({"executors": {"slots": 64}}, "too little memory for a task"),
    ({"executors": {"resources": {"limits": {"memory": None}}}}, "executors.resources.limits.memory is missing"),
    ({"executors": {"resources": {"limits": {"memory": "lots"}}}}, 'executors.resources.limits.memory: "lots" is not an amount of bytes'),
    ({"executors": {"resources": {"limit": {}}}}, "at '/executors/resources': additional properties 'limit' not allowed"),
    ({"executors": {"workVolume": {"sizeLimit": "big"}}}, "executors.workVolume.sizeLimit"),
    ({"executors": {"drainGraceSeconds": "1m"}}, "at '/executors/drainGraceSeconds': got string, want integer"),
    ({"executors": {"config": {"log": "debug"}}}, "at '/executors/config/log': got string, want object"),
    ({"executors": {"config": {"storage": {"s3": {"secret_access_key": "x"}}}}}, "executors.config.storage.s3.secret_access_key would put a secret into a ConfigMap"),
    ({"scheduler": {"config": {"catalog": {"uri": "postgresql://u:p@h/d"}}}}, "scheduler.config.catalog.uri would put a secret into a ConfigMap"),
    ({"scheduler": {"persistence": {"enabled": False}}}, "the catalog would be lost with the scheduler's pod"),
    ({"scheduler": {"persistence": {"existingClaim": "c"}}, "catalog": {"existingSecret": "db"}}, "scheduler.persistence.existingClaim is of no use"),
    ({"scheduler": {"persistence": {"size": "5 GB"}}}, "scheduler.persistence.size"),
    ({"scheduler": {"service": {"type": "Ingress"}}}, "at '/scheduler/service/type': value must be one of"),
    ({"scheduler": {"service": {"nodePort": 30050}}}, "scheduler.service.nodePort is of no use with scheduler.service.type=ClusterIP"),
    ({"catalog": {"warehouse": "/data/warehouse"}}, 'catalog.warehouse "/data/warehouse" is not s3://bucket/prefix'),
    ({"catalog": {"existingSecret": "Not A Name"}}, "at '/catalog/existingSecret'"),
    ({"s3": {"endpoint": "store:9000"}}, 's3.endpoint "store:9000" is not http://host:port'),
    ({"trace": {"endpoint": "collector"}}, 'trace.endpoint "collector" is not http://host:port'),
    ({"trace": {"sampleRatio": 2}}, "at '/trace/sampleRatio'"),
    ({"image": {"pullPolicy": "Sometimes"}}, "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ({"image": {"tag": 1.0}}, "at '/image/tag': got number, want string"),
    ({"image": {"digest": "sha256:abc"}}, 'image.digest "sha256:abc"'),
    ({"image": {"repository": ""}}, "at '/image/repository'"),
    ({"log": {"format": "xml"}}, "at '/log/format'"),
    ({"operator": {"replicas": 0}}, "at '/operator/replicas': minimum: got 0, want 1"),
    ({"ingress": {"enabled": True, "host": "retail.test"}}, "ingress.host and ingress.tlsSecret are needed"),
    ({"networkPolicy": {"clients": [{"cidr": "10.0.0.0/8"}]}}, "at '/networkPolicy/clients/0': additional properties 'cidr' not allowed"),
    ({"networkPolicy": {"catalog": {"port": 70000}}}, "at '/networkPolicy/catalog/port'"),
    ({"monitoring": {"podMonitor": {"enabled": True, "interval": "often"}}}, 'monitoring.podMonitor.interval "often" is not a time'),
    ({"monitoring": {"serviceMonitor": {"enabled": "yes"}}}, "at '/monitoring/serviceMonitor/enabled': got string, want boolean"),
    ({"tests": {"timeoutSeconds": 0}}, "at '/tests/timeoutSeconds'"),
    ({"commonLabels": {"team": 7}}, "at '/commonLabels/team': got number, want string"),
    ({"fullnameOverride": "Retail_1"}, 'the name "Retail_1" must begin with a letter'),
    ({"fullnameOverride": "r" * 44}, "has more than 43 characters"),
]


def leaves(values, path=()):
    for key, value in values.items():
        # Requests and limits are one thing; so is an empty mapping.
        if isinstance(value, dict) and value and key != "resources":
            yield from leaves(value, path + (key,))
        else:
            yield path + (key,), value


def nested(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def merged(under, over):
    out = dict(under)
    for key, value in over.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def other(path, value):
    """A value that is allowed and not the default."""
    name = ".".join(path)
    if name in CHANGES:
        return CHANGES[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return "other"
    if isinstance(value, dict):
        return {"nodeAffinity": {}} if path[-1] == "affinity" else {"other": "yes"}
    if path[0] == "networkPolicy":
        return [{"podSelector": {"matchLabels": {"other": "yes"}}}]
    if path[-1] in ("pullSecrets", "extraSecrets"):
        return ["other"]
    return [{"key": "other"}]


def surroundings(path):
    for length in range(len(path), 0, -1):
        if ".".join(path[:length]) in NEEDS:
            return NEEDS[".".join(path[:length])]
    return {}


class Values(unittest.TestCase):
    maxDiff = None

    def test_the_readme_is_what_the_comments_say(self):
        done = subprocess.run([sys.executable, chart.ROOT / "helm" / "docs.py", "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_dashboards_and_alerts_are_those_of_grafana(self):
        done = subprocess.run([sys.executable, chart.ROOT / "helm" / "sync.py", "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_values_file_passes_lint(self):
        for values in sorted(chart.CHART.glob("values*.yaml")):
            done = chart.run("lint", "--strict", chart.CHART, "-f", values)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_value_changes_what_is_installed(self):
        for path, value in leaves(DEFAULTS):
            name = ".".join(path)
            if name in UNUSED:
                continue
            around = surroundings(path)
            changed = other(path, value)
            with self.subTest(value=name, changed=changed):
                before = chart.text(values=around)
                after = chart.text(values=merged(around, nested(path, changed)))
                self.assertTrue(before != after, f"{name} is used by no template")

    def test_every_exception_is_a_value(self):
        names = {".".join(path) for path, _ in leaves(DEFAULTS)}
        for name in UNUSED.keys() | CHANGES.keys():
            self.assertIn(name, names)

    def test_the_schema_knows_every_value(self):
        schema = json.loads((chart.CHART / "values.schema.json").read_text())

        def resolve(part):
            return schema["$defs"][part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part

        def compare(values, part, path):
            for key, value in values.items():
                part = resolve(part)
                if part.get("properties") is None:
                    return  # a mapping with keys of the user's
                self.assertIn(key, part["properties"], f"values.schema.json lacks {path}{key}")
                if isinstance(value, dict):
                    compare(value, part["properties"][key], f"{path}{key}.")

        compare(DEFAULTS, schema, "")

    def test_every_bad_value_is_refused_by_name(self):
        for values, message in BAD:
            with self.subTest(values=values):
                done = chart.template(values=values)
                self.assertNotEqual(done.returncode, 0, f"{values} was accepted")
                self.assertIn(message, done.stderr)

    def test_a_cluster_that_is_too_old_is_refused(self):
        done = chart.template("--kube-version", "1.28.0")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("incompatible with Kubernetes v1.28.0", done.stderr)


if __name__ == "__main__":
    unittest.main()
