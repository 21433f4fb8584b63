"""The command line: a command parses and checks, `output` draws; neither decides anything."""
