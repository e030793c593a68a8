-- Grain: one day, 2020-01-01 to the end of next year, and the unknown day. Keys: date_key (yyyymmdd; 0 = unknown).
-- "Next year" is that of variable today, by default the current date; nothing else depends on it.
{%- set today = "CURRENT_DATE" if var('today', '') == '' else "DATE '" ~ var('today') ~ "'" %}
WITH days AS (
    SELECT CAST(moment AS DATE) AS full_date
    FROM (
        SELECT UNNEST(GENERATE_SERIES(
            DATE '2020-01-01',
            CAST(DATE_TRUNC('year', {{ today }}) + INTERVAL '2 years' - INTERVAL '1 day' AS DATE),
            INTERVAL '1 day'
        )) AS moment
    ) AS series
),

calendar AS (
    SELECT
        full_date,
        CAST(EXTRACT(DAY FROM full_date) AS INTEGER) AS day_of_month,
        CAST(EXTRACT(DOY FROM full_date) AS INTEGER) AS day_of_year,
        -- Monday = 1 … Sunday = 7
        CAST((EXTRACT(DOW FROM full_date) + 6) % 7 + 1 AS INTEGER) AS day_of_week,
        CAST(EXTRACT(WEEK FROM full_date) AS INTEGER) AS week_of_year,
        CAST(EXTRACT(MONTH FROM full_date) AS INTEGER) AS month_of_year,
        CAST(EXTRACT(QUARTER FROM full_date) AS INTEGER) AS quarter_of_year,
        CAST(EXTRACT(YEAR FROM full_date) AS INTEGER) AS year_number,
        CAST(DATE_TRUNC('week', full_date) AS DATE) AS week_start_date,
        CAST(DATE_TRUNC('month', full_date) AS DATE) AS month_start_date,
        CAST(DATE_TRUNC('quarter', full_date) AS DATE) AS quarter_start_date,
        CAST(DATE_TRUNC('year', full_date) AS DATE) AS year_start_date,
        CAST(full_date - INTERVAL '1 year' AS DATE) AS prior_year_date
    FROM days
),

ends AS (
    SELECT
        *,
        CAST(week_start_date + INTERVAL '6 days' AS DATE) AS week_end_date,
        -- The ISO week belongs to the year of its Thursday.
        CAST(EXTRACT(YEAR FROM CAST(week_start_date + INTERVAL '3 days' AS DATE)) AS INTEGER) AS week_year,
        CAST(month_start_date + INTERVAL '1 month' - INTERVAL '1 day' AS DATE) AS month_end_date,
        CAST(quarter_start_date + INTERVAL '3 months' - INTERVAL '1 day' AS DATE) AS quarter_end_date,
        CAST(year_start_date + INTERVAL '1 year' - INTERVAL '1 day' AS DATE) AS year_end_date,
        CAST(DATE_TRUNC('week', prior_year_date) AS DATE) AS prior_year_week_start_date,
        CAST(DATE_TRUNC('month', prior_year_date) AS DATE) AS prior_year_month_start_date
    FROM calendar
)

SELECT
    {{ date_key('full_date') }} AS date_key,
    full_date,
    day_of_month,
    day_of_week,
    CASE day_of_week
        WHEN 1 THEN 'Monday' WHEN 2 THEN 'Tuesday' WHEN 3 THEN 'Wednesday' WHEN 4 THEN 'Thursday'
        WHEN 5 THEN 'Friday' WHEN 6 THEN 'Saturday' ELSE 'Sunday'
    END AS day_name,
    day_of_year,
    week_of_year,
    week_year,
    month_of_year,
    CASE month_of_year
        WHEN 1 THEN 'January' WHEN 2 THEN 'February' WHEN 3 THEN 'March' WHEN 4 THEN 'April'
        WHEN 5 THEN 'May' WHEN 6 THEN 'June' WHEN 7 THEN 'July' WHEN 8 THEN 'August'
        WHEN 9 THEN 'September' WHEN 10 THEN 'October' WHEN 11 THEN 'November' ELSE 'December'
    END AS month_name,
    quarter_of_year,
    'Q' || CAST(quarter_of_year AS VARCHAR) AS quarter_name,
    year_number,
    week_start_date,
    week_end_date,
    month_start_date,
    month_end_date,
    quarter_start_date,
    quarter_end_date,
    year_start_date,
    year_end_date,
    prior_year_date,
    {{ date_key('prior_year_date') }} AS prior_year_date_key,
    prior_year_week_start_date,
    prior_year_month_start_date,
    day_of_week >= 6 AS is_weekend,
    full_date = month_start_date AS is_month_start,
    full_date = month_end_date AS is_month_end
FROM ends
UNION ALL
SELECT
    CAST(0 AS INTEGER), NULL, NULL, NULL, 'unknown', NULL, NULL, NULL, NULL, 'unknown', NULL, 'unknown', NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, CAST(0 AS INTEGER), NULL, NULL, NULL, NULL, NULL
