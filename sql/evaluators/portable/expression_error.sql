-- A refusal of an expression. `known` says which names a name may have been meant to be: `names`
-- (metrics and functions) or `functions`; ducto.refusal_detail looks for the nearest one, because
-- most refusals of a config that has many are never shown.
create or replace function ducto.expression_error(
    p_message text,
    p_position integer default null,
    p_length integer default 1,
    p_name text default null,
    p_known text default null
)
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return jsonb_strip_nulls(jsonb_build_object(
        'message', p_message,
        'position', p_position,
        'length', case when p_position is not null then p_length end,
        'name', p_name,
        'known', p_known
    ));
end
$$;
comment on function ducto.expression_error(text, integer, integer, text, text) is
    'What is wrong with an expression, and where: positions count characters from 1.';
