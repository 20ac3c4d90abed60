"""How Switchhook's PJSIP engine is made: source, libraries, extension, wheel.

Standard library only: it runs before anything is installed.
"""
