-- The compiler and validator of pricing configs, in PL/Python; its text, below, is the package's.
-- Python code cannot be interrupted, but a query can: where the checker pauses, before each
-- expression and every thousand names or errors, one lets a cancel or a timeout through. Called by
-- ducto.check_pricing, which bounds the size and depth of the whole.
create or replace function ducto.compile_plpython(p_config jsonb)
returns jsonb
language plpython3u
stable
security invoker
set search_path = pg_catalog, pg_temp
as $ducto_compiler$
if "compile" in SD:
    return SD["compile"](p_config)

{{bundle:compiler}}


PAUSE = plpy.prepare("select 1")


def pause(checked):
    """Here the server may stop the whole."""
    plpy.execute(PAUSE)


CheckedConfig.pause = pause
SD["compile"] = compile_config_json
return compile_config_json(p_config)
$ducto_compiler$;
comment on function ducto.compile_plpython(jsonb) is
    'Errors, warnings and compiled programs of a pricing config.';
