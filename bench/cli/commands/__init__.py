"""The subcommands: a module each, under the name of its command."""
