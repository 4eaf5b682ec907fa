"""Installing: reading the SQL of this package, migrating a database, a PostgreSQL of one's own."""
