"""Allocation to Kubernetes objects: pure functions from domain values to whole server-side-apply intents.

Deployments are content-addressed: the name holds the hash of the pod template, so a Deployment of a given name has one
pod template for ever and a changed template is a new Deployment. Numbers that are estimates (start-up time, node sizes)
are rounded coarsely before they enter a template, so that a better estimate does not restart a fleet.
"""
