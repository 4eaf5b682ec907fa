-- Puts facts into a sentence, each where it is named, in one pass: what a fact contains is never
-- looked at, so a user called {balance} appears as just that, and no value makes a sentence long.
create or replace function ducto.fill_in(p_sentence text, p_facts jsonb)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select string_agg(
        m.part[1] || case
            when m.part[2] is null then ''
            when not p_facts ? m.part[2] then '{' || m.part[2] || '}'
            else ducto.shorten(coalesce(p_facts ->> m.part[2], 'none'), 300)
        end,
        '' order by m.position
    )
    from regexp_matches(p_sentence, '([^{]*(?:[{](?![a-z_]+[}])[^{]*)*)(?:[{]([a-z_]+)[}])?', 'g')
        with ordinality as m (part, position);
$$;
comment on function ducto.fill_in(text, jsonb) is
    'p_sentence with its {placeholders} replaced by p_facts, "none" for a null one.';
