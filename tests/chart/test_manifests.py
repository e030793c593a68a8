"""What is installed: valid for every supported Kubernetes, hardened, with probes, and with exactly the flows that exist.

Snapshots lie in snapshots/; RETAIL_BLESS=1 writes them anew."""

import difflib
import json
import os
import pathlib
import re
import subprocess
import tomllib
import unittest

import jsonschema
import kubernetes_validate
import yaml

import chart

SNAPSHOTS = pathlib.Path(__file__).parent / "snapshots"
BOUNDS = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["kubeVersion"]
OLDEST = re.search(r">=(1\.\d+)", BOUNDS)[1]
NEWEST = f"1.{int(re.search(r'<1.([0-9]+)', BOUNDS)[1]) - 1}"


def everything():
    """A set of values that renders every template and every optional part of it."""
    one = {"other": "yes"}
    place = {
        "podLabels": one, "podAnnotations": one, "nodeSelector": one, "priorityClassName": "high",
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": one}}}]}},
    }
    return {
        "commonLabels": {"team": "shop"},
        "image": {"pullSecrets": ["registry"]},
        "catalog": {"existingSecret": "db"},
        "s3": {"endpoint": "http://store:9000", "existingSecret": "keys"},
        "trace": {"endpoint": "http://collector:4317", "sampleRatio": 0.5},
        "serviceAccount": {"annotations": {"role": "r"}},
        "scheduler": {**place, "service": {"type": "LoadBalancer", "annotations": one, "nodePort": 30050}, "podDisruptionBudget": {"enabled": True}},
        "executors": {**place, "extraSecrets": ["more"], "autoscaling": {"tasksPerExecutor": 3}},
        "operator": {**place, "replicas": 2},
        "ingress": {"enabled": True, "host": "retail.test", "tlsSecret": "tls", "className": "nginx", "annotations": one},
        "networkPolicy": {
            "catalog": {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}, "s3": {"to": [{"podSelector": {"matchLabels": one}}]},
            "kubernetesApi": {"to": [{"ipBlock": {"cidr": "10.96.0.1/32"}}]},
            "extraEgress": [{"ports": [{"port": 443}]}],
        },
        "monitoring": {"labels": one, "serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True},
                       "prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}},
    }


def plain(values):
    """The same without the operator."""
    out = dict(values)
    out["operator"] = {"enabled": False}
    out["executors"] = {**values["executors"], "hpa": {"enabled": True}}
    return out


SETS = {
    **{name: (arguments, None) for name, arguments in chart.VARIANTS.items()},
    "everything": ([], everything()),
    "everything-without-operator": ([], plain(everything())),
}


def structural(schema):
    """A CRD's schema as JSON schema: unknown keys are refused, which the API server would drop."""
    if isinstance(schema, dict):
        out = {key: structural(value) for key, value in schema.items()}
        if out.get("x-kubernetes-int-or-string"):
            out["type"] = ["integer", "string"]
        elif out.get("nullable") and "type" in out:
            out["type"] = [out["type"], "null"]
        if isinstance(out.get("properties"), dict) and "additionalProperties" not in out and "type" in out:
            out["additionalProperties"] = False
        return out
    return [structural(item) for item in schema] if isinstance(schema, list) else schema


class Manifests(unittest.TestCase):
    maxDiff = None

    def test_every_manifest_is_valid_in_the_oldest_and_the_newest_kubernetes(self):
        checked = set()
        for name, (arguments, values) in SETS.items():
            for (kind, what), thing in chart.objects(*arguments, values=values).items():
                if "." in thing["apiVersion"].split("/")[0] and not thing["apiVersion"].split("/")[0].endswith(".k8s.io"):
                    continue  # a custom resource; ours is checked below
                for version in (OLDEST, NEWEST):
                    with self.subTest(values=name, kind=kind, name=what, kubernetes=version):
                        # The validator takes the newest schema that is not newer; that has to be this one.
                        self.assertEqual(kubernetes_validate.validate(thing, version, strict=True), version)
                        checked.add(kind)
        self.assertGreaterEqual(checked, {"StatefulSet", "Deployment", "NetworkPolicy", "HorizontalPodAutoscaler",
                                          "PodDisruptionBudget", "Ingress", "Role", "PersistentVolumeClaim", "Pod"})

    def test_the_retail_cluster_is_what_its_definition_allows(self):
        definition = yaml.safe_load((chart.CHART / "crds" / "retailclusters.yaml").read_text())
        schema = structural(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
        for name, (arguments, values) in SETS.items():
            installed = chart.objects(*arguments, values=values)
            if ("RetailCluster", "retail") in installed:
                with self.subTest(values=name):
                    jsonschema.validate(installed["RetailCluster", "retail"]["spec"], schema)
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.validate({**installed_spec(), "slotz": 2}, schema)

    def test_what_is_installed_is_what_the_snapshots_show(self):
        for name, (arguments, values) in SETS.items():
            made = chart.text(*arguments, values=values)
            # Dashboards and alerts are held to be those of grafana/ elsewhere; here they would only be long.
            made = "---\n".join(part for part in made.split("---\n") if "grafana_folder:" not in part and "kind: PrometheusRule" not in part)
            path = SNAPSHOTS / f"{name}.yaml"
            if os.environ.get("RETAIL_BLESS"):
                path.write_text(made)
            with self.subTest(values=name):
                kept = path.read_text()
                if kept != made:
                    diff = list(difflib.unified_diff(kept.splitlines(), made.splitlines(), "snapshot", "rendered", lineterm="", n=2))
                    self.fail("\n".join(diff[:60]) + "\nRETAIL_BLESS=1 writes the snapshots anew")

    def test_every_pod_is_hardened(self):
        for name, (arguments, values) in SETS.items():
            for what, template in chart.pods(chart.objects(*arguments, values=values)):
                spec = template["spec"]
                with self.subTest(values=name, pod=what):
                    self.assertEqual(spec["securityContext"]["runAsUser"], 65532)
                    self.assertTrue(spec["securityContext"]["runAsNonRoot"])
                    self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                    self.assertEqual(spec["automountServiceAccountToken"], "operator" in what, "only the operator talks to Kubernetes")
                    for container in spec["containers"] + spec.get("initContainers", []):
                        context = container["securityContext"]
                        self.assertTrue(context["readOnlyRootFilesystem"])
                        self.assertFalse(context["allowPrivilegeEscalation"])
                        self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                        self.assertIn("memory", container["resources"]["limits"])

    def test_every_program_has_probes_on_its_admin_port(self):
        for what, template in chart.pods(chart.objects("--set", "operator.enabled=false")):
            if "test" in what:
                continue
            container = template["spec"]["containers"][0]
            with self.subTest(pod=what):
                for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
                    self.assertEqual(container[probe]["httpGet"], {"path": path, "port": "admin"})

    def test_a_changed_setting_rolls_the_pods(self):
        for values in ({}, {"operator": {"enabled": False}}):
            before = chart.objects(values=values)
            after = chart.objects(values={**values, "log": {"level": "debug"}})
            for key in before:
                if key[0] == "StatefulSet" or key[0] == "Deployment":
                    with self.subTest(what=key):
                        pick = lambda installed: installed[key]["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
                        self.assertNotEqual(pick(before), pick(after))

    def test_the_memory_pool_is_its_share_of_the_limit(self):
        for limit, fraction, pool in (("2Gi", 0.7, 1503238553), ("1500M", 0.5, 750000000), ("1.5Gi", 0.5, 805306368), (3000000000, 0.5, 1500000000)):
            with self.subTest(limit=limit):
                installed = chart.objects(values={"executors": {"resources": {"limits": {"memory": limit}}, "memoryFraction": fraction}})
                config = tomllib.loads(installed["ConfigMap", "retail-executor"]["data"]["config.toml"])
                self.assertEqual(config["resources"]["memory_bytes"], pool)

    def test_settings_are_ones_that_the_programs_know(self):
        programs = {"retail-scheduler": "scheduler", "retail-executor": "executor", "retail-operator": "operator"}
        for values in (None, everything()):
            installed = chart.objects(values=values)
            for name, folder in programs.items():
                defaults = tomllib.loads((chart.ROOT / folder / "src" / "default.toml").read_text())
                config = tomllib.loads(installed["ConfigMap", name]["data"]["config.toml"])
                with self.subTest(program=name, values=values):
                    self.assertEqual(list(unknown(config, defaults)), [])

    def test_no_secret_is_in_a_manifest(self):
        for name, (arguments, values) in SETS.items():
            installed = chart.objects(*arguments, values=values)
            with self.subTest(values=name):
                self.assertNotIn("Secret", {kind for kind, _ in installed})
        installed = chart.objects(values=everything())
        config = tomllib.loads(installed["ConfigMap", "retail-scheduler"]["data"]["config.toml"])
        self.assertEqual(config["catalog"]["uri_file"], "/etc/retail/secrets/db/uri")
        mounts = installed["StatefulSet", "retail-scheduler"]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
        self.assertIn("/etc/retail/secrets/db", [mount["mountPath"] for mount in mounts])
        self.assertEqual(installed["RetailCluster", "retail"]["spec"]["secrets"], ["keys", "more"])

    def test_who_scales_owns_the_number_of_executors(self):
        rendered = lambda **executors: chart.objects(values={"executors": executors})["RetailCluster", "retail"]["spec"]
        self.assertEqual(rendered(replicas=4)["replicas"], 4)
        self.assertNotIn("replicas", rendered(autoscaling={"enabled": True}))
        self.assertNotIn("replicas", rendered(replicas=None))
        off = lambda **executors: chart.objects(values={"operator": {"enabled": False}, "executors": executors})["StatefulSet", "retail-executor"]["spec"]
        self.assertEqual(off(replicas=4)["replicas"], 4)
        self.assertNotIn("replicas", off(hpa={"enabled": True}))

    def test_an_executor_has_time_to_drain(self):
        spec = chart.objects(values={"operator": {"enabled": False}, "executors": {"drainGraceSeconds": 100}})["StatefulSet", "retail-executor"]["spec"]["template"]["spec"]
        self.assertEqual(spec["terminationGracePeriodSeconds"], 130)

    def test_the_operator_may_do_what_it_does_and_no_more(self):
        def allowed(things):
            return {(group, resource, verb, tuple(rule.get("resourceNames", [])))
                    for thing in things if thing["kind"] in ("Role", "ClusterRole")
                    for rule in thing["rules"] for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]}

        # The rights that the operator's own tests run it with.
        needed = allowed(yaml.safe_load_all((chart.ROOT / "operator" / "rbac.yaml").read_text()))
        installed = chart.objects(values=everything())
        removal = installed.pop(("Role", "retail-removal"))
        self.assertEqual(allowed(installed.values()), needed)
        # What takes the cluster away may touch this one cluster only.
        self.assertEqual(allowed([removal]), {
            *(("retail.dev", "retailclusters", verb, ("retail",)) for verb in ("get", "delete", "patch")),
            ("coordination.k8s.io", "leases", "get", ("retail-operator",)),
        })
        self.assertFalse([right for right in needed if "*" in right or right[1] == "secrets"])
        # Only what has no namespace is allowed in all of them.
        for (kind, _), thing in installed.items():
            if kind == "ClusterRole":
                self.assertEqual([rule["resources"] for rule in thing["rules"]], [["customresourcedefinitions"]])

    def test_scripts_pass_shellcheck(self):
        import shutil
        if not shutil.which("shellcheck"):
            self.skipTest("shellcheck is not installed")
        scripts = [*chart.ROOT.glob("kind/*.sh"), chart.ROOT / "services/helm.sh", *chart.ROOT.glob("docker/*.sh"), *chart.ROOT.glob("tests/images/**/*.sh")]
        self.assertGreaterEqual(len(scripts), 4)
        done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)


def installed_spec():
    return chart.objects()["RetailCluster", "retail"]["spec"]


def unknown(config, defaults, path=""):
    for key, value in config.items():
        if key not in defaults:
            yield path + key
        elif isinstance(value, dict):
            yield from unknown(value, defaults[key], f"{path}{key}.")


if __name__ == "__main__":
    unittest.main()
