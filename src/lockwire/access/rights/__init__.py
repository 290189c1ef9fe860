"""What clients may do: `rules` are what people write, `policy` is all of it, `evaluator` answers."""
