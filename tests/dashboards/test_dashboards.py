"""Dashboards and alerts show what the code counts, and every query of theirs gives an answer."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import grafana
from cluster import Cluster, programs, until
from grafana import ALERTS, PLACES, ROOT

# Queries over these are checked for syntax only: neither an operator nor kube-state-metrics runs here.
# Their metrics are made by the operator's own tests and by the cluster's.
ELSEWHERE = ("retail_operator_", "kube_")
# Ballista names these as promtool would not.
ILL_NAMED = ("planning_time_ms",)


def promtool():
    folder = os.environ.get("RETAIL_TEST_PROMETHEUS_DIR")
    return Path(folder) / "promtool" if folder else None


def alerts():
    """(name, expression, runbook) of every alert, by the file's own layout: promtool checks that it is YAML."""
    found = []
    for block in re.split(r"^      - alert: ", ALERTS.read_text(), flags=re.M)[1:]:
        name = block.split("\n", 1)[0].strip()
        expr = re.search(r"^        expr: (.*?)^        (?:for|labels):", block, re.M | re.S)[1].removeprefix(">-")
        runbook = re.search(r"runbook_url: (\S+)", block)[1]
        found.append((name, " ".join(expr.split()), runbook))
    return found


class Written(unittest.TestCase):
    """What can be seen without running anything."""

    def test_dashboards_are_what_the_generator_makes(self):
        check = [sys.executable, "-B", str(ROOT / "grafana/generate.py"), "--check"]
        ran = subprocess.run(check, capture_output=True, text=True)
        self.assertEqual(ran.returncode, 0, ran.stderr)

    def test_every_panel_has_a_unit_a_way_out_and_a_link_onward(self):
        uids = {board["uid"] for board in grafana.boards().values()}
        for name, board in grafana.boards().items():
            titles = [panel["title"] for panel in grafana.panels(board)]
            self.assertEqual(len(titles), len(set(titles)), f"{name}: two panels of one name")
            for panel in grafana.panels(board):
                where = f"{name}: {panel['title']}"
                defaults = panel["fieldConfig"]["defaults"]
                self.assertTrue(defaults["unit"], where)
                if any(step["color"] == "red" for step in defaults["thresholds"]["steps"]):
                    self.assertIn(": ", panel["description"], f"{where} can be red and does not say what to do")
                self.assertGreater(len(panel["description"]), 10, where)
                [link] = panel["links"]
                self.assertIn(re.match(r"/d/([a-z-]+)\?", link["url"])[1], uids, where)
                self.assertNotIn(f"/d/retail-{name}?", link["url"], f"{where} links to itself")
                self.assertEqual(panel["datasource"]["uid"], "${datasource}", where)

    def test_every_runbook_that_is_named_is_there(self):
        index = (ROOT / "docs/runbooks/README.md").read_text()
        named = {runbook for _, _, runbook in alerts()}
        for board in grafana.boards().values():
            for panel in grafana.panels(board):
                named |= set(re.findall(r"docs/runbooks/[a-z-]+\.md", panel["description"]))
        for runbook in named:
            self.assertTrue((ROOT / runbook).exists(), runbook)
            self.assertIn(Path(runbook).name, index)
        for name, _, runbook in alerts():
            self.assertIn(f"**{name}**", (ROOT / runbook).read_text(), f"{runbook} is not about {name}")
        pages = {f"docs/runbooks/{page.name}" for page in (ROOT / "docs/runbooks").glob("*.md")} - {"docs/runbooks/README.md"}
        self.assertEqual(pages, {runbook for _, _, runbook in alerts()}, "a page for each alert")

    def test_every_metric_is_shown_where_the_list_has_it(self):
        metrics = grafana.listed()
        self.assertGreater(len(metrics), 50)
        shown = {name: set() for name in metrics}
        exprs = [(place, expr) for place, board in grafana.boards().items() for _, expr in grafana.queries(board)]
        exprs += [("alerts", expr) for _, expr, _ in alerts()]
        for place, expr in exprs:
            for name in grafana.names_in(expr):
                if name.startswith("kube_"):
                    continue
                name = grafana.base(name, metrics)
                self.assertTrue(name in metrics, f"{place} asks for {name}, which nobody has: {expr}")
                shown[name].add(place)
        for name, metric in metrics.items():
            if metric.shown.startswith("not shown: "):
                self.assertEqual(shown[name], set(), f"{name} is shown, and listed as not shown")
                self.assertGreater(len(metric.shown), len("not shown: ") + 10, f"{name}: why not?")
            else:
                self.assertEqual(shown[name], set(metric.shown.split(", ")), name)

    def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not(self):
        tests = "\n".join(file.read_text() for file in (ROOT / "tests/dashboards/alerts").glob("*.yaml"))
        for name, _, _ in alerts():
            cases = [case for case in tests.split("- eval_time:") if f"alertname: {name}\n" in case]
            fires = [case for case in cases if "exp_alerts: []" not in case]
            self.assertTrue(fires and len(fires) < len(cases), name)


