"""Example of an installable plug-in."""
