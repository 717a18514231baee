"""Contracts, referrals, slots and prescriptions of 1+1+1: the rules, in one place."""
