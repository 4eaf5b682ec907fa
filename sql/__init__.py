"""The SQL of ducto-pg, shipped as package data; ``ducto_pg.install.migrate`` reads it from here."""
