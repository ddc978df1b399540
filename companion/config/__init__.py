"""The types of agent.yaml and the way from its text to them."""
