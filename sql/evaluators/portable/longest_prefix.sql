-- The rate whose key is the longest that a name starts with (the whole name included, _default
-- not); a null row: none. In collation C a prefix of the name is never above it, so the greatest
-- key that is not above the name is either that prefix, or tells how much of the name a prefix can
-- still share. Each step is one index probe, and mostly the first is the last; how many there are
-- depends on the name, not on the number of keys.
create or replace function ducto.longest_prefix(
    p_version integer,
    p_plan_key text,
    p_section text,
    p_name text
)
returns ducto.credit_rates
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rate ducto.credit_rates;
    v_bound text := p_name;
    v_shared integer;
begin
    while v_bound <> '' loop
        select r.* into v_rate
        from ducto.credit_rates r
        where r.version = p_version and r.plan_key = p_plan_key and r.section = p_section
            and r.key <= v_bound and r.key <> '_default'
        order by r.key desc
        limit 1;
        if not found or starts_with(p_name, v_rate.key) then
            return v_rate;
        end if;
        v_shared := 0;
        while substr(v_rate.key, v_shared + 1, 1) = substr(v_bound, v_shared + 1, 1) loop
            v_shared := v_shared + 1;
        end loop;
        v_bound := left(v_bound, v_shared);
    end loop;
    return null;
end
$$;
comment on function ducto.longest_prefix(integer, text, text, text) is
    'The rate of a section with the longest key that is a prefix of the name; else a null row.';
