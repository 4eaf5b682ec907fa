-- The evaluation errors of the machine, in words.
create or replace function ducto.reason_sentence(p_reason text)
returns text
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
return case p_reason
    when 'division_by_zero' then 'division by zero'
    when 'overflow' then 'a result is beyond 10^26'
    when 'too_many_digits' then 'a result has more than 1000 digits behind the point'
    when 'thresholds_not_ascending' then 'the thresholds of graduated() do not ascend'
    when 'invalid_percentile' then
        'the first argument of percentile() is not between 0 and 100'
    when 'invalid_digits' then
        'the second argument of round() is not a whole number from -26 to 40'
    end;
comment on function ducto.reason_sentence(text) is
    'An evaluation error in words.';
