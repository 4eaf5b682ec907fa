-- The longest key of a section that a name starts with, _default left out; null: none. In collation
-- C a prefix of the name is never above it, so the greatest key that is not above the name is
-- either that prefix, or tells how much of the name the prefix can still share. Each step is one
-- index probe; the number of steps is bounded by the name's length, not by the number of keys.
create or replace function ducto.longest_prefix(
    p_version integer,
    p_plan_key text,
    p_section text,
    p_name text
)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
    v_bound text := p_name;
    v_key text;
    v_shared integer;
begin
    while v_bound <> '' loop
        select r.key into v_key
        from ducto.credit_rates r
        where r.version = p_version and r.plan_key = p_plan_key and r.section = p_section
            and r.key <= v_bound and r.key <> '_default'
        order by r.key desc
        limit 1;
        if not found or starts_with(p_name, v_key) then
            return v_key;
        end if;
        v_shared := 0;
        while substr(v_key, v_shared + 1, 1) = substr(v_bound, v_shared + 1, 1) loop
            v_shared := v_shared + 1;
        end loop;
        v_bound := left(v_bound, v_shared);
    end loop;
    return null;
end
$$;
comment on function ducto.longest_prefix(integer, text, text, text) is
    'The longest key of a section that is a prefix of the name, or null.';
