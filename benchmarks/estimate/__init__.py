"""Demand estimators on real curves: who is under-provisioned how often, and at what excess."""
