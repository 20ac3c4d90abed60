"""Call flows: nodes, the interpreter, fallback and prompts."""
