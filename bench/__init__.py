"""Measurements of the figures that the product must hold. Run from the project's root:

python -m bench.signalling
python -m bench.bot_media
"""
