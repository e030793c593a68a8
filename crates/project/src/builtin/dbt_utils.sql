{# Macros of dbt_utils that need nothing of a database. #}

{% macro generate_surrogate_key(field_list) -%}
{%- set null_value = '' if var('surrogate_key_treat_nulls_as_empty_strings', False) else '_dbt_utils_surrogate_key_null_' -%}
{%- set fields = [] -%}
{%- for field in field_list -%}
{%- do fields.append("coalesce(cast(" ~ field ~ " as varchar), '" ~ null_value ~ "')") -%}
{%- if not loop.last -%}{%- do fields.append("'-'") -%}{%- endif -%}
{%- endfor -%}
md5(cast({{ fields | join(' || ') }} as varchar))
{%- endmacro %}

{% macro group_by(n) -%} group by {% for i in range(1, n + 1) %}{{ i }}{{ ',' if not loop.last }}{% endfor %} {%- endmacro %}

{% macro safe_add(field_list) -%}
{%- set fields = [] -%}
{%- for field in field_list -%}{%- do fields.append('coalesce(' ~ field ~ ', 0)') -%}{%- endfor -%}
{{ fields | join(' + ') }}
{%- endmacro %}

{% macro safe_subtract(field_list) -%}
{%- set fields = [] -%}
{%- for field in field_list -%}{%- do fields.append('coalesce(' ~ field ~ ', 0)') -%}{%- endfor -%}
{{ fields | join(' - ') }}
{%- endmacro %}

{% macro safe_divide(numerator, denominator) -%} ({{ numerator }}) / nullif(({{ denominator }}), 0) {%- endmacro %}

{% macro pivot(column, values, alias=True, agg='sum', cmp='=', prefix='', suffix='', then_value=1, else_value=0, quote_identifiers=True, distinct=False) -%}
{%- for value in values %}
{{ agg }}({% if distinct %}distinct {% endif %}case when {{ column }} {{ cmp }} '{{ value | string | replace("'", "''") }}' then {{ then_value }} else {{ else_value }} end)
{%- if alias %} as {% if quote_identifiers %}{{ adapter.quote(prefix ~ value ~ suffix) }}{% else %}{{ slugify(prefix ~ value ~ suffix) }}{% endif %}{% endif %}
{{- ',' if not loop.last }}
{%- endfor -%}
{%- endmacro %}

{% macro deduplicate(relation, partition_by, order_by) -%}
select distinct on ({{ partition_by }}) * from {{ relation }} order by {{ partition_by }}, {{ order_by }}
{%- endmacro %}

{% macro nullcheck(cols) -%}
{{ exceptions.raise_compiler_error('dbt_utils.nullcheck needs the columns of a relation: write nullif(column, \'\') for each') }}
{%- endmacro %}

{% macro date_spine(datepart, start_date, end_date) -%} {{ dbt.date_spine(datepart, start_date, end_date) }} {%- endmacro %}

{% macro generate_series(upper_bound) -%}
select series.generated_number from (select unnest(generate_series(1, {{ upper_bound }})) as generated_number) as series
{%- endmacro %}

{% macro slugify(string) -%}
{%- set slug = [] -%}
{%- for c in (string | string | lower) -%}
{%- if c.isalnum() or c == '_' -%}{%- do slug.append(c) -%}
{%- elif c in ' -' -%}{%- do slug.append('_') -%}
{%- endif -%}
{%- endfor -%}
{%- set slug = slug | join('') -%}
{{ return('_' ~ slug if slug[:1].isdigit() else slug) }}
{%- endmacro %}

{% macro haversine_distance(lat1, lon1, lat2, lon2, unit='mi') -%}
{%- if unit not in ['mi', 'km'] -%}
{{ exceptions.raise_compiler_error('haversine_distance: unit is mi or km, not ' ~ unit) }}
{%- endif -%}
2 * 3961 * asin(sqrt(power(sin((radians({{ lat2 }}) - radians({{ lat1 }})) / 2), 2) + cos(radians({{ lat1 }})) * cos(radians({{ lat2 }})) * power(sin((radians({{ lon2 }}) - radians({{ lon1 }})) / 2), 2)))
{%- if unit == 'km' %} * 1.60934{% endif %}
{%- endmacro %}

{% macro get_url_parameter(field, url_parameter) -%}
nullif(split_part(split_part({{ field }}, '{{ url_parameter }}=', 2), '&', 1), '')
{%- endmacro %}

{% macro get_url_host(field) -%}
split_part(split_part(replace(replace(replace({{ field }}, 'android-app://', ''), 'http://', ''), 'https://', ''), '/', 1), '?', 1)
{%- endmacro %}

{% macro pretty_time(format='%H:%M:%S') -%} {{ return(modules.datetime.datetime.now().strftime(format)) }} {%- endmacro %}
{% macro pretty_log_format(message) -%} {{ return(pretty_time() ~ ' + ' ~ message) }} {%- endmacro %}
{% macro log_info(message) -%} {{ log(message, info=True) }} {%- endmacro %}
