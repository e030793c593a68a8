-- The job store of a program whose job ids were four hexadecimal digits: one job succeeded, one failed, and the
-- scheduler of the last one was killed. Run on a catalog; made with sqlite3's .dump.

CREATE TABLE retail_store_version (version BIGINT NOT NULL);
CREATE TABLE retail_jobs (
        id TEXT NOT NULL PRIMARY KEY,
        project TEXT NOT NULL,
        state TEXT NOT NULL,
        submitted_by TEXT NOT NULL,
        submitted_at_us BIGINT NOT NULL,
        started_at_us BIGINT NOT NULL,
        finished_at_us BIGINT NOT NULL,
        attempts BIGINT NOT NULL,
        models_total BIGINT NOT NULL,
        models_done BIGINT NOT NULL,
        row_count BIGINT NOT NULL,
        byte_count BIGINT NOT NULL,
        failure TEXT NOT NULL);
CREATE TABLE retail_job_models (
        job_id TEXT NOT NULL,
        model TEXT NOT NULL,
        position BIGINT NOT NULL,
        state TEXT NOT NULL,
        row_count BIGINT NOT NULL,
        byte_count BIGINT NOT NULL,
        file_count BIGINT NOT NULL,
        stage_count BIGINT NOT NULL,
        started_at_us BIGINT NOT NULL,
        finished_at_us BIGINT NOT NULL,
        snapshot_id BIGINT NOT NULL,
        PRIMARY KEY (job_id, model));
CREATE TABLE retail_job_attempts (
        job_id TEXT NOT NULL,
        attempt BIGINT NOT NULL,
        started_at_us BIGINT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (job_id, attempt));
CREATE TABLE retail_job_tests (
        job_id TEXT NOT NULL,
        position BIGINT NOT NULL,
        test TEXT NOT NULL,
        about TEXT NOT NULL,
        tested_column TEXT NOT NULL,
        path TEXT NOT NULL,
        line BIGINT NOT NULL,
        state TEXT NOT NULL,
        failures BIGINT NOT NULL,
        elapsed_ms BIGINT NOT NULL,
        failure TEXT NOT NULL,
        PRIMARY KEY (job_id, position));
CREATE TABLE retail_job_events (
        job_id TEXT NOT NULL,
        seq BIGINT NOT NULL,
        time_us BIGINT NOT NULL,
        event TEXT NOT NULL,
        PRIMARY KEY (job_id, seq));
