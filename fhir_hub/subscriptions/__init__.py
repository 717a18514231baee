"""Subscriptions: who asked for it is notified over HTTP of each version that he asked about."""
