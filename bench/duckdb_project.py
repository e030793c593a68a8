"""Runs a project's models in one DuckDB process, the SQL unchanged, and prints the seconds of each model.

Every table is written as Parquet with zstd and read back by the models after it, as a pipeline would; views stay
views. Sources get the types that their YAML declares. With --json the last line of stdout is
{"seconds": …, "models": [{"model", "seconds", "rows", "started_at_us", "finished_at_us"}]}.
Needs the Python packages duckdb, jinja2 and pyyaml.
"""

import argparse
import json
import pathlib
import re
import sys
import time

import duckdb
import jinja2
import yaml


def main():
    options = parse()
    started = time.time()
    project = Project(options.project, variables(options))
    connection = connect(options)
    declare_sources(connection, project)
    chosen = set(options.only.split(",")) if options.only else None
    models = []
    for model in project.in_order():
        if chosen and model.materialized == "table" and not chosen & {model.name, model.table}:
            read_back(connection, model, options.out)
            continue
        models.append(run(connection, model, options.out))
        if not options.json and model.materialized == "table":
            print(f"{models[-1]['seconds']:9.3f} s  {models[-1]['rows']:>12,} rows  {model.table}")
    seconds = time.time() - started
    if options.analyses:
        for name, sql in project.analyses():
            rows = connection.execute(sql).fetchall()
            print(f"analysis {name}: {len(rows):,} rows, first {rows[0] if rows else None}", file=sys.stderr)
    if options.json:
        print(json.dumps({"seconds": round(seconds, 3), "models": models}))
    else:
        print(f"{seconds:9.3f} s  together, DuckDB {duckdb.__version__}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=pathlib.Path, required=True, help="folder with dbt_project.yml")
    parser.add_argument("--input", help="variable input: the folder that holds day=1/, day=2/, …")
    parser.add_argument("--vars", default="{}", help="variables as JSON")
    parser.add_argument("--out", "--out-parquet", type=pathlib.Path, help="folder for namespace.table.parquet; without it tables stay in memory")
    parser.add_argument("--threads", type=int, default=0, help="0 leaves DuckDB's default")
    parser.add_argument("--only", help="models to run, by name, with commas; the others must be in --out already")
    parser.add_argument("--analyses", action="store_true", help="run the analyses too and show their first row")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a line per model")
    return parser.parse_args()


def variables(options):
    given = json.loads(options.vars)
    if options.input:
        given["input"] = options.input
    if "input" in given:
        given["input"] = str(pathlib.Path(given["input"]).resolve())
    return given


def connect(options):
    connection = duckdb.connect(config={"threads": options.threads} if options.threads else {})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = false")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        connection.execute(f"SET temp_directory = '{options.out}/.spill'")
    return connection


class Model:
    def __init__(self, name, table, materialized, sql, refs):
        self.name, self.table, self.materialized, self.sql, self.refs = name, table, materialized, sql, refs


class Project:
    """Enough of dbt's layout and Jinja for projects that hold to ref, source, var, config and their own macros."""

    def __init__(self, folder, given):
        self.folder = folder
        self.settings = yaml.safe_load((folder / "dbt_project.yml").read_text())
        self.vars = {**self.settings.get("vars", {}), **given}
        self.macros = "".join(path.read_text() for path in sorted((folder / "macros").glob("**/*.sql")))
        self.sources = dict(self.read_sources())
        self.tables = {}
        drafts = [(path, *self.settings_of(path)) for path in sorted((folder / "models").glob("**/*.sql"))]
        for path, schema, _ in drafts:
            self.tables[path.stem] = f"{schema}.{path.stem}"
        self.models = {path.stem: self.model(path, materialized) for path, _, materialized in drafts}

    def settings_of(self, path):
        """(schema, materialized) of a model by its folder, as in dbt_project.yml."""
        found = {}
        level = self.settings["models"].get(self.settings["name"], {})
        for part in [None, *path.relative_to(self.folder / "models").parts[:-1]]:
            level = level if part is None else level.get(part, {})
            found.update({key[1:]: value for key, value in level.items() if key.startswith("+")})
        return found.get("schema", "main"), found.get("materialized", "view")

    def model(self, path, materialized):
        refs, config = [], {}
        sql = self.render(path.read_text(), refs, config)
        return Model(path.stem, self.tables[path.stem], config.get("materialized", materialized), sql, refs)

    def render(self, text, refs, config):
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)

        def ref(name):
            refs.append(name)
            return self.tables[name]

        def var(name, *default):
            if name not in self.vars and not default:
                sys.exit(f"variable {name} is not set: pass it with --vars")
            return self.vars.get(name, *default)

        environment.globals.update(
            ref=ref,
            source=lambda source, name: f"{source}.{name}",
            var=var,
            config=lambda **settings: config.update(settings) or "",
        )
        return environment.from_string(self.macros + text).render().strip()

    def read_sources(self):
        for path in sorted((self.folder / "models").glob("**/*.yml")):
            for source in (yaml.safe_load(path.read_text()) or {}).get("sources", []):
                for table in source["tables"]:
                    meta = {**source.get("meta", {}), **table.get("meta", {})}
                    location = self.render(meta["external_location"], [], {}).replace("{name}", table["name"])
                    yield f"{source['name']}.{table['name']}", (location, table["columns"])

    def analyses(self):
        for path in sorted((self.folder / "analyses").glob("*.sql")):
            yield path.stem, self.render(path.read_text(), [], {})

    def in_order(self):
        """Every model after those it refers to."""
        done, order = set(), []

        def visit(name):
            if name not in done:
                done.add(name)
                for other in self.models[name].refs:
                    visit(other)
                order.append(self.models[name])

        for name in self.models:
            visit(name)
        return order


