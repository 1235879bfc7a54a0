"""The version: the one place where it stands. The package's metadata and the core are built from this line."""

__version__ = "0.1.0"
