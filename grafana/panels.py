"""The pieces of a Grafana dashboard as plain Python values: panels, queries, links, the grid."""

SCHEMA_VERSION = 39  # Grafana 10; newer ones migrate it when they load it
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24

TITLES = {
    "overview": "Retail / Overview",
    "jobs": "Retail / Jobs",
    "executors": "Retail / Executors",
    "lakehouse": "Retail / Lakehouse",
    "platform": "Retail / Platform",
}


def query(expr, legend=""):
    """A PromQL query; `legend` is Grafana's pattern for the name of each line."""
    return {"expr": expr, "legend": legend}


def stat(title, unit, description, to, *queries, red=None):
    """One large number. `red` = (value, "above" or "below") from where on it is red."""
    return _panel("stat", title, unit, description, to, queries, red, width=6, height=4)


def lines(title, unit, description, to, *queries, red=None):
    """A chart over time."""
    return _panel("timeseries", title, unit, description, to, queries, red, width=12, height=8)


def bars(title, unit, description, to, *queries, red=None):
    """The present value of each of many things, largest first."""
    return _panel("bargauge", title, unit, description, to, queries, red, width=12, height=8)


def table(title, unit, description, to, *queries):
    """One row for each series, with its labels."""
    return _panel("table", title, unit, description, to, queries, None, width=24, height=6)


def row(title):
    return {"type": "row", "title": title, "width": WIDTH, "height": 1}


def dashboard(name, description, panels):
    """A dashboard's JSON value."""
    return {
        "uid": f"retail-{name}",
        "title": TITLES[name],
        "description": description,
        "tags": ["retail"],
        "timezone": "browser",
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "links": [_link(TITLES[other], other) for other in TITLES if other != name],
        "panels": _placed(panels),
    }


def _variables():
    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "current": {},
            "hide": 0,
        },
        {
            # Clusters outside Kubernetes have no namespace; the pattern .* matches a label that is not there.
            "name": "namespace",
            "label": "Namespace",
            "type": "query",
            "datasource": DATASOURCE,
            "query": {"query": "label_values(retail_build_info, namespace)", "refId": "namespace"},
            "refresh": 2,
            "includeAll": True,
            "allValue": ".*",
            "multi": False,
            "current": {"text": "All", "value": "$__all"},
        },
    ]


def _link(title, to):
    url = f"/d/retail-{to}?${{__url_time_range}}&${{datasource:queryparam}}&${{namespace:queryparam}}"
    return {"title": title, "url": url, "type": "link", "targetBlank": False}


def _panel(kind, title, unit, description, to, queries, red, width, height):
    steps = [{"color": "green", "value": None}]
    if red:
        value, side = red
        steps = (
            [{"color": "green", "value": None}, {"color": "red", "value": value}]
            if side == "above"
            else [{"color": "red", "value": None}, {"color": "green", "value": value}]
        )
    panel = {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "links": [_link(f"on to {TITLES[to]}", to)],
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": DATASOURCE,
                "expr": q["expr"],
                "legendFormat": q["legend"] or "__auto",
                "instant": kind in ("bargauge", "table"),
                "range": kind not in ("bargauge", "table"),
                **({"format": "table"} if kind == "table" else {}),
            }
            for at, q in enumerate(queries)
        ],
        "fieldConfig": {
            "defaults": {"unit": unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": _options(kind),
        "width": width,
        "height": height,
    }
    if kind == "timeseries":
        panel["fieldConfig"]["defaults"]["custom"] = {
            "fillOpacity": 10,
            "showPoints": "never",
            "thresholdsStyle": {"mode": "line" if red else "off"},
        }
    return panel


def _options(kind):
    if kind == "timeseries":
        return {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    return {
        "stat": {"reduceOptions": reduce, "colorMode": "background", "graphMode": "area"},
        "bargauge": {"reduceOptions": reduce, "orientation": "horizontal", "displayMode": "basic"},
        "table": {"showHeader": True},
    }[kind]


def _placed(panels):
    """Numbers the panels and lays them out from left to right, in the order given."""
    placed, x, y, height = [], 0, 0, 0
    for number, panel in enumerate(panels, start=1):
        panel = dict(panel)
        width, tall = panel.pop("width"), panel.pop("height")
        if x + width > WIDTH:
            x, y, height = 0, y + height, 0
        placed.append({"id": number, "gridPos": {"x": x, "y": y, "w": width, "h": tall}, **panel})
        x, height = x + width, max(height, tall)
    return placed
