{#- versions: the versions of a dimension with an end that is never null, for joins by time: engines hash a join on an
    id and two plain comparisons, and fall back to comparing all pairs when there is an OR in it. The unknown row has
    no dates and matches nothing. -#}
{%- macro versions(dimension, of) -%}
SELECT
        {{ of }}_sk,
        {{ of }}_id,
        valid_from,
        COALESCE(valid_to, valid_from + INTERVAL '1000 years') AS valid_until
    FROM {{ dimension }}
{%- endmacro -%}

{#- valid_at: a version holds at a moment: [valid_from, valid_until). -#}
{%- macro valid_at(version, moment) -%}
{{ moment }} >= {{ version }}.valid_from AND {{ moment }} < {{ version }}.valid_until
{%- endmacro -%}
