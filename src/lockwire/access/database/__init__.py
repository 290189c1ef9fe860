"""The access database of a data folder: `database` is what others use."""
