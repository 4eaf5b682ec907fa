-- An amount of credits is finite, exact to 12 decimal places and below 10^26: null, else the error.
create or replace function ducto.check_amount(
    p_argument text,
    p_amount numeric,
    p_negative boolean default false
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_amount is null then
        return ducto.invalid(p_argument, 'An amount is needed.');
    elsif p_amount in ('NaN', 'Infinity', '-Infinity') then
        return ducto.invalid(
            p_argument, 'An amount must be a finite number, not ' || p_amount || '.'
        );
    elsif p_amount < 0 and not p_negative then
        return ducto.invalid(
            p_argument, 'An amount must not be negative: ' || left(p_amount::text, 60) || '.'
        );
    elsif abs(p_amount) >= 1e26 then
        return ducto.invalid(p_argument, 'An amount must be below 10^26.');
    elsif scale(p_amount) > 12 and min_scale(p_amount) > 12 then
        return ducto.invalid(
            p_argument, 'An amount has at most 12 decimal places; round it first.'
        );
    end if;
    return null;
end
$$;
