-- A literal's exact value in positional notation, its digits behind the point kept, or what is
-- wrong with it. Bounded before anything is computed: digits, exponent, size.
create or replace function ducto.read_literal(p_token text, out value text, out problem text)
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_parts text[];
    v_whole text;
    v_fraction text;
    v_exponent text;
    v_point integer;
begin
    if p_token ~ '^(0|[1-9][0-9]{0,25})([.][0-9]{1,14})?$' then
        value := p_token;
        return;
    end if;
    v_parts := regexp_match(
        p_token,
        '^([0-9]+(?:_[0-9]+)*)?(?:([.])([0-9]+(?:_[0-9]+)*)?)?(?:[eE]([-+]?[0-9]+(?:_[0-9]+)*))?$'
    );
    v_whole := replace(coalesce(v_parts[1], ''), '_', '');
    v_fraction := replace(coalesce(v_parts[3], ''), '_', '');
    v_exponent := replace(coalesce(v_parts[4], '0'), '_', '');
    problem := case
        when v_parts is null then '%s is not a number'
        when v_whole ~ '^0.' and v_parts[2] is null and v_parts[4] is null
            then '%s has a leading zero'
        when length(v_exponent) > 5 then 'the number %s is out of range'
        when abs(v_exponent::integer) > 100 then 'the number %s is out of range'
        end;
    if problem is null then
        v_point := length(v_whole) + v_exponent::integer;
        v_fraction := repeat('0', -v_point) || v_whole || v_fraction;
        v_point := greatest(v_point, 0);
        v_whole := ltrim(rpad(left(v_fraction, v_point), v_point, '0'), '0');
        v_fraction := substr(v_fraction, v_point + 1);
        value := concat_ws('.', coalesce(nullif(v_whole, ''), '0'), nullif(v_fraction, ''));
        problem := case
            when length(v_whole) + length(v_fraction) > 40
                then 'the number %s has more than 40 digits'
            when length(v_whole) > 26 and value::numeric > 1e26 then 'the number %s is beyond 10^26'
            end;
    end if;
    problem := format(problem, ducto.shorten(p_token, 40));
end
$$;
comment on function ducto.read_literal(text) is
    'The value of a number in an expression, written out, or what is wrong with it.';
