-- A feature counts as present when its value is neither null nor false.
create or replace function ducto.has_feature(p_features jsonb, p_feature text)
returns boolean
language sql
immutable
strict
security invoker
set search_path = ''
as $$
    select coalesce(p_features -> p_feature, 'null') not in ('null'::jsonb, 'false'::jsonb);
$$;
