{#- average_money: total / number in DECIMAL(12,2), half a cent away from zero, for totals that are not negative.
    Decimal division differs between engines and may go through a float, so it is done in whole cents:
    (2 × cents + number) div (2 × number). The remainder is taken off first, so the division is exact. -#}
{%- macro average_money(total, number) -%}
CAST(CAST(CAST(((2 * CAST({{ total }} * 100 AS BIGINT) + {{ number }})
      - (2 * CAST({{ total }} * 100 AS BIGINT) + {{ number }}) % (2 * {{ number }})) / (2 * {{ number }}) AS BIGINT)
      AS DECIMAL(18, 0)) * CAST('0.01' AS DECIMAL(3, 2)) AS DECIMAL(12, 2))
{%- endmacro -%}
