"""Peers that misbehave: everyone else is served, limits are kept, and what was refused is counted."""
