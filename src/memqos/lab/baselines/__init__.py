"""Rivals' published rules, restated as policies, to be measured beside memqos; never part of its ladder."""
