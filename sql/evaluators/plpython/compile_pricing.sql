-- The compiler and validator of pricing configs, in PL/Python. Its text is the package's own: the
-- module names follow below. Called only through ducto.check_pricing, which bounds the size.
create or replace function ducto.compile_pricing(p_config jsonb)
returns jsonb
language plpython3u
stable
security invoker
set search_path = ''
as $ducto_compiler$
if "compile" in SD:
    return SD["compile"](p_config)

{{bundle:compiler}}

SD["compile"] = compile_config_json
return compile_config_json(p_config)
$ducto_compiler$;
comment on function ducto.compile_pricing(jsonb) is
    'Errors, warnings and compiled programs of a pricing config.';
