{# Macros of dbt_date that need nothing of a database. Days are those of UTC, as everywhere in a run. #}

{% macro now(tz=None) -%} {{ _only_utc(tz) }}current_timestamp {%- endmacro %}
{% macro today(tz=None) -%} {{ _only_utc(tz) }}cast(current_timestamp as date) {%- endmacro %}
{% macro yesterday(date=None, tz=None) -%} {{ n_days_ago(1, date, tz) }} {%- endmacro %}
{% macro tomorrow(date=None, tz=None) -%} {{ n_days_away(1, date, tz) }} {%- endmacro %}

{% macro _only_utc(tz) -%}
{%- if tz is not none and tz | upper not in ['UTC', 'GMT', 'ETC/UTC'] -%}
{{ exceptions.raise_compiler_error('dbt_date: time zone ' ~ tz ~ ' is not supported, times are UTC; write … at time zone') }}
{%- endif -%}
{%- endmacro %}

{% macro _moved(datepart, n, date, tz) -%}
cast({{ dbt.dateadd(datepart, n, date if date else dbt_date.today(tz)) }} as date)
{%- endmacro %}

{% macro n_days_ago(n, date=None, tz=None) -%} {{ _moved('day', -1 * (n | int), date, tz) }} {%- endmacro %}
{% macro n_days_away(n, date=None, tz=None) -%} {{ _moved('day', n | int, date, tz) }} {%- endmacro %}
{% macro n_weeks_ago(n, tz=None) -%} cast(date_trunc('week', {{ _moved('week', -1 * (n | int), None, tz) }}) as date) {%- endmacro %}
{% macro n_months_ago(n, tz=None) -%} cast(date_trunc('month', {{ _moved('month', -1 * (n | int), None, tz) }}) as date) {%- endmacro %}
{% macro n_months_away(n, tz=None) -%} cast(date_trunc('month', {{ _moved('month', n | int, None, tz) }}) as date) {%- endmacro %}

{% macro date_part(datepart, date) -%} cast(date_part('{{ datepart }}', {{ date }}) as bigint) {%- endmacro %}
{% macro day_of_month(date) -%} {{ dbt_date.date_part('day', date) }} {%- endmacro %}
{% macro day_of_year(date) -%} {{ dbt_date.date_part('doy', date) }} {%- endmacro %}
{% macro day_of_week(date, isoweek=true) -%}
{%- set dow = dbt_date.date_part('dow', date) -%}
{%- if isoweek -%} (case when {{ dow }} = 0 then 7 else {{ dow }} end) {%- else -%} ({{ dow }} + 1) {%- endif -%}
{%- endmacro %}

{% macro _named(number, names, short) -%}
case {{ number }}{% for name in names %} when {{ loop.index }} then '{{ name[:3] if short else name }}'{% endfor %} end
{%- endmacro %}

{% macro day_name(date, short=True) -%}
{{ _named(dbt_date.day_of_week(date), ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'], short) }}
{%- endmacro %}
{% macro month_name(date, short=True) -%}
{{ _named(dbt_date.date_part('month', date), ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'], short) }}
{%- endmacro %}

{% macro week_start(date) -%}
cast({{ dbt.dateadd('day', -1, "date_trunc('week', " ~ dbt.dateadd('day', 1, date) ~ ")") }} as date)
{%- endmacro %}
{% macro week_end(date) -%} cast({{ dbt.dateadd('day', 6, dbt_date.week_start(date)) }} as date) {%- endmacro %}
{% macro iso_week_start(date) -%} cast(date_trunc('week', {{ date }}) as date) {%- endmacro %}
{% macro iso_week_end(date) -%} cast({{ dbt.dateadd('day', 6, dbt_date.iso_week_start(date)) }} as date) {%- endmacro %}
{% macro iso_week_of_year(date) -%} {{ dbt_date.date_part('week', date) }} {%- endmacro %}

{% macro periods_since(date_col, period_name='day', tz=None) -%}
{{ dbt.datediff(date_col, dbt_date.now(tz), period_name) }}
{%- endmacro %}

{% macro to_unixtimestamp(timestamp) -%} cast(date_part('epoch', {{ timestamp }}) as bigint) {%- endmacro %}
