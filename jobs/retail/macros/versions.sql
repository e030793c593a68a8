{#- valid_at: the predicate of a version that holds at a moment: [valid_from, valid_to), open when valid_to is null. -#}
{%- macro valid_at(version, moment) -%}
{{ moment }} >= {{ version }}.valid_from AND ({{ version }}.valid_to IS NULL OR {{ moment }} < {{ version }}.valid_to)
{%- endmacro -%}
