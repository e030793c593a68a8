{# Macros of dbt's own package, in PostgreSQL's meaning, as dbt-postgres has them. A name with _ before it is a helper. #}

{% macro type_string() %}varchar{% endmacro %}
{% macro type_timestamp() %}timestamp{% endmacro %}
{% macro type_float() %}double precision{% endmacro %}
{% macro type_numeric() %}decimal(28, 6){% endmacro %}
{% macro type_bigint() %}bigint{% endmacro %}
{% macro type_int() %}integer{% endmacro %}
{% macro type_boolean() %}boolean{% endmacro %}

{% macro current_timestamp() %}current_timestamp{% endmacro %}
{% macro current_timestamp_backcompat() %}current_timestamp{% endmacro %}

{% macro dateadd(datepart, interval, from_date_or_timestamp) -%}
{%- set parts = {'quarter': ['month', 3], 'week': ['day', 7]} -%}
{%- set unit = parts.get(datepart | lower, [datepart | lower, 1]) -%}
{%- if interval is number or (interval | string).lstrip('-').isdigit() -%}
(({{ from_date_or_timestamp }}) + interval '{{ (interval | int) * unit[1] }} {{ unit[0] }}')
{%- else -%}
(({{ from_date_or_timestamp }}) + (interval '{{ unit[1] }} {{ unit[0] }}') * ({{ interval }}))
{%- endif -%}
{%- endmacro %}

{% macro _whole(value, part, seconds) -%}
cast(date_part('epoch', date_trunc('{{ part }}', cast({{ value }} as timestamp))) / {{ seconds }} as bigint)
{%- endmacro %}

{% macro _part(part, value) -%}
cast(date_part('{{ part }}', cast({{ value }} as timestamp)) as bigint)
{%- endmacro %}

{% macro datediff(first_date, second_date, datepart) -%}
{%- set part = datepart | lower -%}
{%- set seconds = {'day': 86400, 'hour': 3600, 'minute': 60, 'second': 1} -%}
{%- set years -%} ({{ _part('year', second_date) }} - {{ _part('year', first_date) }}) {%- endset -%}
{%- if part == 'year' -%}
{{ years }}
{%- elif part == 'quarter' -%}
({{ years }} * 4 + {{ _part('quarter', second_date) }} - {{ _part('quarter', first_date) }})
{%- elif part == 'month' -%}
({{ years }} * 12 + {{ _part('month', second_date) }} - {{ _part('month', first_date) }})
{%- elif part == 'week' -%}
(({{ _whole(date_trunc('week', second_date), 'day', 86400) }} - {{ _whole(date_trunc('week', first_date), 'day', 86400) }}) / 7)
{%- elif part in seconds -%}
({{ _whole(second_date, part, seconds[part]) }} - {{ _whole(first_date, part, seconds[part]) }})
{%- elif part == 'millisecond' -%}
cast((date_part('epoch', cast({{ second_date }} as timestamp)) - date_part('epoch', cast({{ first_date }} as timestamp))) * 1000 as bigint)
{%- else -%}
{{ exceptions.raise_compiler_error('datediff: ' ~ datepart ~ ' is no part of a date; year, quarter, month, week, day, hour, minute, second and millisecond are') }}
{%- endif -%}
{%- endmacro %}

{% macro date_trunc(datepart, date) -%} date_trunc('{{ datepart }}', {{ date }}) {%- endmacro %}

{% macro last_day(date, datepart) -%}
cast({{ dateadd('day', -1, dateadd(datepart, 1, date_trunc(datepart, date))) }} as date)
{%- endmacro %}

{% macro date(year, month, day) -%} make_date({{ year }}, {{ month }}, {{ day }}) {%- endmacro %}

{% macro concat(fields) -%} ({{ fields | join(' || ') }}) {%- endmacro %}
{% macro hash(field) -%} md5(cast({{ field }} as varchar)) {%- endmacro %}
{% macro length(expression) -%} length({{ expression }}) {%- endmacro %}
{% macro position(substring_text, string_text) -%} strpos({{ string_text }}, {{ substring_text }}) {%- endmacro %}
{% macro replace(field, old_chars, new_chars) -%} replace({{ field }}, {{ old_chars }}, {{ new_chars }}) {%- endmacro %}
{% macro right(string_text, length_expression) -%} right({{ string_text }}, {{ length_expression }}) {%- endmacro %}
{% macro split_part(string_text, delimiter_text, part_number) -%} split_part({{ string_text }}, {{ delimiter_text }}, {{ part_number }}) {%- endmacro %}
{% macro safe_cast(field, type) -%} cast({{ field }} as {{ type }}) {%- endmacro %}
{% macro cast(field, type) -%} cast({{ field }} as {{ type }}) {%- endmacro %}
{% macro cast_bool_to_text(field) -%} cast({{ field }} as varchar) {%- endmacro %}
{% macro bool_or(expression) -%} bool_or({{ expression }}) {%- endmacro %}
{% macro any_value(expression) -%} min({{ expression }}) {%- endmacro %}
{% macro equals(expr1, expr2) -%} (({{ expr1 }} = {{ expr2 }}) or ({{ expr1 }} is null and {{ expr2 }} is null)) {%- endmacro %}
{% macro except() %}except{% endmacro %}
{% macro intersect() %}intersect{% endmacro %}
{% macro string_literal(value) -%} '{{ value }}' {%- endmacro %}
{% macro escape_single_quotes(expression) -%} {{ expression | replace("'", "''") }} {%- endmacro %}

{% macro listagg(measure, delimiter_text="','", order_by_clause=none, limit_num=none) -%}
{%- if limit_num is not none -%}
{{ exceptions.raise_compiler_error('listagg: limit_num is not supported; rank the rows before') }}
{%- endif -%}
string_agg({{ measure }}, {{ delimiter_text }}{% if order_by_clause %} {{ order_by_clause }}{% endif %})
{%- endmacro %}

{% macro date_spine(datepart, start_date, end_date) -%}
select spine.date_{{ datepart }}
from (
    select unnest(generate_series(cast({{ start_date }} as timestamp), cast({{ end_date }} as timestamp), interval '1 {{ datepart }}')) as date_{{ datepart }}
) as spine
where spine.date_{{ datepart }} < cast({{ end_date }} as timestamp)
{%- endmacro %}
