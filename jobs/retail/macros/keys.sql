{#- date_key: yyyymmdd of a timestamp or date as an integer; 0, the unknown day of dim_date, when it is null. -#}
{%- macro date_key(moment) -%}
CAST(COALESCE(EXTRACT(YEAR FROM CAST({{ moment }} AS DATE)) * 10000
        + EXTRACT(MONTH FROM CAST({{ moment }} AS DATE)) * 100
        + EXTRACT(DAY FROM CAST({{ moment }} AS DATE)), 0) AS INTEGER)
{%- endmacro -%}

{#- version_key: surrogate key of one version, md5 of the id and of valid_from in microseconds since 1970, UTC.
    A timestamp's text differs between engines, its microseconds do not. -#}
{%- macro version_key(id, valid_from) -%}
MD5({{ id }} || '|' || CAST(CAST(ROUND(EXTRACT(EPOCH FROM {{ valid_from }}) * 1000000) AS BIGINT) AS VARCHAR))
{%- endmacro -%}

{#- unknown_key: the key of a dimension's unknown row. -#}
{%- macro unknown_key() -%}'-1'{%- endmacro -%}