INSERT INTO retail_store_version VALUES (1);
INSERT INTO retail_jobs VALUES ('d8bf', 'shop', 'succeeded', '', 1795747032003511, 1795747032082197, 1795747037426699, 1, 2, 2, 4, 2228, '');
INSERT INTO retail_jobs VALUES ('43b9', 'shop', 'failed', '', 1795747038470562, 1795747038518435, 1795747039479205, 1, 2, 1, 0, 0, '{"kind":"execution","message":"cannot run model main.bad","model":"main.bad","file":"models/bad.sql","line":1,"column":10,"snippet":"SELECT 1 / (id - id) AS x FROM {{ ref(''a'') }}","cause":"division by zero; nullif(x, 0) as the divisor gives NULL instead","span":1,"stage":1,"notes":["look at the model''s SQL and the rows it reads","files that were written and no table refers to: file:///data/warehouse/main/bad-553adf5b/data/**/01a21add4830779bbed21595181fce3a-*.parquet","nothing was published; the tables are as they were"],"chain":["division by zero; nullif(x, 0) as the divisor gives NULL instead"],"retryable":false}');
INSERT INTO retail_jobs VALUES ('138a', 'shop', 'running', '', 1795747050354782, 1795747050439795, 0, 1, 1, 0, 0, 0, '');
INSERT INTO retail_job_models VALUES ('d8bf', 'main.a', 0, 'published', 2, 1114, 2, 1, 1795747032221456, 1795747033359751, 9110533460029989818);
INSERT INTO retail_job_models VALUES ('d8bf', 'main.b', 1, 'published', 2, 1114, 2, 1, 1795747033387805, 1795747035800705, 6346270374626288432);
INSERT INTO retail_job_models VALUES ('43b9', 'main.a', 0, 'staged', 2, 1114, 2, 1, 1795747038899877, 1795747039328047, 0);
INSERT INTO retail_job_models VALUES ('43b9', 'main.bad', 1, 'failed', 0, 0, 0, 0, 1795747039395789, 1795747039449203, 0);
INSERT INTO retail_job_models VALUES ('138a', 'main.slow', 0, 'running', 0, 0, 0, 0, 1795747052106993, 0, 0);
INSERT INTO retail_job_attempts VALUES ('d8bf', 1, 1795747032219088, '');
INSERT INTO retail_job_attempts VALUES ('43b9', 1, 1795747038821260, '');
INSERT INTO retail_job_attempts VALUES ('138a', 1, 1795747052058841, '');
INSERT INTO retail_job_tests VALUES ('d8bf', 0, 'unique_a_id', 'main.a', 'id', 'models/s.yml', 5, 'passed', 0, 2365, '');
INSERT INTO retail_job_events VALUES ('d8bf', 1, 1795747032068501, '{"event":"queued","project":"shop","position":0}');
INSERT INTO retail_job_events VALUES ('d8bf', 2, 1795747032082197, '{"event":"planned","project":"shop","models":[{"model":"main.a","materialized":"table","path":"models/a.sql","depends_on":[]},{"model":"main.b","materialized":"table","path":"models/b.sql","depends_on":["main.a"]}],"executors":1,"slots":2}');
INSERT INTO retail_job_events VALUES ('d8bf', 3, 1795747032219088, '{"event":"attempt_started","attempt":1,"reason":""}');
INSERT INTO retail_job_events VALUES ('d8bf', 4, 1795747032221456, '{"event":"model_started","model":"main.a","attempt":1}');
INSERT INTO retail_job_events VALUES ('d8bf', 5, 1795747033359751, '{"event":"model_staged","model":"main.a","rows":2,"bytes":1114,"files":2,"stages":1,"elapsed_ms":974,"note":""}');
INSERT INTO retail_job_events VALUES ('d8bf', 6, 1795747033387805, '{"event":"model_started","model":"main.b","attempt":1}');
INSERT INTO retail_job_events VALUES ('d8bf', 7, 1795747035800705, '{"event":"model_staged","model":"main.b","rows":2,"bytes":1114,"files":2,"stages":1,"elapsed_ms":1804,"note":""}');
INSERT INTO retail_job_events VALUES ('d8bf', 8, 1795747035855419, '{"event":"tests_started","tests":1,"queries":1}');
INSERT INTO retail_job_events VALUES ('d8bf', 9, 1795747037339241, '{"event":"tested","results":[{"test":"unique_a_id","about":"main.a","column":"id","path":"models/s.yml","line":5,"state":"passed","failures":0,"elapsed_ms":2365,"failure":null}],"elapsed_ms":2378}');
INSERT INTO retail_job_events VALUES ('d8bf', 10, 1795747037424184, '{"event":"published","tables":[{"table":"main.a","materialized":"table","rows":2,"rows_before":-1,"snapshot_id":9110533460029989818,"elapsed_ms":974},{"table":"main.b","materialized":"table","rows":2,"rows_before":-1,"snapshot_id":6346270374626288432,"elapsed_ms":1804}],"elapsed_ms":2}');
INSERT INTO retail_job_events VALUES ('d8bf', 11, 1795747037426699, '{"event":"finished","state":"succeeded","failure":null,"elapsed_ms":5346}');
INSERT INTO retail_job_events VALUES ('43b9', 1, 1795747038479421, '{"event":"queued","project":"shop","position":0}');
INSERT INTO retail_job_events VALUES ('43b9', 2, 1795747038518435, '{"event":"planned","project":"shop","models":[{"model":"main.a","materialized":"table","path":"models/a.sql","depends_on":[]},{"model":"main.bad","materialized":"table","path":"models/bad.sql","depends_on":["main.a"]}],"executors":1,"slots":2}');
INSERT INTO retail_job_events VALUES ('43b9', 3, 1795747038821260, '{"event":"attempt_started","attempt":1,"reason":""}');
INSERT INTO retail_job_events VALUES ('43b9', 4, 1795747038899877, '{"event":"model_started","model":"main.a","attempt":1}');
INSERT INTO retail_job_events VALUES ('43b9', 5, 1795747039328047, '{"event":"model_staged","model":"main.a","rows":2,"bytes":1114,"files":2,"stages":1,"elapsed_ms":431,"note":""}');
INSERT INTO retail_job_events VALUES ('43b9', 6, 1795747039395789, '{"event":"model_started","model":"main.bad","attempt":1}');
INSERT INTO retail_job_events VALUES ('43b9', 7, 1795747039449203, '{"event":"model_failed","model":"main.bad","failure":{"kind":"execution","message":"cannot run model main.bad","model":"main.bad","file":"models/bad.sql","line":1,"column":10,"snippet":"SELECT 1 / (id - id) AS x FROM {{ ref(''a'') }}","cause":"division by zero; nullif(x, 0) as the divisor gives NULL instead","span":1,"stage":1,"notes":["look at the model''s SQL and the rows it reads","files that were written and no table refers to: file:///data/warehouse/main/bad-553adf5b/data/**/01a21add4830779bbed21595181fce3a-*.parquet"],"chain":["division by zero; nullif(x, 0) as the divisor gives NULL instead"],"retryable":false}}');
INSERT INTO retail_job_events VALUES ('43b9', 8, 1795747039479205, '{"event":"finished","state":"failed","failure":{"kind":"execution","message":"cannot run model main.bad","model":"main.bad","file":"models/bad.sql","line":1,"column":10,"snippet":"SELECT 1 / (id - id) AS x FROM {{ ref(''a'') }}","cause":"division by zero; nullif(x, 0) as the divisor gives NULL instead","span":1,"stage":1,"notes":["look at the model''s SQL and the rows it reads","files that were written and no table refers to: file:///data/warehouse/main/bad-553adf5b/data/**/01a21add4830779bbed21595181fce3a-*.parquet","nothing was published; the tables are as they were"],"chain":["division by zero; nullif(x, 0) as the divisor gives NULL instead"],"retryable":false},"elapsed_ms":961}');
INSERT INTO retail_job_events VALUES ('138a', 1, 1795747050374661, '{"event":"queued","project":"shop","position":0}');
INSERT INTO retail_job_events VALUES ('138a', 2, 1795747050439795, '{"event":"planned","project":"shop","models":[{"model":"main.slow","materialized":"table","path":"models/slow.sql","depends_on":[]}],"executors":1,"slots":2}');
INSERT INTO retail_job_events VALUES ('138a', 3, 1795747052058841, '{"event":"attempt_started","attempt":1,"reason":""}');
INSERT INTO retail_job_events VALUES ('138a', 4, 1795747052106993, '{"event":"model_started","model":"main.slow","attempt":1}');
INSERT INTO retail_publishes VALUES ('d8bf', 'published', 1, 1795747037338646);
