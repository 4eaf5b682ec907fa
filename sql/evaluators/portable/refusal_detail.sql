-- What a listed error says of a refused expression: with the known name nearest to an unknown one,
-- which is looked for here, once it is sure that somebody will read it.
create or replace function ducto.refusal_detail(p_error jsonb, p_metric_names text[])
returns jsonb
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_known text := p_error ->> 'known';
    v_nearest text;
begin
    if v_known is not null then
        v_nearest := ducto.nearest(
            p_error ->> 'name',
            case v_known when 'names' then p_metric_names else '{}' end
            || '{ceil,floor,round,min,max,if,tier,clamp,percentile,graduated}'::text[]
        );
    end if;
    return p_error - 'known' || jsonb_strip_nulls(jsonb_build_object(
        'message', concat(
            p_error ->> 'message', '; did you mean ''' || v_nearest || '''?'
        ),
        'name', ducto.shorten(p_error ->> 'name', 40),
        'suggestion', v_nearest
    ));
end
$$;
comment on function ducto.refusal_detail(jsonb, text[]) is
    'A refusal of an expression as it is shown.';
