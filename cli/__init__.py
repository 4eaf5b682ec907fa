"""The ``ducto`` command."""
