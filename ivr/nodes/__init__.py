"""What each type of node does: one module a type, each with `enter(node, run) -> Step`."""
