"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How fast an example runs says how busy the machine is, and nothing about the product.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
