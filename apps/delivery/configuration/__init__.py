"""Configurations of destinations: from what CreateDeliveryStream and UpdateDestination are given to what is stored.

Each destination has a file of its own with a function that takes AWS's members of its <X>DestinationConfiguration and
answers those of its <X>DestinationDescription, checked and with all defaults filled in. An update is the stored
description turned back into a configuration, with the given members laid over it, checked as a whole again.
"""
