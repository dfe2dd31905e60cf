"""Texts and word lists that come with bridgex, or are made at run time from CLDR."""
