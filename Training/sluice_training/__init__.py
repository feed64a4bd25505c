"""Trains what Sluice runs and no one publishes: small Infini-attention models, models with sinks, low-rank adapters."""