@unittest.skipUnless(promtool(), "no Prometheus")
class Promtool(unittest.TestCase):
    def run_tool(self, *arguments, cwd=ROOT):
        ran = subprocess.run([promtool(), *arguments], capture_output=True, text=True, cwd=cwd)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)

    def test_the_rules_are_rules(self):
        self.run_tool("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))

    def test_alerts_fire_when_they_should_and_only_then(self):
        files = sorted((ROOT / "tests/dashboards/alerts").glob("*.yaml"))
        self.assertTrue(files)
        self.run_tool("test", "rules", *[file.name for file in files], cwd=files[0].parent)


@unittest.skipUnless(promtool(), "no Prometheus")
@unittest.skipUnless(programs(), "the programs are not built")
class Live(unittest.TestCase):
    """A Prometheus that scraped a scheduler and two executors during a retail job."""

    @classmethod
    def setUpClass(cls):
        folder = Path(os.environ["RETAIL_TEST_PROMETHEUS_DIR"])
        cls.prometheus = grafana.Prometheus(f"http://127.0.0.1:{(folder / 'port').read_text().strip()}")
        cls.targets = folder / "targets/dashboards.json"
        cls.cluster = cls.enterClassContext(Cluster())
        cls.addClassCleanup(lambda: cls.targets.unlink(missing_ok=True))
        cls.cluster.targets(cls.targets)
        cls.start = time.time()
        until("three processes to be scraped", lambda: cls.prometheus.value("count(retail_build_info)") == 3)
        input_dir = cls.cluster.dir / "input"
        cls.cluster.submit("generate", "--orders", "3000", "--days", "2", "--out", str(input_dir))
        cls.cluster.submit("run", "--project", str(ROOT / "jobs/retail"), "--vars", f"input={input_dir}")
        cls.cluster.submit("sql", "SELECT count(*) FROM marts.fact_order_summary")
        cls.cluster.submit("job", "none", code=1)
        until(
            "the job to be scraped",
            lambda: cls.prometheus.value('sum(retail_jobs_total{state="succeeded"})') == 1
            and cls.prometheus.value('sum(retail_grpc_requests_total{code="not_found"})'),
        )
        # Rates need two samples of what has just begun.
        mark = time.time()
        until("two more scrapes", lambda: (cls.prometheus.value("min(timestamp(up))") or 0) > mark + 2)
        cls.end = time.time()

    def test_every_query_of_every_dashboard_returns_data(self):
        queries = 0
        for name, board in grafana.boards().items():
            for title, expr in grafana.queries(board):
                with self.subTest(dashboard=name, panel=title, expr=expr):
                    values = self.prometheus.range(expr, self.start, self.end)
                    queries += 1
                    if not any(word in expr for word in ELSEWHERE):
                        self.assertTrue(values, "no data")
        self.assertGreater(queries, 80)

    def test_every_alert_is_evaluated_over_metrics_that_exist(self):
        [group] = [g for g in self.prometheus.get("rules")["groups"] if g["name"] == "retail"]
        self.assertEqual({rule["name"] for rule in group["rules"]}, {name for name, _, _ in alerts()})
        for rule in group["rules"]:
            with self.subTest(alert=rule["name"]):
                self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""))
                # The disk is this machine's own, and may really be full.
                disk = shutil.disk_usage(tempfile.gettempdir())
                full = rule["name"] == "RetailDiskNearlyFull" and disk.free < disk.total / 10
                self.assertEqual(rule["state"], "pending" if full else "inactive", "a quiet cluster alarms")
                for metric in grafana.names_in(rule["query"]):
                    if not metric.startswith(ELSEWHERE):
                        self.assertTrue(self.prometheus.range(metric, self.start, self.end), f"{metric} has no data")

    def test_the_processes_serve_what_the_list_has_and_nothing_else(self):
        metrics = grafana.listed()
        for name in self.cluster.admin:
            page = self.cluster.metrics(name)
            process = name.split("-")[0]
            served = grafana.types(page)
            self.assertEqual(served - set(metrics), set(), f"{name} has metrics that are not listed")
            wanted = {metric.name for metric in metrics.values() if metric.kind and metric.is_served_by(process)}
            self.assertEqual(wanted - served, set(), f"{name} does not serve what is listed")
            ours = {n for n in served if n.startswith("retail_")}
            self.assertEqual(ours - wanted, set(), f"{name} serves what another process should")

    def test_labels_come_from_their_closed_sets(self):
        metrics = grafana.listed()
        for name in self.cluster.admin:
            for sample, labels in grafana.samples(self.cluster.metrics(name)):
                metric = metrics[grafana.base(sample, metrics)]
                for label, value in labels.items():
                    if not metric.kind or label == "le":
                        continue
                    self.assertIn(label, metric.labels, sample)
                    allowed = metric.labels[label]
                    if allowed is not None:
                        self.assertIn(value, allowed, f"{sample} {label}")

    def test_promtool_finds_nothing_in_our_metrics(self):
        for name in self.cluster.admin:
            ran = subprocess.run([promtool(), "check", "metrics"], input=self.cluster.metrics(name), capture_output=True, text=True)
            lines = [line for line in (ran.stdout + ran.stderr).splitlines() if not line.startswith(ILL_NAMED)]
            self.assertEqual(lines, [], name)
            self.assertIn(ran.returncode, (0, 3), "3: promtool would name it otherwise")


@unittest.skipUnless(programs(), "the programs are not built")
class Spilling(unittest.TestCase):
    def test_an_executor_that_spills_reports_how_much(self):
        # Two sorts keep 10 MB each for merging what they spill: what is left is too little to sort this in memory.
        with Cluster(executors=1, memory_bytes=32_000_000) as cluster:
            input_dir = cluster.dir / "input"
            cluster.submit("generate", "--orders", "60000", "--days", "1", "--out", str(input_dir))
            cluster.submit(
                "run", "--project", str(ROOT / "jobs/retail"), "--vars", f"input={input_dir}", "--select", "+stg_order_items"
            )
            cluster.submit(
                "sql",
                "SELECT sum(n) FROM (SELECT *, row_number() OVER (ORDER BY order_id DESC, product_id, copy) AS n "
                "FROM staging.stg_order_items CROSS JOIN (VALUES (1), (2), (3), (4)) AS copies(copy)) t",
            )
            page = cluster.metrics("executor-0")
        for metric in ("retail_spills_total", "retail_rows_spilled_total", "retail_bytes_spilled_total"):
            value = re.search(rf"^{metric} (\S+)$", page, re.M)[1]
            self.assertGreater(float(value), 0, metric)


if __name__ == "__main__":
    unittest.main()
