{# Generic tests of dbt_utils. The rows of each are the failures, as in the package. #}

{% test dbt_utils__unique_combination_of_columns(model, combination_of_columns, quote_columns=false) %}
{%- set names %}{% for column in combination_of_columns %}{{ '"' ~ column ~ '"' if quote_columns else column }}{{ '' if loop.last else ', ' }}{% endfor %}{% endset -%}
select {{ names }}, count(*) as n_records
from {{ model }}
group by {{ names }}
having count(*) > 1
{% endtest %}

{% test dbt_utils__expression_is_true(model, expression, column_name=none) %}
select *
from {{ model }}
where not ({{ column_name ~ ' ' if column_name is not none else '' }}{{ expression }})
{% endtest %}

{% test dbt_utils__accepted_range(model, column_name, min_value=none, max_value=none, inclusive=true) %}
select *
from {{ model }}
where false
{%- if min_value is not none %} or not ({{ column_name }} >{{ '=' if inclusive else '' }} {{ min_value }}){% endif %}
{%- if max_value is not none %} or not ({{ column_name }} <{{ '=' if inclusive else '' }} {{ max_value }}){% endif %}
{% endtest %}

{% test dbt_utils__not_empty_string(model, column_name, trim_whitespace=true) %}
select *
from {{ model }}
where {{ 'trim(' ~ column_name ~ ')' if trim_whitespace else column_name }} = ''
{% endtest %}

{% test dbt_utils__not_null_proportion(model, column_name, at_least, at_most=1.0, group_by_columns=[]) %}
select *
from (
    select {% for column in group_by_columns %}{{ column }}, {% endfor -%}
        cast(sum(case when {{ column_name }} is null then 0 else 1 end) as double) / count(*) as not_null_proportion
    from {{ model }}
    {%- if group_by_columns %} group by {{ group_by_columns | join(', ') }}{% endif %}
) validation
where not_null_proportion < {{ at_least }} or not_null_proportion > {{ at_most }}
{% endtest %}

{% test dbt_utils__at_least_one(model, column_name, group_by_columns=[]) %}
select {% for column in group_by_columns %}{{ column }}, {% endfor %}count({{ column_name }}) as filler_column
from {{ model }}
{%- if group_by_columns %} group by {{ group_by_columns | join(', ') }}{% endif %}
having count({{ column_name }}) = 0
{% endtest %}

{% test dbt_utils__not_constant(model, column_name, group_by_columns=[]) %}
select {% for column in group_by_columns %}{{ column }}, {% endfor %}count(distinct {{ column_name }}) as filler_column
from {{ model }}
{%- if group_by_columns %} group by {{ group_by_columns | join(', ') }}{% endif %}
having count(distinct {{ column_name }}) = 1
{% endtest %}

{% test dbt_utils__equal_rowcount(model, compare_model) %}
select count_a, count_b, abs(count_a - count_b) as diff_count
from (select count(*) as count_a from {{ model }}) a
cross join (select count(*) as count_b from {{ compare_model }}) b
where count_a <> count_b
{% endtest %}

{% test dbt_utils__fewer_rows_than(model, compare_model) %}
select count_our_model, count_comparison_model
from (select count(*) as count_our_model from {{ model }}) a
cross join (select count(*) as count_comparison_model from {{ compare_model }}) b
where count_our_model >= count_comparison_model
{% endtest %}

{% test dbt_utils__cardinality_equality(model, column_name, to, field) %}
select coalesce(a.value, b.value) as value, a.num_rows as ours, b.num_rows as theirs
from (select {{ column_name }} as value, count(*) as num_rows from {{ model }} group by {{ column_name }}) a
full join (select {{ field }} as value, count(*) as num_rows from {{ to }} group by {{ field }}) b
    on a.value = b.value
where a.num_rows is null or b.num_rows is null or a.num_rows <> b.num_rows
{% endtest %}

{% test dbt_utils__relationships_where(model, column_name, to, field, from_condition='1=1', to_condition='1=1') %}
select *
from (select * from {{ model }} where ({{ from_condition }}) and {{ column_name }} is not null) from_rows
where not exists (
    select 1
    from (select {{ field }} as id from {{ to }} where ({{ to_condition }}) and {{ field }} is not null) to_rows
    where to_rows.id = from_rows.{{ column_name }}
)
{% endtest %}

{# Generic tests of dbt_expectations; `row_condition` and `strictly` mean what they mean in the package. #}

{% test dbt_expectations__expect_column_values_to_be_between(model, column_name, min_value=none, max_value=none, row_condition=none, strictly=false) %}
select *
from {{ model }}
where ({{ row_condition if row_condition is not none else 'true' }})
  and (false
{%- if min_value is not none %} or not ({{ column_name }} >{{ '' if strictly else '=' }} {{ min_value }}){% endif %}
{%- if max_value is not none %} or not ({{ column_name }} <{{ '' if strictly else '=' }} {{ max_value }}){% endif %})
{% endtest %}

{% test dbt_expectations__expect_column_values_to_not_be_null(model, column_name, row_condition=none) %}
select *
from {{ model }}
where ({{ row_condition if row_condition is not none else 'true' }}) and {{ column_name }} is null
{% endtest %}

{% test dbt_expectations__expect_column_values_to_be_null(model, column_name, row_condition=none) %}
select *
from {{ model }}
where ({{ row_condition if row_condition is not none else 'true' }}) and {{ column_name }} is not null
{% endtest %}

{% test dbt_expectations__expect_column_values_to_be_unique(model, column_name, row_condition=none) %}
select {{ column_name }}, count(*) as n_records
from {{ model }}
where ({{ row_condition if row_condition is not none else 'true' }}) and {{ column_name }} is not null
group by {{ column_name }}
having count(*) > 1
{% endtest %}

{% test dbt_expectations__expect_column_values_to_be_in_set(model, column_name, value_set, quote_values=true, row_condition=none) %}
select {{ column_name }} as value_field
from {{ model }}
where ({{ row_condition if row_condition is not none else 'true' }}) and {{ column_name }} not in (
{%- for value in value_set -%}
{{ "'" ~ ((value ~ '') | replace("'", "''")) ~ "'" if quote_values else value }}{{ '' if loop.last else ', ' }}
{%- endfor -%})
{% endtest %}

{% test dbt_expectations__expect_column_value_lengths_to_be_between(model, column_name, min_value=none, max_value=none, row_condition=none, strictly=false) %}
select *
from {{ model }}
where ({{ row_condition if row_condition is not none else 'true' }})
  and (false
{%- if min_value is not none %} or not (character_length({{ column_name }}) >{{ '' if strictly else '=' }} {{ min_value }}){% endif %}
{%- if max_value is not none %} or not (character_length({{ column_name }}) <{{ '' if strictly else '=' }} {{ max_value }}){% endif %})
{% endtest %}

{% test dbt_expectations__expect_column_to_exist(model, column_name) %}
select {{ column_name }}
from {{ model }}
where false
{% endtest %}

{% test dbt_expectations__expect_table_row_count_to_be_between(model, min_value=none, max_value=none, row_condition=none, strictly=false) %}
select row_count
from (
    select count(*) as row_count
    from {{ model }}
    where {{ row_condition if row_condition is not none else 'true' }}
) counted
where false
{%- if min_value is not none %} or not (row_count >{{ '' if strictly else '=' }} {{ min_value }}){% endif %}
{%- if max_value is not none %} or not (row_count <{{ '' if strictly else '=' }} {{ max_value }}){% endif %}
{% endtest %}

{% test dbt_expectations__expect_table_row_count_to_equal(model, value, row_condition=none) %}
select row_count
from (
    select count(*) as row_count
    from {{ model }}
    where {{ row_condition if row_condition is not none else 'true' }}
) counted
where row_count <> {{ value }}
{% endtest %}

{% test dbt_expectations__expect_table_row_count_to_equal_other_table(model, compare_model) %}
select count_a, count_b
from (select count(*) as count_a from {{ model }}) a
cross join (select count(*) as count_b from {{ compare_model }}) b
where count_a <> count_b
{% endtest %}

{% test dbt_expectations__expect_compound_columns_to_be_unique(model, column_list, quote_columns=false, row_condition=none) %}
{%- set names %}{% for column in column_list %}{{ '"' ~ column ~ '"' if quote_columns else column }}{{ '' if loop.last else ', ' }}{% endfor %}{% endset -%}
select {{ names }}, count(*) as n_records
from {{ model }}
where ({{ row_condition if row_condition is not none else 'true' }})
{%- for column in column_list %} and {{ '"' ~ column ~ '"' if quote_columns else column }} is not null{% endfor %}
group by {{ names }}
having count(*) > 1
{% endtest %}

{% test dbt_expectations__expect_column_pair_values_A_to_be_greater_than_B(model, column_A, column_B, or_equal=false, row_condition=none) %}
select *
from {{ model }}
where ({{ row_condition if row_condition is not none else 'true' }})
  and not ({{ column_A }} >{{ '=' if or_equal else '' }} {{ column_B }})
{% endtest %}
