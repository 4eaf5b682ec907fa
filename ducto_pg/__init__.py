"""Usage credits inside PostgreSQL: install the schema, charge usage, read balances.

Importing this package is cheap: the public names are loaded when they are first used.
"""

__version__ = "0.1.0"
