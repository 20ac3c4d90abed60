"""Measurements of the figures that the product must hold: docs/performance.md.

python -m bench [--only NAME …] [--repeat 3] [--set NAME.FIELD=VALUE …] [--json FILE]
"""
