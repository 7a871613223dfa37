"""What is measured of a policy, one file a figure."""
