"""The pricing evaluator: standard library only, one source for every host.

Imported as `ducto_pg.plpython` by the offline engine and the command line; its text is embedded
into the PL/Python functions by `bundle`. The modules, each building on the ones before it:

- `names`     metric names, section names, limits and the nearest-name suggestion
- `machine`   runs a compiled expression exactly
- `runtime`   prices one usage: metrics in, breakdown out
- `language`  turns an expression's text into a program, refusing everything not allowed
- `config`    validates a whole pricing config and compiles its expressions
- `bundle`    joins the modules into the text of one self-contained program

The embedded modules run on whatever Python the database server has, so they keep to 3.9.
"""
