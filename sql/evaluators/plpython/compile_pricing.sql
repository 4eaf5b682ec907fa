-- The compiler and validator of pricing configs, in PL/Python; its text, below, is the package's.
-- Python code cannot be interrupted, but a query can: one before each expression lets a cancel or
-- a timeout through, and what one expression may cost is bounded. Called by ducto.check_pricing,
-- which bounds the size of the whole.
create or replace function ducto.compile_pricing(p_config jsonb)
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
compile_without_pause = CheckedConfig._compile


def compile_after_pause(checked, text):
    """Compile and prove an expression; here the server may stop the whole."""
    plpy.execute(PAUSE)
    return compile_without_pause(checked, text)


CheckedConfig._compile = compile_after_pause
SD["compile"] = compile_config_json
return compile_config_json(p_config)
$ducto_compiler$;
comment on function ducto.compile_pricing(jsonb) is
    'Errors, warnings and compiled programs of a pricing config.';
