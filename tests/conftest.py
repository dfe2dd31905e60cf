"""Fixtures and settings that all tests share."""