def declare_sources(connection, project):
    for table, (location, columns) in project.sources.items():
        types = {column["name"]: column["data_type"] for column in columns}
        if re.search(r"\.csv(\.gz|\.zst)?$", location):
            found = connection.execute(f"SELECT * FROM read_csv('{location}', header = true, all_varchar = true, union_by_name = true, hive_partitioning = false) LIMIT 0").description
            given = {name: types.get(name, "varchar") for name, *_ in found}
            spec = ", ".join(f"'{name}': '{kind}'" for name, kind in given.items())
            reader = f"read_csv('{location}', header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', columns = {{{spec}}}, hive_partitioning = false)"
        else:
            reader = f"read_parquet('{location}', union_by_name = true, hive_partitioning = false)"
            given = {name for name, *_ in connection.execute(f"SELECT * FROM {reader} LIMIT 0").description}
        chosen = ", ".join(f"CAST({name if name in given else 'NULL'} AS {kind}) AS {name}" for name, kind in types.items())
        namespace = table.partition(".")[0]
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {namespace}")
        connection.execute(f"CREATE VIEW {table} AS SELECT {chosen} FROM {reader}")


def read_back(connection, model, out):
    """Makes the table of a run before, if there was one."""
    if out and (out / f"{model.table}.parquet").exists():
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {model.table.partition('.')[0]}")
        connection.execute(f"CREATE VIEW {model.table} AS SELECT * FROM read_parquet('{out / model.table}.parquet')")


def run(connection, model, out):
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {model.table.partition('.')[0]}")
    start = time.time()
    rows = 0
    if model.materialized in ("view", "ephemeral"):
        connection.execute(f"CREATE VIEW {model.table} AS {model.sql}")
    elif out is None:
        rows = connection.execute(f"CREATE TABLE {model.table} AS {model.sql}").fetchone()[0]
    else:
        path = out / f"{model.table}.parquet"
        rows = connection.execute(f"COPY ({model.sql}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)").fetchone()[0]
        read_back(connection, model, out)
    end = time.time()
    return {
        "model": model.table,
        "seconds": round(end - start, 3),
        "rows": rows,
        "started_at_us": int(start * 1e6),
        "finished_at_us": int(end * 1e6),
    }


if __name__ == "__main__":
    main()
